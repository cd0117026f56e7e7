"""Where detections leave: score table, incidents, a Zeek notice log, a picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from mods.anomaly.detect import Detection
from mods.anomaly.incidents import Incident
from mods.errors import DataError, did_you_mean
from mods.files import write_aside

__all__ = ["FORMATS", "check_output", "notice_log", "score_csv", "write_detection"]

#: Fields of Zeek's notice.log, in its order, with their types.
_NOTICE = {
    "ts": "time",
    "uid": "string",
    "id.orig_h": "addr",
    "id.orig_p": "port",
    "id.resp_h": "addr",
    "id.resp_p": "port",
    "fuid": "string",
    "file_mime_type": "string",
    "file_desc": "string",
    "proto": "enum",
    "note": "enum",
    "msg": "string",
    "sub": "string",
    "src": "addr",
    "dst": "addr",
    "p": "port",
    "n": "count",
    "peer_descr": "string",
    "actions": "set[enum]",
    "email_dest": "set[string]",
    "suppress_for": "interval",
}
_SUPPRESS_FOR = 3600.0


def score_csv(detection: Detection) -> str:
    """Return the score table as CSV: times as ISO 8601 in UTC, nothing where a score is missing."""
    return str(detection.scores.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%SZ"))


def incident_lines(detection: Detection) -> str:
    """Return one JSON object a line, one line an incident, suppressed ones too."""
    return "".join(
        json.dumps(incident.as_dict(), allow_nan=False) + "\n" for incident in detection.incidents
    )


def notice_log(detection: Detection) -> str:
    """Return the incidents as Zeek writes `notice.log`; suppressed ones are left out.

    `note` is `MODS::Departure` or `MODS::Outage`, `msg` the sentence, `sub` the identifier, `n`
    the number of windows.

    Raises
    ------
    DataError
        Where the data have no times.
    """
    if not isinstance(detection.forecasts.windows, pd.DatetimeIndex):
        raise DataError(
            "a notice log needs times, and the data have row numbers",
            "data with a window_start column",
            "Write .csv or .jsonl instead.",
        )
    head = [
        "#separator \\x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        "#unset_field\t-",
        "#path\tnotice",
        "#fields\t" + "\t".join(_NOTICE),
        "#types\t" + "\t".join(_NOTICE.values()),
    ]
    told = [incident for incident in detection.incidents if incident.suppressed is None]
    return "\n".join([*head, *map(_notice, told)]) + "\n"


def _notice(incident: Incident) -> str:
    said = {
        "ts": f"{incident.start.timestamp():.6f}",
        "note": f"MODS::{incident.kind.capitalize()}",
        "msg": _escaped(incident.text),
        "sub": incident.id,
        "n": str(incident.windows),
        "peer_descr": "mods",
        "actions": "Notice::ACTION_LOG",
        "email_dest": "(empty)",
        "suppress_for": f"{_SUPPRESS_FOR:.6f}",
    }
    return "\t".join(said.get(field, "-") for field in _NOTICE)


def _escaped(text: str) -> str:
    """Return the text with what would end the field written as Zeek does."""
    return text.replace("\\", "\\\\").replace("\t", "\\x09").replace("\n", "\\x0a")


def _picture(detection: Detection) -> bytes:
    from mods.anomaly.figure import plot_incidents
    from mods.visualization.visualize import picture

    return picture(plot_incidents(detection))


#: What each ending holds.
FORMATS: dict[str, Callable[[Detection], str | bytes]] = {
    ".jsonl": incident_lines,
    ".csv": score_csv,
    ".log": notice_log,
    ".png": _picture,
}


def check_output(path: Path | str) -> None:
    """Raise `DataError` where the ending is not one that can be written."""
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise DataError(
            f"cannot write {str(path)!r}",
            f"a file that ends in {', '.join(FORMATS)}",
            did_you_mean(ending, FORMATS) if ending else "",
        )


def write_detection(detection: Detection, path: Path | str) -> None:
    """Write what the file's ending says; written aside and renamed."""
    check_output(path)
    content = FORMATS[Path(path).suffix.lower()](detection)
    with write_aside(path) as partial:
        if isinstance(content, bytes):
            partial.write_bytes(content)
        else:
            partial.write_text(content, encoding="utf-8")
