"""Logs as JSON lines: what happened to which request, and never what was in it."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

from mods.serve.state import current

__all__ = ["JsonLines", "log_as_json"]


class JsonLines(logging.Formatter):
    """One JSON document a line: `time`, `level`, `logger`, `message`, and what is told beside.

    Of an exception its kind and its place are logged. Its text is not: it may quote an upload.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        document: dict[str, Any] = {
            "time": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        state = current.get()
        if state is not None:
            document["request_id"] = state.identifier
        document |= getattr(record, "told", {})
        if record.exc_info and record.exc_info[0] is not None:
            document["exception"] = record.exc_info[0].__name__
            document["at"] = [
                f"{frame.filename}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(record.exc_info[2])
            ]
        return json.dumps(document)


def log_as_json() -> None:
    """Send everything that is logged in this process to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.captureWarnings(capture=True)
    # What packages warn their developers of is nothing that who runs the service can mend.
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
