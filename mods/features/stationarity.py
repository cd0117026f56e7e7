"""Whether a column keeps its level: two tests with opposite null hypotheses, read together.

Sources: Dickey and Fuller, 1979 (null: a unit root); Kwiatkowski, Phillips, Schmidt and Shin,
1992 (null: stationary). Where both speak for it the column is stationary; KPSS alone against
a unit root: a trend to take away; ADF alone: differences to take.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mods.features.statistics_package import stattools

__all__ = ["Stationarity", "judge_stationarity"]

LEVEL = 0.05
#: The tests' cost grows with the rows; the last ones speak of what is to be forecast.
MOST_ROWS = 4032
_LAGS = 24


@dataclass(frozen=True)
class Stationarity:
    """`kind` is stationary, trend, difference or unclear; KPSS' p-value lies in 0.01 to 0.1."""

    kind: str
    adf: float
    kpss: float


def judge_stationarity(values: np.ndarray) -> Stationarity:
    """Judge `values`, `(windows,)`; missing ones are interpolated.

    Examples
    --------
    >>> judge_stationarity(np.random.default_rng(0).normal(size=500)).kind
    'stationary'
    """
    tools = stattools()
    filled = pd.Series(values).interpolate(limit_direction="both").to_numpy()[-MOST_ROWS:]
    if np.ptp(filled) == 0:
        return Stationarity("stationary", np.nan, np.nan)
    filled = (filled - filled.mean()) / np.ptp(filled)
    with warnings.catch_warnings():
        # KPSS warns where its p-value lies outside its table, as told above; both that they
        # will return objects instead of tuples, which `_p_value` takes too.
        warnings.simplefilter("ignore")
        lags = min(_LAGS, len(filled) // 4)
        adf = _p_value(tools.adfuller(filled, maxlag=lags, autolag="AIC"))
        kpss = _p_value(tools.kpss(filled, regression="c", nlags="auto"))
    if not np.isfinite([adf, kpss]).all():
        return Stationarity("unclear", adf, kpss)
    root, level = adf < LEVEL, kpss >= LEVEL
    # Both tests reject: the difference form of stationarity; neither does: too little to tell.
    kinds = {(True, True): "stationary", (False, False): "difference", (True, False): "trend"}
    return Stationarity(kinds.get((root, level), "unclear"), adf, kpss)


def _p_value(result: Any) -> float:
    return float(result[1] if isinstance(result, tuple) else result.pvalue)
