"""Forecast tables made without a network, for the tests of the alarms."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mods.anomaly.forecasts import Forecasts, read_forecasts
from mods.models.forecast import forecast_table

WINDOW = "w01h-s10m"
HORIZON = 12


def quiet_frame(days: int, seed: int = 0, *, times: bool = True) -> pd.DataFrame:
    """Return two columns with a daily course and correlated noise, `(144 * days, 2)`."""
    rng = np.random.default_rng(seed)
    rows = 144 * days
    daily = 1 + 0.3 * np.sin(np.arange(rows) / 144 * 2 * np.pi)
    noise = np.convolve(rng.normal(0, 0.02, rows + 5), np.ones(6) / 6**0.5, "valid")
    other = np.convolve(rng.normal(0, 0.02, rows + 5), np.ones(6) / 6**0.5, "valid")
    index: pd.Index = pd.RangeIndex(rows, name="row")
    if times:
        index = pd.date_range("2019-06-01", periods=rows, freq="10min", tz="UTC", unit="us")
        index.name = "window_start"
    frame = pd.DataFrame(
        {"conn_in": 1000 * daily * np.exp(noise), "ssh_in": 300 * daily * np.exp(other)},
        index=index,
    ).round()
    frame.attrs["window"] = WINDOW
    return frame


def seasonal_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a forecast table: the daily course plus what is left of the last departure."""
    daily = 1 + 0.3 * np.sin(np.arange(len(frame) + HORIZON) / 144 * 2 * np.pi)
    known = np.log(np.maximum(frame.ffill().to_numpy(), 1))
    level = np.log([1000.0, 300.0])
    origins = np.arange(36, len(frame))
    point = np.empty((len(origins), HORIZON, 2))
    width = np.empty(HORIZON)
    for step in range(1, HORIZON + 1):
        left = max(0.0, 1 - step / 6)
        gap = known[origins] - level - np.log(daily[origins])[:, None]
        point[:, step - 1] = np.exp(level + np.log(daily[origins + step])[:, None] + left * gap)
        # Six draws of 0.02, summed over their root: each window that is not known adds a sixth.
        width[step - 1] = 1.645 * 0.02 * np.sqrt(max(1e-9, 1 - left**2))
    wide = np.exp(width)[None, :, None]
    return forecast_table(frame, origins, point, point / wide, point * wide)


def seasonal_forecasts(frame: pd.DataFrame) -> Forecasts:
    return read_forecasts(seasonal_table(frame), window=WINDOW)


def with_burst(
    frame: pd.DataFrame, row: int, windows: int, factor: float, column: str = "conn_in"
) -> pd.DataFrame:
    """Return a copy in which one column is multiplied for some windows."""
    values = frame[column].to_numpy(copy=True)
    values[row : row + windows] = np.round(values[row : row + windows] * factor)
    changed = frame.assign(**{column: values})
    changed.attrs = dict(frame.attrs)
    return changed
