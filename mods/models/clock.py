"""The calendar as a network takes it: hour and weekday at the site's clock."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["CALENDAR", "calendar"]

#: What `calendar` tells, in order.
CALENDAR = (
    "day_sin",
    "day_cos",
    "half_sin",
    "half_cos",
    "week_sin",
    "week_cos",
    "weekend",
    "known",
)


def calendar(times: pd.DatetimeIndex | None, origins: np.ndarray, utc_offset: float) -> np.ndarray:
    """Return the calendar at the origins: `(windows, len(CALENDAR))`; zeros without times.

    Parameters
    ----------
    times
        Window starts of the rows, UTC.
    origins
        `(windows,)`, int: rows.
    utc_offset
        Hours that the site's clock is ahead of UTC.

    Examples
    --------
    >>> sunday = pd.DatetimeIndex(["2024-03-10T18:00"], tz="UTC")
    >>> calendar(sunday, np.array([0]), 0.0).round(2).tolist()
    [[-1.0, -0.0, 0.0, -1.0, -0.22, 0.97, 1.0, 1.0]]
    """
    if times is None:
        return np.zeros((len(origins), len(CALENDAR)))
    seconds = times[origins].as_unit("s").asi8 + round(utc_offset * 3600)
    day = 2 * np.pi * (seconds % 86400) / 86400
    # 1970-01-01 was a Thursday; weeks are counted from Monday.
    week = 2 * np.pi * ((seconds + 3 * 86400) % 604800) / 604800
    weekend = (seconds // 86400 + 3) % 7 >= 5
    waves = [np.sin(day), np.cos(day), np.sin(2 * day), np.cos(2 * day), np.sin(week), np.cos(week)]
    return np.stack([*waves, weekend, np.ones(len(origins))], axis=1)
