"""Logs that can be handed on: addresses as pseudonyms, nothing that names a person.

Addresses are replaced by Crypto-PAn (Xu et al., "Prefix-preserving IP address
anonymization", ICNP 2002): two addresses that share their first n bits share n bits
afterwards, so networks stay networks.  Whoever has the key can undo it.  Queries
and user agents are left out.  The fields `local_orig` and `local_resp` say which
end was local, for pseudonyms lie in other networks than the addresses did.

Features of such logs, made with `--own-direction`, equal those of the originals,
but for the distinct queries and user agents.
"""

from __future__ import annotations

import gzip
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import narwhals as nw
import polars as pl

from mods.dataset.direction import Hosts, in_hosts
from mods.dataset.protocols import FIELDS, PROTOCOLS
from mods.dataset.zeek import Log, ReadLog
from mods.errors import ConfigError, DataError
from mods.files import write_aside

__all__ = ["Pseudonyms", "pseudonymise_logs", "read_key"]

_KEY_BYTES = 32
#: What names people, or what they do.
_DROPPED = ("query", "user_agent")
_ENDS = ("id_orig_h", "id_resp_h")


class Pseudonyms:
    """Pseudonyms of addresses, the same ones for the same key.

    Raises
    ------
    ConfigError
        Where the library is not installed.

    Examples
    --------
    >>> pseudonyms = Pseudonyms(bytes(range(32)))
    >>> one, two = pseudonyms.of("10.1.2.3"), pseudonyms.of("10.1.2.77")
    >>> one != "10.1.2.3", one.rsplit(".", 1)[0] == two.rsplit(".", 1)[0]
    (True, True)
    """

    def __init__(self, key: bytes) -> None:
        try:
            from yacryptopan import CryptoPAn  # type: ignore[import-untyped]
        except ImportError:
            raise ConfigError(
                "pseudonyms need the package 'yacryptopan'",
                mend="Install it with: pip install yacryptopan",
            ) from None
        self._library: Any = CryptoPAn(key)
        self._known: dict[str, str] = {}

    def of(self, address: str) -> str:
        """Return the pseudonym of an address; raise `ValueError` for what is none."""
        if address not in self._known:
            self._known[address] = str(self._library.anonymize(address))
        return self._known[address]


