"""Mutual information between a column now and the targets some windows ahead.

Source: Kraskov, Stoegbauer and Grassberger, Physical Review E 69, 2004, as scikit-learn has it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

__all__ = ["STEPS", "information"]

STEPS = (1, 3, 6, 12)
#: The estimate's cost grows with the rows; more than these hardly sharpen it.
MOST_ROWS = 2000
_LEAST_ROWS = 30


def information(frame: pd.DataFrame, name: str, targets: Sequence[str] = ()) -> np.ndarray:
    """Return the information in nats, `(steps, targets)`, at `STEPS`; NaN where rows are few.

    Parameters
    ----------
    frame
        `(windows, columns)`, consecutive windows.
    name
        The column whose value now is known.
    targets
        The columns to tell of; by default itself.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=500)
    >>> frame = pd.DataFrame({"a": noise, "b": np.roll(noise, 3)})
    >>> information(frame, "a", ["b"])[:, 0].round(1).tolist()[1] > 1
    True
    """
    from sklearn.feature_selection import mutual_info_regression

    chosen = list(targets) or [name]
    found = np.full((len(STEPS), len(chosen)), np.nan)
    now = frame[name].to_numpy(dtype=np.float64)
    for place, target in enumerate(chosen):
        later = frame[target].to_numpy(dtype=np.float64)
        for row, step in enumerate(STEPS):
            pairs = np.column_stack([now[:-step], later[step:]])
            pairs = pairs[np.isfinite(pairs).all(axis=1)]
            if len(pairs) < _LEAST_ROWS:
                continue
            if len(pairs) > MOST_ROWS:
                rows = np.random.default_rng(0).choice(len(pairs), MOST_ROWS, replace=False)
                pairs = pairs[np.sort(rows)]
            # Its noise against ties is absolute: values near 1 whatever the unit.
            pairs = pairs / np.where(np.abs(pairs).max(axis=0) > 0, np.abs(pairs).max(axis=0), 1)
            found[row, place] = mutual_info_regression(
                pairs[:, :1], pairs[:, 1], random_state=0, n_neighbors=3
            )[0]
    return found
