"""The latest results, kept by what they were made of, so that asking again costs little.

Who looks at a forecast asks for the same one several times: as JSON, as a
picture, with other columns.  The key holds the data themselves, so a result
cannot go stale.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Recent", "digest"]

Result = TypeVar("Result")


class Recent(Generic[Result]):
    """The results that were used last.

    Parameters
    ----------
    size
        How many.

    Examples
    --------
    >>> recent = Recent(1)
    >>> recent.get("a", lambda: 1), recent.get("a", lambda: 2), recent.get("b", lambda: 3)
    (1, 1, 3)
    >>> recent.get("a", lambda: 2)
    2
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, Result] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """Return what is kept under a key; else make it, and keep it."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        made = make()
        self._kept[key] = made
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return made


def digest(frame: pd.DataFrame) -> str:
    """Return a text that is the same for the same values, labels, columns and window only."""
    import numpy as np
    import pandas as pd

    told = [str(frame.attrs.get("window")), str(frame.index.dtype), *map(str, frame.columns)]
    found = hashlib.sha256(json.dumps(told).encode())
    index = frame.index
    labels = index.asi8 if isinstance(index, pd.DatetimeIndex) else index.to_numpy()
    found.update(labels.tobytes())
    found.update(np.ascontiguousarray(frame.to_numpy(dtype=np.float64)).tobytes())
    return found.hexdigest()
