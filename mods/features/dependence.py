"""Columns that are linear combinations of others, by a rank-revealing QR factorisation.

Source: Golub and Van Loan, "Matrix Computations", 4th edition, 2013, section 5.4.2 (QR with
column pivoting).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

__all__ = ["dependent_columns", "standardized"]

#: What is left of a column (of length 1) after the others; rounding leaves about 1e-15.
TOLERANCE = 1e-8
#: Coefficients (of columns of length 1) below this are rounding.
_NOTHING = 1e-6


def standardized(values: np.ndarray) -> np.ndarray:
    """Return columns centred and of length 1, `(rows, columns)`, so that no unit weighs."""
    # By the largest value first: squares of very large or small values overflow.
    largest = np.abs(values).max(axis=0)
    values = values / np.where(largest > 0, largest, 1.0)
    centred = values - values.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    flat: np.ndarray = centred / np.where(length > 0, length, 1.0)
    return flat


def dependent_columns(
    frame: pd.DataFrame, preferred: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Return each column that the others make up (plus a constant), with those that do.

    Parameters
    ----------
    frame
        `(windows, columns)`, no constant columns; rows with a missing value do not count.
    preferred
        Columns to keep first; the rest go by name, so the frame's order means nothing.

    Returns
    -------
    dict
        Nothing where fewer complete rows than twice the columns are there to tell.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame(rng.normal(size=(50, 2)), columns=["a", "b"])
    >>> frame["c"] = 2 * frame["a"] + frame["b"]
    >>> dependent_columns(frame)
    {'c': ('a', 'b')}
    """
    from scipy.linalg import lstsq, qr

    names = [name for name in preferred if name in frame.columns]
    names += sorted(set(map(str, frame.columns)) - set(names))
    values = frame[names].dropna().to_numpy(dtype=np.float64)
    if len(names) < 2 or len(values) < 2 * len(names):
        return {}
    triangle, pivots = qr(standardized(values), mode="r", pivoting=True)
    diagonal = np.abs(np.diag(triangle[: len(names)]))
    if (diagonal > TOLERANCE).all():
        return {}
    # The triangle's columns lie to each other as the data's do, in far fewer rows.
    short = np.empty((len(names), len(names)))
    short[:, pivots] = triangle[: len(names)]
    kept: list[int] = []
    found: dict[str, tuple[str, ...]] = {}
    for place, name in enumerate(names):
        if kept:
            weights = lstsq(short[:, kept], short[:, place])[0]
            rest = np.linalg.norm(short[:, place] - short[:, kept] @ weights)
            if rest <= TOLERANCE:
                heavy = np.abs(weights) > _NOTHING
                found[name] = tuple(names[k] for k, h in zip(kept, heavy, strict=True) if h)
                continue
        kept.append(place)
    return found
