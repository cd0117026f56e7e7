"""How many forecasts were made in this process, for who counts them.

The count is the service's: a worker tells how many a request took.
"""

from __future__ import annotations

__all__ = ["add", "reset", "total"]

_made = [0]


def add(count: int) -> None:
    """Count so many forecasts more.

    Examples
    --------
    >>> reset()
    >>> add(12)
    >>> total()
    12
    """
    _made[0] += count


def reset() -> None:
    """Begin again."""
    _made[0] = 0


def total() -> int:
    """Return how many were made since."""
    return _made[0]
