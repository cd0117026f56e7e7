"""What `mods serve` is told, checked before anything starts."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from mods.errors import ConfigError

__all__ = ["ServeOptions", "read_keys", "tls_context"]

#: A shorter key could be guessed.
MIN_KEY = 16
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class ServeOptions:
    """What is served where, and its limits.

    Attributes
    ----------
    host, port
        Where to listen; port 0 takes a free one, which the log tells.
    workers
        Processes that predict, each with the models that it was asked for.
    trainings
        Trainings that run at the same time, each in a process of its own.
    queue
        Predictions, and trainings, that may wait for a process; more are answered by 429.
    timeout
        Seconds that a request may take, reading and waiting included.
    max_size
        Bytes that a request's body may have.
    stop_timeout
        Seconds that requests have to end after SIGTERM or Ctrl-C.
    keys
        API keys of which a request has to bring one; none is asked for where there are none.
    tls
        Certificate and key, None for plain HTTP.
    board_port
        Where TensorBoard listens, None where it is not wanted.
    """

    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 1
    trainings: int = 1
    queue: int = 16
    timeout: float = 60.0
    max_size: int = 100 * MEBIBYTE
    stop_timeout: float = 30.0
    keys: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    board_port: int | None = None


def read_keys(path: Path) -> tuple[str, ...]:
    """Read the API keys of a file: one a line, blank lines and lines with `#` left out.

    More than one lets clients change over from an old key to a new one.

    Raises
    ------
    ConfigError
        Where the file cannot be read, has no key, or one that is too short.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="ascii").splitlines()]
    except OSError as error:
        raise ConfigError(f"cannot read the keys in {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"the keys in {str(path)!r}", "ASCII text, one key a line") from None
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    # The message never shows a key.
    if not keys or min(map(len, keys)) < MIN_KEY:
        raise ConfigError(
            f"the keys in {str(path)!r}: {len(keys)} of them, or one that is too short",
            f"one key a line, of at least {MIN_KEY} characters",
            "Make one with 'openssl rand -hex 32'.",
        )
    return keys


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the TLS settings for a certificate and its key, None where neither is given.

    Raises
    ------
    ConfigError
        Where one of them is missing or cannot be used.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigError("TLS with one of --tls-cert and --tls-key", "both of them, or neither")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificate {str(certificate)!r} with the key {str(key)!r}: "
            f"{error.strerror or error}",
            "a certificate chain and its key in PEM files",
        ) from None
    return context
