"""Reads logs of Zeek 6 by the plainest possible rules; shares no code with the package."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

# Written down by hand from Zeek 6's documentation (the default scripts, nothing added).
ZEEK_6 = {
    "conn": "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port "
    "proto:enum service:string duration:interval orig_bytes:count resp_bytes:count "
    "conn_state:string local_orig:bool local_resp:bool missed_bytes:count history:string "
    "orig_pkts:count orig_ip_bytes:count resp_pkts:count resp_ip_bytes:count "
    "tunnel_parents:set[string]",
    "dns": "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port "
    "proto:enum trans_id:count rtt:interval query:string qclass:count qclass_name:string "
    "qtype:count qtype_name:string rcode:count rcode_name:string AA:bool TC:bool RD:bool "
    "RA:bool Z:count answers:vector[string] TTLs:vector[interval] rejected:bool",
    "http": "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port "
    "trans_depth:count method:string host:string uri:string referrer:string version:string "
    "user_agent:string origin:string request_body_len:count response_body_len:count "
    "status_code:count status_msg:string info_code:count info_msg:string tags:set[enum] "
    "username:string password:string proxied:set[string] orig_fuids:vector[string] "
    "orig_filenames:vector[string] orig_mime_types:vector[string] resp_fuids:vector[string] "
    "resp_filenames:vector[string] resp_mime_types:vector[string]",
    "ssh": "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port "
    "version:count auth_success:bool auth_attempts:count direction:enum client:string "
    "server:string cipher_alg:string mac_alg:string compression_alg:string kex_alg:string "
    "host_key_alg:string host_key:string",
    "ssl": "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port "
    "version:string cipher:string curve:string server_name:string resumed:bool "
    "last_alert:string next_protocol:string established:bool ssl_history:string "
    "cert_chain_fps:vector[string] client_cert_chain_fps:vector[string] sni_matches_cert:bool",
    "sip": "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port "
    "trans_depth:count method:string uri:string date:string request_from:string "
    "request_to:string response_from:string response_to:string reply_to:string "
    "call_id:string seq:string subject:string request_path:vector[string] "
    "response_path:vector[string] user_agent:string status_code:count status_msg:string "
    "warning:string request_body_len:count response_body_len:count content_type:string",
}


def text_of(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


def value(text: str, zeek: str) -> Any:
    """Return a TSV cell as a value, by the plainest possible rules."""
    if zeek.startswith(("set[", "vector[")):
        inner = zeek[zeek.index("[") + 1 : -1]
        return [] if text == "(empty)" else [value(item, inner) for item in text.split(",")]
    if zeek in ("time", "interval"):
        return float(text)
    if zeek in ("count", "port"):
        return int(text)
    if zeek == "bool":
        return {"T": True, "F": False}[text]
    return text


def read_tsv(path: Path) -> list[dict[str, Any]]:
    lines = text_of(path).splitlines()
    fields, types = lines[6].split("\t")[1:], lines[7].split("\t")[1:]
    rows = []
    for line in lines[8:-1]:
        cells = line.split("\t")
        assert len(cells) == len(fields), line
        rows.append(
            {n: value(c, z) for n, z, c in zip(fields, types, cells, strict=True) if c != "-"}
        )
    return rows


def read_all(folder: Path, protocol: str) -> list[dict[str, Any]]:
    rows = []
    for path in sorted(folder.rglob(f"{protocol}*.log*")):
        if "{" in text_of(path)[:1]:
            rows += [json.loads(line) for line in text_of(path).splitlines()]
        else:
            rows += read_tsv(path)
    return rows


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file with its bytes, but for the note with the seconds it took."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".simulation.json")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}
