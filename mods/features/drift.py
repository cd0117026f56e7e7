"""Whether a column is distributed otherwise in another range: sizes, not only p-values.

Sources: the population stability index as credit scoring has it (Siddiqi, "Credit Risk
Scorecards", 2006: above 0.1 some, above 0.25 much); Kolmogorov and Smirnov's distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Drift", "measure_drift"]

SOME, MUCH = 0.1, 0.25
_BINS = 10
_LEAST_ROWS = 30


@dataclass(frozen=True)
class Drift:
    """The index, the largest distance between the two distributions, and a word for it."""

    index: float
    distance: float
    kind: str


def measure_drift(values: np.ndarray, others: np.ndarray) -> Drift:
    """Compare two ranges of a column, `(windows,)` and `(other windows,)`.

    The bins are tenths of `values`; a bin without values counts as half of one.

    Examples
    --------
    >>> level = np.random.default_rng(0).normal(size=400)
    >>> measure_drift(level[:200], level[200:] + 3).kind
    'much'
    """
    from scipy.stats import ks_2samp

    first, second = values[np.isfinite(values)], others[np.isfinite(others)]
    if min(len(first), len(second)) < _LEAST_ROWS:
        return Drift(np.nan, np.nan, "unclear")
    edges = np.unique(np.quantile(first, np.linspace(0, 1, _BINS + 1)[1:-1], method="lower"))
    shares = []
    for part in (first, second):
        # To the left of an edge lies what is equal to it, so that zeros have a bin of their own.
        counts = np.bincount(np.searchsorted(edges, part, side="left"), minlength=len(edges) + 1)
        shares.append(np.maximum(counts, 0.5) / len(part))
    index = float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))
    distance = float(ks_2samp(first, second, method="asymp").statistic)
    kind = "much" if index > MUCH else "some" if index > SOME else "none"
    return Drift(index, distance, kind)
