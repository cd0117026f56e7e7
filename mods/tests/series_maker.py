"""A series with the rhythm of a day, and settings with which a network learns it in a moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

SMALL: dict[str, Any] = {"blocks": 4, "num_epochs": 1, "sequence_len": 12, "horizon": 6}


def frame_of(rows: int, *, timed: bool = True, columns: int = 2, seed: int = 0) -> pd.DataFrame:
    """Return `columns` columns of counts in windows of an hour that slide by ten minutes."""
    random = np.random.default_rng(seed)
    data = {}
    for place in range(columns):
        level = 200 * (place + 1) * (1 + 0.5 * np.sin(2 * np.pi * np.arange(rows + 5) / 144))
        data[f"column{place}"] = np.convolve(random.poisson(level / 6), np.ones(6), mode="valid")
    frame = pd.DataFrame(data, index=pd.RangeIndex(rows, name="row"))
    if timed:
        frame.index = pd.date_range(
            "2019-06-03", periods=rows, freq="10min", tz="UTC", name="window_start"
        )
    frame.attrs["window"] = "w01h-s10m"
    return frame
