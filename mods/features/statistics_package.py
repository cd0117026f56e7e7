"""The package of statistics that only `mods select` needs, imported when it is asked for."""

from __future__ import annotations

from typing import Any

from mods.errors import ConfigError

__all__ = ["stattools"]


def stattools() -> Any:
    """Return `statsmodels.tsa.stattools`, or raise `ConfigError` where it is not installed."""
    try:
        from statsmodels.tsa import stattools as found
    except ImportError as error:
        raise ConfigError(
            "the selection of features needs statsmodels, which is not installed",
            mend="Install it with: pip install 'mods[select]'",
        ) from error
    return found
