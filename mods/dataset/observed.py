"""The missing-window rule: when the sensor was observing, and which windows are therefore known.

A window is **known** where the sensor was observing for its whole span.  A known
window without a record of a protocol is zeros (an average over no record is
missing); any other window is a row without values.

Only the records tell whether the sensor was observing: its files' names and
headers carry the sensor's local clock, or that of the computer on which a
capture was read years later.  So:

- The sensor is taken as observing from one record to the next, of whatever
  protocol, where they are at most `QUIET` (an hour) apart.  A quiet night is no
  outage; a gap of hours is.
- An observed span is widened to whole slides at both ends, though by no more
  than `QUIET`: what came within the slide is all that there was of it.

Windows that begin before the first observed slide, reach past the last or touch
an outage are missing.  A log that ends at midnight therefore leaves the windows
of its last hour (but one slide) missing: their span is not complete.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from mods.timerange import MICROSECONDS, Window

__all__ = ["DAY", "QUIET", "known_windows", "observed_spans"]

#: Microseconds without any record after which a sensor is taken as not observing.
QUIET = 3600 * MICROSECONDS
DAY = 86400 * MICROSECONDS


def observed_spans(minutes: pl.DataFrame) -> np.ndarray:
    """Return the spans in which the sensor was observing.

    Parameters
    ----------
    minutes
        `first, last`: times of records, in microseconds, any number of rows and in any order,
        between the two of which the sensor was observing.

    Returns
    -------
    numpy.ndarray
        `(spans, 2)`, int64: the first and last record of each, in microseconds.

    Examples
    --------
    >>> hours = pl.DataFrame({"first": [0, 3600, 7201]}) * 1_000_000
    >>> (observed_spans(hours.with_columns(last="first")) // 1_000_000).tolist()
    [[0, 3600], [7201, 7201]]
    """
    ordered = minutes.sort("first")
    first = ordered["first"].to_numpy()
    last = np.maximum.accumulate(ordered["last"].to_numpy()) if len(first) else first
    new = np.ones(len(first), dtype=bool)
    new[1:] = first[1:] - last[:-1] > QUIET
    ends = np.append(np.flatnonzero(new)[1:] - 1, len(first) - 1)[: new.sum()]
    return np.stack([first[new], last[ends]], axis=1)


def known_windows(spans: np.ndarray, window: Window, starts: range) -> pl.Series:
    """Tell which windows are known: `(windows,)`, bool.

    Parameters
    ----------
    spans
        Of `observed_spans`.
    window, starts
        The windows, by their starts in slides since the epoch.

    Examples
    --------
    A sensor that observes from 00:03 to 02:58:

    >>> spans = np.array([[180, 10_680]]) * 1_000_000
    >>> known = known_windows(spans, Window.parse("w01h-s10m"), range(-1, 14))
    >>> [start for start, yes in zip(range(-1, 14), known) if yes]
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    """
    slide = window.slide * MICROSECONDS
    known = np.zeros(len(starts), dtype=bool)
    for first, last in spans.tolist():
        begin, end = first // slide, last // slide + 1  # in slides, [begin, end)
        begin += first - begin * slide > QUIET
        end -= end * slide - last > QUIET
        low = max(begin - starts.start, 0)
        known[low : max(end - window.slots + 1 - starts.start, low)] = True
    return pl.Series("known", known)