def read_key(path: Path) -> bytes:
    """Read the key of a file; make one, readable by its owner only, where there is no file.

    Raises
    ------
    ConfigError
        Where the file is no key or cannot be read or written.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(_KEY_BYTES) + "\n")
        key = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise ConfigError(f"key file {str(path)!r}: {error}", "64 hexadecimal digits") from None
    if len(key) != _KEY_BYTES:
        raise ConfigError(f"key file {str(path)!r} has {len(key)} bytes", "64 hexadecimal digits")
    return key


def pseudonymise_logs(
    logs: Sequence[Log], out: Path, key: bytes, hosts: Hosts
) -> tuple[list[Path], int]:
    """Write a copy of each log that can be handed on.

    Parameters
    ----------
    logs
        The logs.
    out
        A folder; the copies keep the logs' names and folders below their common one.
    key
        32 bytes; see `read_key`.
    hosts
        The local networks.

    Returns
    -------
    tuple
        The files written, and the number of records left out because an end is no address.

    Raises
    ------
    DataError
        Where writing fails, or the copies would lie among the logs.
    """
    pseudonyms = Pseudonyms(key)
    paths = [Path(str(log.path)).resolve() for log in logs]
    base = Path(os.path.commonpath([path.parent for path in paths]))
    if out.resolve().is_relative_to(base):
        raise DataError(
            f"the copies would lie in {str(out)!r}, among the logs", mend="Name another folder."
        )
    written: list[Path] = []
    dropped = 0
    for log, source in zip(logs, paths, strict=True):
        place = out / source.relative_to(base)
        with ExitStack() as stack:
            files: dict[str, IO[bytes]] = {}
            for block in ReadLog(log, {name: _read(name) for name in PROTOCOLS}):
                protocol = block.protocol
                if protocol not in files:
                    path = _copy(place, "" if log.protocol else protocol)
                    files[protocol] = stack.enter_context(_writing(path))
                    files[protocol].write(gzip.compress(_header(protocol)))
                    written.append(path)
                lines, without = _lines(block.records, protocol, pseudonyms, hosts)
                # members of a gzip follow each other: no more than a block is in memory
                files[protocol].write(gzip.compress(lines))
                dropped += without
    return written, dropped


def _copy(place: Path, protocol: str) -> Path:
    """Return the name of a log's copy; the logs in a stream of many get their protocol's."""
    name = place.name.removesuffix(".gz").removesuffix(".zst")
    return place.with_name(f"{protocol}.{name}.gz" if protocol else f"{name}.gz")


@contextmanager
def _writing(path: Path) -> Iterator[IO[bytes]]:
    with write_aside(path) as partial, partial.open("wb") as file:
        yield file


def _read(protocol: str) -> tuple[str, ...]:
    """Return the fields of a protocol that are read."""
    return (*PROTOCOLS[protocol].fields, *_more(protocol))


def _more(protocol: str) -> tuple[str, ...]:
    ports = ("id_orig_p", "id_resp_p")
    return tuple(port for port in ports if port not in PROTOCOLS[protocol].fields)


def _columns(protocol: str) -> list[str]:
    """Return the fields of a copy."""
    return [*(f for f in _read(protocol) if f not in _DROPPED), "local_orig", "local_resp"]


def _header(protocol: str) -> bytes:
    names = _columns(protocol)
    shown = [name.replace("id_", "id.") for name in names]
    lines = [
        "#separator \\x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        "#unset_field\t-",
        f"#path\t{protocol}",
        "\t".join(["#fields", *shown]),
        "\t".join(["#types", *(FIELDS[name] for name in names)]),
    ]
    return ("\n".join(lines) + "\n").encode()


def _lines(
    records: pl.DataFrame, protocol: str, pseudonyms: Pseudonyms, hosts: Hosts
) -> tuple[bytes, int]:
    """Return records as lines of a TSV log, and how many have an end that is no address."""
    found = pl.concat([records[end] for end in _ENDS]).drop_nulls().unique().to_list()
    hidden = {hosts: [h for h in found if ":" in h and hosts.contains(h)]} if hosts.hidden else {}
    known = _known(found, pseudonyms)
    local = nw.from_native(records.lazy()).with_columns(
        local_orig=in_hosts("id_orig_h", hosts, hidden),
        local_resp=in_hosts("id_resp_h", hosts, hidden),
    )
    marked = local.to_native().with_columns(
        pl.col(end).replace_strict(known, default=None, return_dtype=pl.String) for end in _ENDS
    )
    sound = marked.filter(pl.all_horizontal(pl.col(end).is_not_null() for end in _ENDS)).collect()
    text = sound.select(_text(name) for name in _columns(protocol))
    body = text.write_csv(separator="\t", include_header=False, null_value="-", quote_style="never")
    return body.encode(), records.height - sound.height


def _known(hosts: Iterable[str], pseudonyms: Pseudonyms) -> dict[str, str]:
    known = {}
    for host in hosts:
        try:
            known[host] = pseudonyms.of(host)
        except ValueError:
            continue
    return known


def _text(name: str) -> pl.Expr:
    value, kind = pl.col(name), FIELDS[name]
    if kind in ("time", "interval"):
        size = value.abs()
        sign = pl.when(value < 0).then(pl.lit("-")).otherwise(pl.lit(""))
        micro = (size % 1_000_000).cast(pl.String).str.zfill(6)
        return pl.format("{}{}.{}", sign, size // 1_000_000, micro).alias(name)
    if kind == "bool":
        return pl.when(value).then(pl.lit("T")).when(~value).then(pl.lit("F")).alias(name)
    return value
