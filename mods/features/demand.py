"""Intermittent demand: its class, and Croston's method and TSB as forecasts.

Sources: Syntetos, Boylan and Croston, "On the categorization of demand patterns", Journal of
the Operational Research Society 56, 2005 (the classes and the cut-offs 1.32 and 0.49);
Croston, "Forecasting and stock control for intermittent demands", Operational Research
Quarterly 23, 1972; Teunter, Syntetos and Babai, "Intermittent demand: linking forecasting to
inventory obsolescence", European Journal of Operational Research 214, 2011 (TSB).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Demand", "croston", "describe_demand", "one_step_error", "tsb"]

INTERVAL_CUT = 1.32
VARIATION_CUT = 0.49


@dataclass(frozen=True)
class Demand:
    """How a column's values that are not zero come.

    `interval` is the windows for each demand, `variation` the squared coefficient of variation
    of the demands; the errors are mean absolute, one step ahead, NaN where nothing is to judge.
    """

    zeros: float
    interval: float
    variation: float
    kind: str
    croston_error: float
    tsb_error: float


def describe_demand(values: np.ndarray) -> Demand:
    """Return the pattern of `values`, `(windows,)`; missing ones do not count.

    Examples
    --------
    >>> describe_demand(np.array([0, 0, 4.0, 0, 0, 4.0])).kind
    'intermittent'
    """
    known = values[np.isfinite(values)]
    demands = known[known != 0]
    zeros = float(np.mean(known == 0)) if len(known) else np.nan
    if not len(demands):
        return Demand(zeros, np.nan, np.nan, "none", np.nan, np.nan)
    interval = len(known) / len(demands)
    scaled = demands / np.abs(demands).max()
    mean = scaled.mean()
    # Demands that cancel out have no coefficient of variation; they vary without bound.
    variation = float(np.var(scaled) / mean**2) if abs(mean) > 1e-12 else np.inf
    calm = variation < VARIATION_CUT
    if interval < INTERVAL_CUT:
        kind = "smooth" if calm else "erratic"
    else:
        kind = "intermittent" if calm else "lumpy"
    return Demand(
        zeros,
        interval,
        variation,
        kind,
        one_step_error(known, croston(known)),
        one_step_error(known, tsb(known)),
    )


def croston(values: np.ndarray, alpha: float = 0.1) -> np.ndarray:
    """Return Croston's forecast of the window after each, `(windows,)`; NaN before a demand.

    Size and interval of the demands are smoothed by `alpha`, each when a demand comes, and
    begin with the first demand and how long it took to come.

    Examples
    --------
    >>> croston(np.array([0, 2.0, 0, 0, 5.0]), alpha=0.5).round(3).tolist()
    [nan, 1.0, 1.0, 1.0, 1.4]
    """
    forecast = np.full(len(values), np.nan)
    size = interval = np.nan
    since = 0
    for place, value in enumerate(values.tolist()):
        since += 1
        if value != 0:
            if np.isnan(size):
                size, interval = value, float(since)
            else:
                size += alpha * (value - size)
                interval += alpha * (since - interval)
            since = 0
        forecast[place] = size / interval
    return forecast


def tsb(values: np.ndarray, alpha: float = 0.1, beta: float = 0.1) -> np.ndarray:
    """Return TSB's forecast of the window after each, `(windows,)`; NaN before a demand.

    The probability of a demand is smoothed by `beta` in every window, so that the forecast
    fades where demands stop; their size by `alpha` when one comes.

    Examples
    --------
    >>> tsb(np.array([0, 2.0, 0, 0, 6.0]), alpha=0.5, beta=0.5).tolist()
    [nan, 1.0, 0.5, 0.25, 2.25]
    """
    forecast = np.full(len(values), np.nan)
    size = chance = np.nan
    for place, value in enumerate(values.tolist()):
        if np.isnan(size):
            if value != 0:
                size, chance = value, 1.0 / (place + 1)
        else:
            chance += beta * ((value != 0) - chance)
            if value != 0:
                size += alpha * (value - size)
        forecast[place] = size * chance
    return forecast


def one_step_error(values: np.ndarray, forecast: np.ndarray) -> float:
    """Return the mean absolute error of each forecast against the window after it."""
    error = np.abs(values[1:] - forecast[:-1])
    error = error[np.isfinite(error)]
    return float(error.mean()) if len(error) else np.nan
