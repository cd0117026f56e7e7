"""Writes records as Zeek logs, in the dialects that the tests need."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

TYPES = {
    "ts": "time",
    "uid": "string",
    "id.orig_h": "addr",
    "id.orig_p": "port",
    "id.resp_h": "addr",
    "id.resp_p": "port",
    "proto": "enum",
    "service": "string",
    "duration": "interval",
    "orig_bytes": "count",
    "resp_bytes": "count",
    "local_orig": "bool",
    "local_resp": "bool",
    "query": "string",
    "AA": "bool",
    "TC": "bool",
    "RD": "bool",
    "RA": "bool",
    "rejected": "bool",
    "user_agent": "string",
    "tags": "set[string]",
}
ID = ["ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"]
FIELDS = {
    "conn": [*ID, "proto", "service", "duration", "orig_bytes", "resp_bytes", "local_orig", "tags"],
    "dns": [*ID, "proto", "query", "AA", "TC", "RD", "RA", "rejected"],
    "http": [*ID, "user_agent", "tags"],
    "sip": [*ID, "user_agent", "tags"],
    "ssh": [*ID, "tags"],
    "ssl": [*ID, "tags"],
}


def text(field, value, unset="-"):
    if value is None:
        return unset
    if TYPES[field] in ("time", "interval"):
        sign = "-" if value < 0 else ""
        return f"{sign}{abs(value) // 1_000_000}.{abs(value) % 1_000_000:06d}"
    if isinstance(value, bool):
        return "T" if value else "F"
    return "(empty)" if value == "" else str(value)


def header(protocol, fields, separator="\t", unset="-", separator_line=None):
    lines = [
        separator_line or "#separator " + "".join(f"\\x{ord(c):02x}" for c in separator),
        separator.join(["#set_separator", ","]),
        separator.join(["#empty_field", "(empty)"]),
        separator.join(["#unset_field", unset]),
        separator.join(["#path", protocol]),
        separator.join(["#open", "2019-06-01-00-00-00"]),
        separator.join(["#fields", *fields]),
        separator.join(["#types", *(TYPES[f.replace("id_", "id.")] for f in fields)]),
    ]
    return "\n".join(lines) + "\n"


def tsv(protocol, records, fields=None, separator="\t", unset="-", **options):
    fields = fields or FIELDS[protocol]
    lines = [
        separator.join(
            text(f.replace("id_", "id."), r.get(f.replace("id_", "id.")), unset) for f in fields
        )
        for r in records
    ]
    body = "".join(line + "\n" for line in lines)
    close = separator.join(["#close", "2019-06-02-00-00-00"]) + "\n"
    return header(protocol, fields, separator, unset, **options) + body + close


def json_lines(protocol, records, path=False, iso=False):
    lines = []
    for record in records:
        entry = {"_path": protocol, "_write_ts": "2019-06-01T00:00:00.000000Z"} if path else {}
        for field, value in record.items():
            if value is None:
                continue
            if field == "ts" and iso:
                from datetime import UTC, datetime, timedelta

                moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)
                entry[field] = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            elif TYPES[field] in ("time", "interval"):
                entry[field] = value / 1_000_000
            else:
                entry[field] = value
        lines.append(json.dumps(entry) + "\n")
    return "".join(lines)


def write(path: Path, content: str | bytes, pack: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw, 1) if pack else raw)
    return path
