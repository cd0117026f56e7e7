"""Groups of columns that say nearly the same: clusters by correlation distance."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["redundant_groups"]

#: Columns of a group have at least this correlation with each other, of either sign.
CORRELATION = 0.95
_LEAST_ROWS = 10


def redundant_groups(frame: pd.DataFrame) -> list[list[str]]:
    """Return groups of two columns or more, each sorted by name.

    Complete linkage over one less the absolute Pearson correlation, on pairs of known values.

    Examples
    --------
    >>> a = np.random.default_rng(0).normal(size=50)
    >>> redundant_groups(pd.DataFrame({"a": a, "b": -a, "c": a**2}))
    [['a', 'b']]
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    names = sorted(map(str, frame.columns))
    if len(names) < 2:
        return []
    scaled = frame[names] / frame[names].abs().max()
    known = scaled.corr(min_periods=_LEAST_ROWS).abs().fillna(0.0).to_numpy()
    distance = np.clip(1 - np.maximum(known, known.T), 0.0, 1.0).round(9)
    np.fill_diagonal(distance, 0.0)
    labels = fcluster(
        linkage(squareform(distance), method="complete"), 1 - CORRELATION, criterion="distance"
    )
    groups: dict[int, list[str]] = {}
    for name, label in zip(names, labels.tolist(), strict=True):
        groups.setdefault(label, []).append(name)
    return sorted(group for group in groups.values() if len(group) > 1)
