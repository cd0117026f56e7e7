"""Which score is an alarm, when the operator says how many false ones a day are bearable.

`Spot` and `Dspot` (Siffer, Fouque, Termier, Largouët, "Anomaly detection in
streams with extreme value theory", KDD 2017) fit a generalised Pareto
distribution to the scores' upper tail and put the threshold where it is passed
with the asked probability; `Dspot` does so on what departs from a moving
average.  `Conformal` asks for the share of past scores that were as high.

A score that is an alarm is not learned from, or an incident would raise the
threshold above itself.  But at a rate of one a day some alarms are ordinary
windows by construction, and to leave them all out would thin the tail and lower
the threshold for ever.  So alarms are learned from as often as ordinary windows
cause them: each window earns its risk, and an alarm that is paid for counts, at
no more than `WINSOR` thresholds.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from typing import Protocol

import numpy as np

from mods.anomaly.forecasts import FloatArray
from mods.errors import ConfigError

__all__ = [
    "METHODS",
    "Conformal",
    "Dspot",
    "Spot",
    "Threshold",
    "check_rate",
    "parse_rate",
    "threshold_by_risk",
]

#: Seconds of the units in which a rate can be said.
_PERIODS = {"hour": 3600, "day": 86400, "week": 7 * 86400, "month": 30 * 86400, "year": 365 * 86400}
#: The share of scores that make the tail, where the risk does not ask for more.
_TAIL = 0.02
#: A tail of fewer scores is not fitted.
_LEAST_PEAKS = 8
#: The tail is fitted anew after so many learned scores.
_REFIT = 24
#: A shape as small as this is an exponential tail.
_FLAT = 1e-9
#: No more than this share of the windows can be asked for.
_MOST_RISK = 0.25
_FOR_EXAMPLE = "Write for example '1/day' or '2/week'."
#: An alarm that is learned from counts at most so many thresholds.
WINSOR = 1.2
_MOST_CREDIT = 7.0
#: Credit earned by a window, in risks: above 1, so that a threshold that fell finds back. The
#: fitted tail needs more of it than the plain share of past scores.
_SPOT_EARNS, _CONFORMAL_EARNS = 1.4, 1.25


class Threshold(Protocol):
    """Decides on scores one by one, and learns from them."""

    @property
    def value(self) -> float:
        """The score above which a window is an alarm; NaN during the warm-up."""

    def update(self, score: float) -> bool:
        """Return whether the score is an alarm, and learn it; NaN is none and teaches nothing."""


def parse_rate(text: str | float, per_day: int) -> float:
    """Return the risk, the share of windows that may be false alarms.

    Parameters
    ----------
    text
        A number a period: `"1/day"`, `"2/week"`, or a number alone, a day.
    per_day
        Windows a day.

    Raises
    ------
    ConfigError
        Where it is no rate, or so high or low that no threshold can keep it.

    Examples
    --------
    >>> round(parse_rate("1/day", 144), 5), round(parse_rate("1/week", 144), 6)
    (0.00694, 0.000992)
    """
    rate, seconds = _rate(text)
    risk = rate * 86400 / seconds / per_day
    if not 0 < rate < math.inf or risk > _MOST_RISK:
        most = _MOST_RISK * per_day
        raise ConfigError(
            f"rate {text!r}",
            f"more than 0, at most {most:g}/day, a quarter of the windows",
            _FOR_EXAMPLE,
        )
    return risk


def check_rate(text: str | float) -> None:
    """Raise `ConfigError` where a text is no rate, whatever the windows are.

    Examples
    --------
    >>> check_rate("2/week")
    """
    rate, _ = _rate(text)
    if not 0 < rate < math.inf:
        raise ConfigError(f"rate {text!r}", "more than 0", _FOR_EXAMPLE)


def _rate(text: str | float) -> tuple[float, int]:
    """Return the number, and the seconds of its period."""
    number, slash, unit = str(text).partition("/")
    unit = unit.strip().removesuffix("s") if slash else "day"
    try:
        rate = float(number)
    except ValueError:
        rate = math.nan
    if math.isnan(rate) or unit not in _PERIODS:
        raise ConfigError(f"rate {text!r}", f"a number a {', '.join(_PERIODS)}", _FOR_EXAMPLE)
    return rate, _PERIODS[unit]


class Spot:
    """Streaming peaks over threshold.

    Parameters
    ----------
    risk
        The probability with which an ordinary score may pass the threshold.
    warmup
        Scores that are learned before the first decision.
    memory
        Only the last so many learned scores count, and only the later half of all.

    Examples
    --------
    >>> scores = np.random.default_rng(0).exponential(size=20_000)
    >>> spot = Spot(0.001, warmup=2000)
    >>> alarms = [spot.update(score) for score in scores.tolist()]
    >>> 5 < sum(alarms) < 40
    True
    """

    def __init__(self, risk: float, *, warmup: int, memory: int = 8640) -> None:
        self._risk = risk
        self._warmup = warmup
        self._memory = max(memory, warmup)
        self._tail = min(0.5, max(_TAIL, 4 * risk))
        self._scores: deque[float] = deque()
        self._learned = 0
        self._credit = 0.0
        self._value = math.nan

    @property
    def value(self) -> float:
        """The score above which a window is an alarm; NaN during the warm-up."""
        return self._value

    def update(self, score: float) -> bool:
        """Return whether the score is an alarm, and learn it; NaN is none and teaches nothing."""
        if math.isnan(score):
            return False
        if math.isnan(self._value):
            self._learn(score)
            return False
        self._credit = min(_MOST_CREDIT, self._credit + _SPOT_EARNS * self._risk)
        alarm = score > self._value
        if alarm and self._credit < 1:
            return True
        if alarm:
            self._credit -= 1
            score = min(score, WINSOR * self._value)
        self._learn(score)
        return alarm

    def _learn(self, score: float) -> None:
        self._learned += 1
        self._scores.append(score)
        while len(self._scores) > _counted(self._learned, self._warmup, self._memory):
            self._scores.popleft()
        if self._learned >= self._warmup and (self._learned - self._warmup) % _REFIT == 0:
            self._fit()

    def _fit(self) -> None:
        scores = np.array(self._scores)
        level = float(np.quantile(scores, 1 - self._tail))
        excess = scores[scores > level] - level
        if len(excess) < _LEAST_PEAKS:
            # Next to nothing passes the level: the highest is the best threshold that is known.
            self._value = float(scores.max())
            return
        shape, scale = fit_tail(excess)
        ratio = math.log(max(len(excess) / len(scores) / self._risk, 1.0))
        growth = ratio if abs(shape) < _FLAT else math.expm1(shape * ratio) / shape
        self._value = level + scale * growth


class Dspot:
    """`Spot` on what departs from the average of the last ordinary scores.

    Parameters
    ----------
    risk, warmup, memory
        As for `Spot`.
    depth
        Over how many scores the average is taken.
    """

    def __init__(self, risk: float, *, warmup: int, memory: int = 8640, depth: int = 1008) -> None:
        self._spot = Spot(risk, warmup=warmup, memory=memory)
        self._recent: deque[float] = deque(maxlen=depth)
        self._total = 0.0

    @property
    def value(self) -> float:
        """The score above which a window is an alarm; NaN during the warm-up."""
        return self._spot.value + self._average()

    def update(self, score: float) -> bool:
        """Return whether the score is an alarm, and learn it; NaN is none and teaches nothing."""
        if math.isnan(score):
            return False
        alarm = self._spot.update(score - self._average())
        if not alarm:
            if len(self._recent) == self._recent.maxlen:
                self._total -= self._recent[0]
            self._recent.append(score)
            self._total += score
        return alarm

    def _average(self) -> float:
        return self._total / len(self._recent) if self._recent else 0.0


class Conformal:
    """The conformal p-value: the share of past scores that are at least as high.

    Exact on exchangeable scores, whatever their distribution: an ordinary score has a
    p-value of at most `risk` with a probability of at most `risk`.

    Parameters
    ----------
    risk, warmup, memory
        As for `Spot`; the warm-up is at least `1 / risk`, for no smaller p-value can occur.

    Examples
    --------
    >>> conformal = Conformal(0.05, warmup=99)
    >>> _ = [conformal.update(score) for score in range(99)]
    >>> conformal.p_value(98.5), conformal.p_value(-1)
    (0.01, 1.0)
    """

    def __init__(self, risk: float, *, warmup: int, memory: int = 8640) -> None:
        self._risk = risk
        self._warmup = max(warmup, math.ceil(1 / risk))
        self._order: deque[float] = deque()
        self._memory = max(memory, self._warmup)
        self._sorted: list[float] = []
        self._learned = 0
        self._credit = 0.0

    @property
    def value(self) -> float:
        """The score above which a window is an alarm; NaN during the warm-up."""
        count = len(self._sorted)
        if count < self._warmup:
            return math.nan
        # The p-value is (1 + past scores as high) / (1 + past scores).
        above = math.floor(self._risk * (count + 1)) - 1
        return self._sorted[count - 1 - max(above, 0)]

    def p_value(self, score: float) -> float:
        """Return the score's p-value among the learned scores."""
        as_high = len(self._sorted) - bisect_left(self._sorted, score)
        return (1 + as_high) / (1 + len(self._sorted))

    def update(self, score: float) -> bool:
        """Return whether the score is an alarm, and learn it; NaN is none and teaches nothing."""
        if math.isnan(score):
            return False
        if len(self._sorted) < self._warmup:
            self._learn(score)
            return False
        self._credit = min(_MOST_CREDIT, self._credit + _CONFORMAL_EARNS * self._risk)
        value = self.value
        alarm = score > value
        if alarm and self._credit < 1:
            return True
        if alarm:
            self._credit -= 1
        self._learn(min(score, WINSOR * value) if alarm else score)
        return alarm

    def _learn(self, score: float) -> None:
        self._order.append(score)
        insort(self._sorted, score)
        self._learned += 1
        if len(self._order) > _counted(self._learned, self._warmup, self._memory):
            oldest = self._order.popleft()
            del self._sorted[bisect_right(self._sorted, oldest) - 1]


