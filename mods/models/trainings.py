"""Records of trainings on disk: how far each one is, and how it ended.

DEEPaaS keeps its list of trainings in memory, shows no progress and kills what
is cancelled.  A record is one small JSON file under `checkpoints/trainings`,
renewed after each epoch, so it survives all of that; a training whose process
has gone without a result is shown as `stopped`.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mods.config import folders
from mods.errors import ModsError
from mods.files import write_aside

__all__ = ["Epoch", "list_trainings", "recorded", "tell_epoch"]

logger = logging.getLogger(__name__)

#: Older records than the latest so many are removed.
KEPT = 200
#: A record of another host that was not renewed for so long is of no running training, seconds.
SILENT = 24 * 3600


@dataclass(frozen=True)
class Epoch:
    """An epoch that has just ended.

    Attributes
    ----------
    label
        What is being fitted.
    number, of
        Which epoch, from 1, and how many there are at most.
    loss, validation_loss
        Pinball losses over the training and the validation part, in scaled units.
    """

    label: str
    number: int
    of: int
    loss: float
    validation_loss: float


_listener: ContextVar[Callable[[Epoch], None] | None] = ContextVar("listener", default=None)


def tell_epoch(epoch: Epoch) -> None:
    """Tell the record of the training that runs here, if any, that an epoch has ended."""
    listener = _listener.get()
    if listener is not None:
        listener(epoch)


@contextmanager
def recorded(model: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Keep a record of the training inside; yield its identifier.

    A record that cannot be written, on a full disk for example, does not stop the training.

    Parameters
    ----------
    model
        The name of the model that is trained.
    arguments
        What was asked for, as JSON can say it.
    """
    now = datetime.now(UTC)
    identifier = f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(3)}"
    record: dict[str, Any] = {
        "id": identifier,
        "model": model,
        "state": "running",
        "started": _text(now),
        "arguments": dict(arguments),
        "process": _process(os.getpid()),
    }
    begun = time.monotonic()

    def renew(**news: Any) -> None:
        record.update(news, updated=_text(datetime.now(UTC)))
        try:
            with write_aside(_folder() / f"{identifier}.json") as partial:
                partial.write_text(json.dumps(record))
        except ModsError as error:
            logger.warning("the record of training %s cannot be kept: %s", identifier, error)

    def listen(epoch: Epoch) -> None:
        seconds = time.monotonic() - begun
        left = round(seconds / epoch.number * (epoch.of - epoch.number), 1)
        renew(epoch=asdict(epoch), seconds=round(seconds, 1), seconds_left=left)

    renew()
    _remove_oldest(identifier)
    token = _listener.set(listen)
    try:
        yield identifier
    except Exception as error:
        renew(state="error", message=str(error), seconds_left=None)
        raise
    except BaseException:
        renew(state="stopped", message="it was interrupted", seconds_left=None)
        raise
    else:
        renew(state="done", seconds=round(time.monotonic() - begun, 1), seconds_left=None)
    finally:
        _listener.reset(token)


def list_trainings() -> list[dict[str, Any]]:
    """Return the records, the latest first.

    Returns
    -------
    list of dict
        `id`, `model`, `state` (`running`, `done`, `error` or `stopped`), `started` and `updated`
        (UTC), `arguments`, and where known `epoch` (see `Epoch`), `seconds`, `seconds_left`,
        `message`.
    """
    found = []
    for path in sorted(_paths(), reverse=True):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            process = record.pop("process")
            if record["state"] == "running" and not _runs(process, record["updated"]):
                record["state"] = "stopped"
                record["message"] = "its process has ended without a result"
                record["seconds_left"] = None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # A record that is damaged tells nothing; the others do.
            continue
        found.append(record)
    return found


def _folder() -> Path:
    return folders().checkpoints / "trainings"


def _paths() -> list[Path]:
    folder = _folder()
    return list(folder.glob("[!.]*.json")) if folder.is_dir() else []


def _remove_oldest(newest: str) -> None:
    # By name, which says the time: where the clock was set back, the newest is not the last.
    others = sorted(path for path in _paths() if path.stem != newest)
    for path in others[: max(0, len(others) + 1 - KEPT)]:
        with suppress(OSError):
            path.unlink()


def _process(number: int) -> dict[str, Any]:
    return {"host": socket.gethostname(), "number": number, "started": _started(number)}


def _started(number: int) -> str | None:
    """Return when a process started, in the kernel's ticks; None where none runs or none knows."""
    try:
        text = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return None
    # The name, in brackets, may hold anything; the state and the start come after it.
    told = text.rpartition(")")[2].split()
    # One that has ended and was not waited for yet does nothing any more.
    return None if told[0] in ("Z", "X") else told[19]


def _runs(process: Mapping[str, Any], updated: str) -> bool:
    if process["host"] != socket.gethostname():
        return time.time() - datetime.fromisoformat(updated).timestamp() < SILENT
    if process["started"] is not None:
        # A number is given again to later processes; together with the start it is unique.
        return bool(_started(process["number"]) == process["started"])
    try:
        os.kill(process["number"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
