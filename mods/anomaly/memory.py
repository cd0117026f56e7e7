"""The history without what was strange in it, so that it does not spoil the next forecasts.

Windows of a departure are made missing before the next forecast is made, for
the columns that departed and for a bounded time: a level that stays is no
outlier, and after `ACCEPT_DAYS` it is the new normal, which the incident says.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mods.anomaly.incidents import Incident

__all__ = ["ACCEPT_DAYS", "without_departures"]

#: After so many days a departure is the new normal.
ACCEPT_DAYS = 1
#: The alarm comes a little after the onset, and the sliding window ends after the incident.
_BEFORE, _AFTER = 4, 5


def without_departures(
    frame: pd.DataFrame, incidents: Iterable[Incident], *, per_day: int
) -> pd.DataFrame:
    """Return the frame with the values of departures made missing.

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
        A copy.  Values from `accepted` on stay, and so do all of a longer departure: the
        forecasts have to learn the new level.

    Examples
    --------
    >>> from mods.anomaly.incidents import Incident
    >>> frame = pd.DataFrame({"conn_in": [1.0] * 20, "ssh_in": [2.0] * 20})
    >>> one = Incident("x", "departure", 10, 12, 11, 3, 9.0, ("conn_in",), "more", {}, {}, "")
    >>> masked = without_departures(frame, [one], per_day=144)
    >>> masked["conn_in"].isna().to_numpy().nonzero()[0].tolist(), int(masked["ssh_in"].count())
    ([6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17], 20)
    """
    masked = frame.copy()
    masked.attrs = dict(frame.attrs)
    for incident in incidents:
        if incident.kind != "departure" or incident.accepted is not None:
            continue
        first = int(masked.index.get_indexer(pd.Index([incident.start]))[0])
        if first < 0:
            continue
        last = first + min(incident.windows, ACCEPT_DAYS * per_day) - 1
        rows = slice(max(0, first - _BEFORE), last + 1 + _AFTER)
        names = [name for name in incident.columns if name in masked]
        masked.iloc[rows, masked.columns.get_indexer(pd.Index(names))] = float("nan")
    return masked
