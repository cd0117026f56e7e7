"""Intervals that keep their promise on later data.

Raw quantiles of a network cover less than they claim once the traffic moves on.
Here each bound gets a margin, learned from how far earlier actual values lay
beyond it: conformalised quantile regression (Romano, Patterson, Candès, 2019),
with one margin for each bound, step and column, over a rolling window of the
latest scores, so that it follows the network.  What a rolling window misses
while a level drifts is made up by a slow feedback on the misses themselves
(quantile tracking, Angelopoulos, Candès, Tibshirani, 2023; adaptive conformal
inference, Gibbs, Candès, 2021), which holds the coverage in the long run
whatever the data do.

A score is how far the actual value lies beyond a bound, in interval widths, so
it has no scale and a state learned on one network serves any other.  At origin
`t` only scores of targets at or before `t` are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mods.models.rolling import rolling_quantile

__all__ = ["Calibration"]

FloatArray = npt.NDArray[np.floating]

#: Fourteen days of ten-minute windows.
DEFAULT_WINDOW = 2016
#: How many scores a state carries for each bound, step and column.
CARRIED = 256
#: How far one miss moves a margin, in interval widths.
_RATE = 0.002
#: A bound may move by this share of the forecast even where the interval has no width.
_FLOOR = 1e-3
#: No score is larger, so that an interval of next to no width cannot overflow the margins.
_LARGEST = 1e6


@dataclass(frozen=True)
class Calibration:
    """The margins' state, which travels in the bundle and grows with new actual values.

    Attributes
    ----------
    coverage
        The share of actual values that the interval is to hold.
    columns
        The columns that have a state of their own; others use `pooled`.
    scores
        `(CARRIED, steps, columns, 2)`, float32, interval widths: a thinned sample of the
        latest scores of lower and upper bound.
    offset
        `(steps, columns, 2)`, interval widths: what the feedback on misses added.
    pooled
        `(CARRIED, steps, 2)`: a thinned sample over all columns.
    window
        How many of the latest scores count.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> actual = rng.normal(100, 10, size=(4000, 1, 1))     # (origins, steps, columns)
    >>> point, lower, upper = (np.full_like(actual, v) for v in (100, 90, 110))  # 68 % of them
    >>> first = [array[:2000] for array in (point, lower, upper, actual)]
    >>> state = Calibration.fit(*first, columns=["conn_in"])
    >>> low, high = state.apply(point[2000:], lower[2000:], upper[2000:], columns=["conn_in"])
    >>> float(np.mean((low <= actual[2000:]) & (actual[2000:] <= high)).round(1))
    0.9
    """

    coverage: float
    columns: tuple[str, ...]
    scores: FloatArray
    offset: FloatArray
    pooled: FloatArray
    window: int = DEFAULT_WINDOW

    @classmethod
    def empty(
        cls, steps: int, *, coverage: float = 0.9, window: int = DEFAULT_WINDOW
    ) -> Calibration:
        """Return a state that has seen nothing, under which intervals stay as they are."""
        return cls(
            coverage=coverage,
            columns=(),
            scores=np.zeros((0, steps, 0, 2), np.float32),
            offset=np.zeros((steps, 0, 2)),
            pooled=np.zeros((0, steps, 2), np.float32),
            window=window,
        )

    @classmethod
    def fit(
        cls,
        point: FloatArray,
        lower: FloatArray,
        upper: FloatArray,
        actual: FloatArray,
        *,
        columns: Sequence[str],
        coverage: float = 0.9,
        window: int = DEFAULT_WINDOW,
    ) -> Calibration:
        """Return the state after origins that the network was not trained on.

        Parameters
        ----------
        point, lower, upper, actual
            `(origins, steps, columns)`, the columns' unit; origins are consecutive, missing
            values are NaN.
        columns
            Their names.
        coverage
            What the intervals are to hold.
        window
            How many of the latest scores count.
        """
        start = cls.empty(point.shape[1], coverage=coverage, window=window)
        state = start.roll(point, lower, upper, actual, columns=columns)[2]
        # The feedback rose while there were no scores yet; the scores now make up for that.
        return replace(state, offset=np.zeros_like(state.offset))

    def apply(
        self,
        point: FloatArray,
        lower: FloatArray,
        upper: FloatArray,
        *,
        columns: Sequence[str],
    ) -> tuple[FloatArray, FloatArray]:
        """Return the calibrated bounds under the state as it stands.

        Parameters
        ----------
        point, lower, upper
            `(..., steps, columns)`; no more steps than were calibrated.
        columns
            The columns' names; those never seen get the pooled margin.

        Returns
        -------
        lower, upper
            Of the same shape, `0 <= lower <= point <= upper`.
        """
        steps = point.shape[-2]
        prior, offset = self._start(columns, steps)
        margin = offset.copy()
        if len(prior):
            margin += np.quantile(prior, self._level, axis=0, method="higher")
        return _moved(point, lower, upper, margin)

    def roll(
        self,
        point: FloatArray,
        lower: FloatArray,
        upper: FloatArray,
        actual: FloatArray,
        *,
        columns: Sequence[str],
    ) -> tuple[FloatArray, FloatArray, Calibration]:
        """Do what `bounds` does; return the state after the last origin too."""
        margin, seen, offset = self._follow(point, lower, upper, actual, columns)
        return *_moved(point, lower, upper, margin), self._learned(seen, offset, columns)

    def bounds(
        self,
        point: FloatArray,
        lower: FloatArray,
        upper: FloatArray,
        actual: FloatArray,
        *,
        columns: Sequence[str],
    ) -> tuple[FloatArray, FloatArray]:
        """Calibrate consecutive origins one after the other, learning on the way.

        Parameters
        ----------
        point, lower, upper, actual
            `(origins, steps, columns)`, the columns' unit; row `i` is one slide after row
            `i - 1`.  NaN in `actual`: not known yet, or not to be learned from (rows that the
            network was trained on).
        columns
            The columns' names.

        Returns
        -------
        lower, upper
            `(origins, steps, columns)`, `0 <= lower <= point <= upper`; those at origin `t`
            depend on `actual` at or before `t` only.
        """
        margin, _, _ = self._follow(point, lower, upper, actual, columns)
        return _moved(point, lower, upper, margin)

    def holding(self, coverage: float) -> Calibration:
        """Return a state of the same scores, under which intervals are to hold another share.

        Each score says how far an actual value lay beyond a bound; which quantile of them the
        margin is, positive or negative, is all that the coverage decides.
        """
        return replace(self, coverage=coverage)

    def without_columns(self) -> Calibration:
        """Return the pooled state alone, for a checkpoint that is to serve any column."""
        steps = self.pooled.shape[1]
        return replace(
            self,
            columns=(),
            scores=np.zeros((0, steps, 0, 2), np.float32),
            offset=np.zeros((steps, 0, 2)),
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the state as named arrays, for a bundle."""
        return {
            "calibration_scores": self.scores.astype(np.float32),
            "calibration_offset": self.offset,
            "calibration_pooled": self.pooled.astype(np.float32),
            "calibration_window": np.array(self.window),
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], *, columns: Sequence[str], coverage: float
    ) -> Calibration:
        """Return the state that `to_arrays` gave; `columns` as they were then."""
        return cls(
            coverage=coverage,
            columns=tuple(columns),
            scores=arrays["calibration_scores"],
            offset=arrays["calibration_offset"],
            pooled=arrays["calibration_pooled"],
            window=int(arrays["calibration_window"]),
        )

    @property
    def _level(self) -> float:
        """Which quantile of the scores a margin is: half of the misses on each side."""
        return 1 - (1 - self.coverage) / 2

    def _start(self, columns: Sequence[str], steps: int) -> tuple[FloatArray, FloatArray]:
        """Return carried scores `(n, steps, columns, 2)` and offsets for these columns."""
        places = {name: place for place, name in enumerate(self.columns)}
        prior = np.stack(
            [
                self.scores[:, :steps, places[name]] if name in places else self.pooled[:, :steps]
                for name in columns
            ],
            axis=2,
        )
        # A column that had no actual value yet has no scores of its own either.
        pooled = np.nan_to_num(self.pooled[:, :steps])[:, :, None]
        prior = np.where(np.isnan(prior), pooled, prior)
        offset = np.zeros((steps, len(columns), 2))
        for place, name in enumerate(columns):
            if name in places:
                offset[:, place] = self.offset[:steps, places[name]]
        return prior, offset

    def _follow(
        self,
        point: FloatArray,
        lower: FloatArray,
        upper: FloatArray,
        actual: FloatArray,
        columns: Sequence[str],
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return margins `(origins, steps, columns, 2)`, all scores seen, and the last offset."""
        prior, offset = self._start(columns, point.shape[1])
        scores = _scores(point, lower, upper, actual)
        seen = np.concatenate([prior.astype(np.float64), scores])
        rolled = rolling_quantile(seen, self._level, window=self.window, first=len(prior) - 1)
        base = _lagged(rolled, len(prior), len(scores))
        margin, offset = _with_feedback(base, scores, offset, (1 - self.coverage) / 2)
        return margin, seen, offset

    def _learned(self, seen: FloatArray, offset: FloatArray, columns: Sequence[str]) -> Calibration:
        latest = seen[-self.window :]
        every = latest.swapaxes(1, 2).reshape(-1, seen.shape[1], 2)
        return replace(
            self,
            columns=tuple(columns),
            scores=_thinned(latest),
            offset=offset,
            pooled=_thinned(every),
        )


def _scale(point: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    scale: FloatArray = (upper - lower) + _FLOOR * np.abs(point)
    return scale


def _scores(
    point: FloatArray, lower: FloatArray, upper: FloatArray, actual: FloatArray
) -> FloatArray:
    """Return how far actual values lie beyond each bound, in widths: `(..., 2)`."""
    beyond = np.stack([lower - actual, actual - upper], axis=-1)
    scale = _scale(point, lower, upper)[..., None]
    # An interval without width around nothing (a column of zeros) says nothing about scale.
    with np.errstate(over="ignore"):
        scores = np.divide(beyond, scale, out=np.full_like(beyond, np.nan), where=scale > 0)
    return np.clip(scores, -_LARGEST, _LARGEST)


def _lagged(rolled: FloatArray, prior: int, origins: int) -> FloatArray:
    """Return for each origin and step the quantile over the scores that are known there."""
    base = np.empty((origins, *rolled.shape[1:]))
    for step in range(rolled.shape[1]):
        # The score of origin i at step k is known from origin i + k on (k counts from 1).
        last = np.maximum(np.arange(origins) - (step + 1) + prior, prior - 1)
        known = rolled[np.maximum(last, 0), step]
        base[:, step] = np.where((last >= 0)[:, None, None], known, np.nan)
    return np.nan_to_num(base)


def _with_feedback(
    base: FloatArray, scores: FloatArray, offset: FloatArray, miss_rate: float
) -> tuple[FloatArray, FloatArray]:
    """Add to each margin what the misses known at its origin ask for.

    Returns the margins `(origins, steps, columns, 2)` and the last offset.
    """
    origins, steps = base.shape[:2]
    margin = base.copy()
    offset = offset.copy()
    # Row `t` of these is what comes to be known at origin `t`: of each step the latest target.
    came = np.full((origins + steps, *base.shape[1:]), np.nan)
    for step in range(steps):
        came[step + 1 : step + 1 + origins, step] = scores[:, step]
    rate = _RATE * np.isfinite(came)
    bound = np.zeros_like(came)
    # The margins of one origin lie on a diagonal of `bound`.
    flat = bound.reshape(-1, *base.shape[2:])
    for origin in range(origins):
        offset += rate[origin] * ((came[origin] > bound[origin]) - miss_rate)
        margin[origin] += offset
        flat[(origin + 1) * steps : (origin + 1 + steps) * steps : steps + 1] = margin[origin]
    return margin, offset


def _moved(
    point: FloatArray, lower: FloatArray, upper: FloatArray, margin: FloatArray
) -> tuple[FloatArray, FloatArray]:
    scale = _scale(point, lower, upper)
    low = np.clip(lower - margin[..., 0] * scale, 0, None)
    return np.minimum(low, point), np.maximum(upper + margin[..., 1] * scale, point)


def _thinned(scores: FloatArray) -> FloatArray:
    """Return evenly spaced quantiles of the scores in a mixed order: `(CARRIED, ...)`, float32.

    Mixed, because a rolling window lets go of the first ones first.
    """
    if len(scores) == 0:
        return np.zeros((0, *scores.shape[1:]), np.float32)
    levels = (np.arange(CARRIED) + 0.5) / CARRIED
    order = np.random.default_rng(0).permutation(CARRIED)
    flat = np.sort(scores.reshape(len(scores), -1), axis=0)  # NaN last
    count = np.isfinite(flat).sum(axis=0)
    place = np.minimum((levels[:, None] * count).astype(int), np.maximum(count - 1, 0))
    thin = np.take_along_axis(flat, place, axis=0)
    return thin[order].reshape(CARRIED, *scores.shape[1:]).astype(np.float32)