def _counted(learned: int, warmup: int, memory: int) -> int:
    """Return how many of the last scores count: the later half, for the first were cruder."""
    return min(memory, max(warmup, learned // 2))


METHODS = {"spot": Spot, "dspot": Dspot, "conformal": Conformal}


def threshold_by_risk(method: str, risk: float, *, warmup: int, memory: int) -> Threshold:
    """Return a threshold of the asked kind, one of `METHODS`."""
    if method not in METHODS:
        raise ConfigError(f"threshold {method!r}", f"one of {', '.join(METHODS)}")
    made: Threshold = METHODS[method](risk, warmup=warmup, memory=memory)
    return made


def fit_tail(excess: FloatArray) -> tuple[float, float]:
    """Return shape and scale of the generalised Pareto distribution of most likelihood.

    By Grimshaw's reduction (Technometrics, 1993): for a given ratio `t = shape / scale` the
    best shape is `mean(log(1 + t * excess))`, so that one number is searched for; here on a
    grid, which never fails to converge, and again around its best point.

    Parameters
    ----------
    excess
        `(peaks,)`, positive.

    Examples
    --------
    >>> shape, scale = fit_tail(np.random.default_rng(1).exponential(2.0, size=5000))
    >>> abs(shape) < 0.05, abs(scale - 2) < 0.1
    (True, True)
    """
    mean = float(excess.mean())
    if mean <= 0:
        return 0.0, 1e-9
    largest = float(excess.max())
    ratios = np.concatenate(
        [-np.geomspace(1e-4, 0.95, 24)[::-1] / largest, np.geomspace(1e-3, 20, 40) / mean]
    )
    best = (0.0, mean, -len(excess) * (math.log(mean) + 1))
    for _ in range(2):
        shapes = np.log1p(np.outer(ratios, excess)).mean(axis=1)
        scales = shapes / ratios
        likely = -len(excess) * (np.log(scales) + shapes + 1)
        # Shapes beyond these have no variance worth a promise.
        likely = np.where((shapes > -0.5) & (shapes < 1.0), likely, -np.inf)
        place = int(np.argmax(likely))
        if likely[place] <= best[2]:
            break
        best = (float(shapes[place]), float(scales[place]), float(likely[place]))
        around = ratios[max(0, place - 1)], ratios[min(len(ratios) - 1, place + 1)]
        if around[0] < 0 < around[1]:
            break
        ratios = np.linspace(*around, 30)
    return best[0], best[1]
