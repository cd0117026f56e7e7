"""The fields of the simulated logs, as Zeek 6 writes them with its default scripts.

Kept as Zeek's documentation lists them (`scripts/base/protocols/*/main.zeek`
and the scripts beside it that add fields); `tunnel_parents` and the like stay
even where nothing ever fills them.
"""

from __future__ import annotations

import polars as pl

__all__ = ["FIELDS", "PROTOCOLS", "empty_records", "polars_type"]

_CONNECTION = (
    ("ts", "time"),
    ("uid", "string"),
    ("id.orig_h", "addr"),
    ("id.orig_p", "port"),
    ("id.resp_h", "addr"),
    ("id.resp_p", "port"),
)

#: The fields of each log with their Zeek types, in the order in which they stand.
FIELDS: dict[str, tuple[tuple[str, str], ...]] = {
    "conn": (
        *_CONNECTION,
        ("proto", "enum"),
        ("service", "string"),
        ("duration", "interval"),
        ("orig_bytes", "count"),
        ("resp_bytes", "count"),
        ("conn_state", "string"),
        ("local_orig", "bool"),
        ("local_resp", "bool"),
        ("missed_bytes", "count"),
        ("history", "string"),
        ("orig_pkts", "count"),
        ("orig_ip_bytes", "count"),
        ("resp_pkts", "count"),
        ("resp_ip_bytes", "count"),
        ("tunnel_parents", "set[string]"),
    ),
    "dns": (
        *_CONNECTION,
        ("proto", "enum"),
        ("trans_id", "count"),
        ("rtt", "interval"),
        ("query", "string"),
        ("qclass", "count"),
        ("qclass_name", "string"),
        ("qtype", "count"),
        ("qtype_name", "string"),
        ("rcode", "count"),
        ("rcode_name", "string"),
        ("AA", "bool"),
        ("TC", "bool"),
        ("RD", "bool"),
        ("RA", "bool"),
        ("Z", "count"),
        ("answers", "vector[string]"),
        ("TTLs", "vector[interval]"),
        ("rejected", "bool"),
    ),
    "http": (
        *_CONNECTION,
        ("trans_depth", "count"),
        ("method", "string"),
        ("host", "string"),
        ("uri", "string"),
        ("referrer", "string"),
        ("version", "string"),
        ("user_agent", "string"),
        ("origin", "string"),
        ("request_body_len", "count"),
        ("response_body_len", "count"),
        ("status_code", "count"),
        ("status_msg", "string"),
        ("info_code", "count"),
        ("info_msg", "string"),
        ("tags", "set[enum]"),
        ("username", "string"),
        ("password", "string"),
        ("proxied", "set[string]"),
        ("orig_fuids", "vector[string]"),
        ("orig_filenames", "vector[string]"),
        ("orig_mime_types", "vector[string]"),
        ("resp_fuids", "vector[string]"),
        ("resp_filenames", "vector[string]"),
        ("resp_mime_types", "vector[string]"),
    ),
    "ssh": (
        *_CONNECTION,
        ("version", "count"),
        ("auth_success", "bool"),
        ("auth_attempts", "count"),
        ("direction", "enum"),
        ("client", "string"),
        ("server", "string"),
        ("cipher_alg", "string"),
        ("mac_alg", "string"),
        ("compression_alg", "string"),
        ("kex_alg", "string"),
        ("host_key_alg", "string"),
        ("host_key", "string"),
    ),
    "ssl": (
        *_CONNECTION,
        ("version", "string"),
        ("cipher", "string"),
        ("curve", "string"),
        ("server_name", "string"),
        ("resumed", "bool"),
        ("last_alert", "string"),
        ("next_protocol", "string"),
        ("established", "bool"),
        ("ssl_history", "string"),
        ("cert_chain_fps", "vector[string]"),
        ("client_cert_chain_fps", "vector[string]"),
        ("sni_matches_cert", "bool"),
    ),
    "sip": (
        *_CONNECTION,
        ("trans_depth", "count"),
        ("method", "string"),
        ("uri", "string"),
        ("date", "string"),
        ("request_from", "string"),
        ("request_to", "string"),
        ("response_from", "string"),
        ("response_to", "string"),
        ("reply_to", "string"),
        ("call_id", "string"),
        ("seq", "string"),
        ("subject", "string"),
        ("request_path", "vector[string]"),
        ("response_path", "vector[string]"),
        ("user_agent", "string"),
        ("status_code", "count"),
        ("status_msg", "string"),
        ("warning", "string"),
        ("request_body_len", "count"),
        ("response_body_len", "count"),
        ("content_type", "string"),
    ),
}

PROTOCOLS = tuple(FIELDS)

_POLARS: dict[str, pl.DataType] = {
    "time": pl.Datetime("us", "UTC"),
    "interval": pl.Float64(),
    "count": pl.Int64(),
    "port": pl.Int64(),
    "bool": pl.Boolean(),
}


def polars_type(zeek: str) -> pl.DataType:
    """Return the type of a column of record tables, from Zeek's type.

    Examples
    --------
    >>> polars_type("interval"), polars_type("vector[string]")
    (Float64, List(String))
    """
    if zeek.startswith(("set[", "vector[")):
        return pl.List(polars_type(zeek[zeek.index("[") + 1 : -1]))
    return _POLARS.get(zeek, pl.String())


def empty_records(protocol: str) -> pl.DataFrame:
    """Return a record table of a protocol without records."""
    return pl.DataFrame(schema={name: polars_type(zeek) for name, zeek in FIELDS[protocol]})
