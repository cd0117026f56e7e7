"""The history without what was strange in it, so that it does not spoil the next forecasts.

The values of a departure are replaced before the next forecast is made, for the
columns that departed and for a bounded time: by a straight line between what came
before and what came after, and by nothing (a missing value) while it goes on.  A
level that stays is no outlier: after `ACCEPT_DAYS` it is the new normal, which the
incident says.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from mods.anomaly.incidents import Incident
from mods.models.evaluation import Forecaster

__all__ = ["ACCEPT_DAYS", "unspoilt", "without_departures"]

#: After so many days a departure is the new normal.
ACCEPT_DAYS = 1
#: The alarm comes a little after the onset, and the sliding window ends after the incident.
_BEFORE, _AFTER = 4, 5
_KEYS = ["origin", "step", "column"]
_SAID = ["forecast", "lower", "upper"]


def without_departures(
    frame: pd.DataFrame, incidents: Iterable[Incident], *, per_day: int
) -> pd.DataFrame:
    """Return the frame without the values of departures.

    Parameters
    ----------
    frame
        `(rows, columns)`: the history, up to the window from which is forecast.
    incidents
        What was found in it.  Those that were suppressed are left out of the history too.
    per_day
        Windows a day.

    Returns
    -------
    pandas.DataFrame
        A copy.  An accepted departure stays as it is: the forecasts have to learn the new
        level.  Values that were missing stay missing.

    Examples
    --------
    >>> from mods.anomaly.incidents import Incident
    >>> frame = pd.DataFrame({"conn_in": [1.0] * 20, "ssh_in": [2.0] * 20})
    >>> frame.loc[10:12, "conn_in"] = 9.0
    >>> one = Incident("x", "departure", 10, 12, 11, 3, 9.0, ("conn_in",), "more", {}, {}, "")
    >>> without_departures(frame, [one], per_day=144)["conn_in"].unique().tolist()
    [1.0]
    >>> running = without_departures(frame[:13], [one], per_day=144)
    >>> running["conn_in"].isna().to_numpy().nonzero()[0].tolist(), int(running["ssh_in"].count())
    ([6, 7, 8, 9, 10, 11, 12], 13)
    """
    departed = np.zeros(frame.shape, dtype=bool)
    for incident in incidents:
        if incident.kind != "departure" or incident.accepted is not None:
            continue
        first = int(frame.index.get_indexer(pd.Index([incident.start]))[0])
        if first < 0:
            continue
        last = first + min(incident.windows, ACCEPT_DAYS * per_day) - 1
        rows = slice(max(0, first - _BEFORE), last + 1 + _AFTER)
        places = frame.columns.get_indexer(pd.Index(list(incident.columns)))
        departed[rows, places[places >= 0]] = True
    kept = frame.mask(departed)
    filled = kept.reset_index(drop=True).interpolate(limit_area="inside").set_axis(frame.index)
    masked = kept.where(~departed, filled)
    masked.attrs = dict(frame.attrs)
    return masked


def unspoilt(
    model: Forecaster,
    frame: pd.DataFrame,
    table: pd.DataFrame,
    incidents: Iterable[Incident],
    *,
    per_day: int,
) -> pd.DataFrame:
    """Return a forecast table whose forecasts do not know the departures that were over by then.

    Parameters
    ----------
    model, frame
        What made the table, and of what: `(rows, columns)`.
    table
        The forecast table.
    incidents
        What was found in it.
    per_day
        Windows a day.

    Returns
    -------
    pandas.DataFrame
        A copy. Forecasts from origins in a departure, and in the windows beside it that are
        replaced with it, stay as they were: what comes after is not known to them.
    """
    over = [one for one in incidents if one.kind == "departure" and one.accepted is None]
    masked = without_departures(frame, over, per_day=per_day)
    if masked.equals(frame):
        return table
    again = table[_KEYS].merge(model.backtest(masked)[_KEYS + _SAID], on=_KEYS, how="left")
    beside = np.zeros(len(frame), dtype=bool)
    for one in over:
        first = int(frame.index.get_indexer(pd.Index([one.start]))[0])
        if first >= 0:
            beside[max(0, first - _BEFORE) : first + one.windows + _AFTER + 1] = True
    free = ~beside[frame.index.get_indexer(pd.Index(table["origin"]))]
    free &= again["forecast"].notna().to_numpy()
    return table.assign(**{name: table[name].where(~free, again[name]) for name in _SAID})
