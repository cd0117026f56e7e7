"""The one place where an error leaves for the service: as JSON, and as something that pickles.

DEEPaaS runs `predict` and `train` in worker processes and sends exceptions
back as pickles.  An exception that does not survive that hangs the request and
every later one; any other than an HTTP exception loses its text.
"""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from aiohttp import web

from mods import config
from mods.errors import ModsError, ModsWarning

__all__ = ["ServiceError", "client_text", "collected_warnings", "translated"]

#: An answer tells no more warnings than these.
MAX_WARNINGS = 50

#: Where uploads lie for the time of their request: clients know their files by name alone.
# Tried where a word begins only: from each letter on it would take a minute for a long text.
_FOLDER = re.compile(r"(?<![^\s'\"])[^\s'\"]*/mods-(?:upload|url)-[^/\s'\"]+/")

logger = logging.getLogger(__name__)


class ServiceError(web.HTTPException):
    """An HTTP answer with a JSON body that survives the way between processes.

    Parameters
    ----------
    status
        The HTTP status.
    message
        What happened, what was expected and how to mend it.
    kind
        The name of the error.
    """

    status_code = 500

    def __init__(self, status: int, message: str, kind: str) -> None:
        body = json.dumps({"error": kind, "message": message})
        super().__init__(text=body, content_type="application/json")
        self.set_status(status)
        self.message = message
        self.kind = kind

    def __str__(self) -> str:
        # What the status of a failed training shows.
        return self.message

    def __reduce__(self) -> tuple[type[Self], tuple[int, str, str]]:
        return type(self), (self.status, self.message, self.kind)


def client_text(said: object) -> str:
    """Return what is said without where the service keeps its files, which is not for clients.

    Examples
    --------
    >>> client_text("'/tmp/mods-upload-x7/a.tsv' is empty")
    "'a.tsv' is empty"
    >>> client_text(f"there is no model 'mine' in {str(config.folders().models)!r}")
    "there is no model 'mine' in 'models'"
    """
    text, folders = _FOLDER.sub("", str(said)), config.folders()
    for name in ("data", "models", "checkpoints"):
        text = text.replace(str(getattr(folders, name)), name)
    return text


@contextmanager
def translated() -> Iterator[None]:
    """Turn whatever is raised inside into a `ServiceError`."""
    try:
        yield
    except ServiceError:
        raise
    except ModsError as error:
        raise ServiceError(error.status, client_text(error), type(error).__name__) from None
    except MemoryError:
        raise ServiceError(
            422,
            "the request needs more memory than there is. Ask for a shorter range.",
            "DataError",
        ) from None
    except Exception as error:
        logger.exception("a failure of ours")
        raise ServiceError(
            500,
            client_text(f"a failure of ours: {type(error).__name__}: {error}"),
            "InternalError",
        ) from None


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect what our warnings say, for the answer; others go where they always go."""
    heard: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", ModsWarning)
        show = warnings.showwarning

        def hear(message: Any, category: Any, *rest: Any, **more: Any) -> None:
            if issubclass(category, ModsWarning):
                text = client_text(message)
                if len(heard) < MAX_WARNINGS and text not in heard:
                    heard.append(text)
            else:
                show(message, category, *rest, **more)

        warnings.showwarning = hear
        yield heard
