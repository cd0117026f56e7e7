"""Settings: folders, defaults, local networks; read from the environment, once.

==========================  =====================================================
environment variable        meaning
==========================  =====================================================
APP_INPUT_OUTPUT_BASE_DIR   folder that holds `data`, `models` and `checkpoints`
MODS_DATA_PATH              the data folder alone
MODS_MODELS_PATH            the models folder alone
MODS_LOCAL_NETS             local networks as CIDRs, separated by commas
APP_REMOTE_BASE_DIR         remote storage: a mounted folder, or a remote of rclone
APP_EXPERIMENT_NAMESPACE    a folder in it for this experiment alone
MODS_URL_HOSTS              hosts that the service may fetch data from; none by default
==========================  =====================================================

Without any, a checkout uses its own folders, and an installed package the
current directory; the checkpoints and the sample that come with the package
are found in both cases.
"""

from __future__ import annotations

import functools
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mods.errors import ConfigError

__all__ = [
    "DEFAULT_LOCAL_NETS",
    "DEFAULT_QUERY",
    "DEFAULT_WINDOW",
    "SEARCH_SPACES",
    "Folders",
    "folders",
    "local_nets",
    "shipped",
    "version",
]

DEFAULT_WINDOW = "w01h-s10m"
DEFAULT_QUERY = (
    "conn|in_count_uid~conn_in|out_count_uid~conn_out;"
    "dns|in_distinct_query~dns_in_distinct;"
    "ssh|in~ssh_in"
    "#window_start,window_end"
)

#: Private (RFC 1918, RFC 4193), shared (RFC 6598), link-local and loopback networks.
DEFAULT_LOCAL_NETS = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
)

_ANY: dict[str, tuple[float, ...]] = {
    "learning_rate": (3e-4, 6e-4, 1e-3, 2e-3),
    "dropout_rate": (0.0, 0.1, 0.2, 0.3),
    "blocks": (16, 32, 48, 64),
    "sequence_len": (24, 36, 48, 72),
}
_STACKED: dict[str, tuple[float, ...]] = _ANY | {"stacked_blocks": (1, 2, 3)}
#: What `mods tune` tries for each model type; the defaults are in every list.
SEARCH_SPACES: dict[str, dict[str, tuple[float, ...]]] = {
    "MLP": _STACKED,
    "Conv1D": _STACKED,
    "autoencoderMLP": _STACKED,
    "LSTM": _ANY,
    "GRU": _ANY,
    "bidirectLSTM": _ANY,
    "seq2seqLSTM": _ANY,
    "stackedLSTM": _STACKED,
    "attentionLSTM": _ANY,
    "TCN": _ANY,
    "stackedTCN": _STACKED,
}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Folders:
    """Where data, models and checkpoints are kept."""

    data: Path
    models: Path
    checkpoints: Path

    @property
    def datapools(self) -> Path:
        """The datapools, as plain trees or zips at any depth."""
        return self.data / "features" / "datapools"


@functools.cache
def folders() -> Folders:
    """Return the folders in use; read from the environment at the first call."""
    given = os.environ.get("APP_INPUT_OUTPUT_BASE_DIR")
    base = Path(given) if given else (_checkout() or Path.cwd())
    return Folders(
        data=Path(os.environ.get("MODS_DATA_PATH") or base / "data"),
        models=Path(os.environ.get("MODS_MODELS_PATH") or base / "models"),
        checkpoints=base / "checkpoints",
    )


def shipped(name: str) -> Path | None:
    """Return the path of a file that comes with the package, None where it is missing.

    Parameters
    ----------
    name
        Relative to the checkout, for example `models/model_default_cpu.zip`.
    """
    checkout = _checkout()
    if checkout is not None:
        path = checkout / name
        return path if path.is_file() else None
    # A wheel carries these files as data files; only its own record tells where they went.
    try:
        files = metadata.files("mods") or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.as_posix().endswith(f"share/mods/{name}"):
            path = Path(str(file.locate()))
            return path.resolve() if path.is_file() else None
    return None


def local_nets(given: Iterable[str] | None = None) -> tuple[Network, ...]:
    """Return the local networks: those given, else the environment's, else the private ranges.

    Raises
    ------
    ConfigError
        Where one is no CIDR.

    Examples
    --------
    >>> local_nets(["147.213.0.0/16"])
    (IPv4Network('147.213.0.0/16'),)
    """
    names = list(given or ())
    if not names:
        names = [n for n in os.environ.get("MODS_LOCAL_NETS", "").split(",") if n.strip()]
    networks = []
    for name in names or DEFAULT_LOCAL_NETS:
        try:
            networks.append(ipaddress.ip_network(name.strip(), strict=False))
        except ValueError:
            raise ConfigError(
                f"local network {name!r}",
                "a CIDR",
                "Write for example 10.0.0.0/8 or 2001:db8::/32.",
            ) from None
    return tuple(networks)


def version() -> str:
    """Return the installed version of the package."""
    return metadata.version("mods")


def _checkout() -> Path | None:
    """Return the root of the checkout that the package runs from, None in an installation."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "setup.cfg").is_file() and (root / "models").is_dir() else None
