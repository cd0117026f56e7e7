"""Importing TensorFlow without what it says of its build on stderr.

Its C++ side writes to file descriptor 2 before any logging can be set up, so
only a redirected descriptor silences it; errors of the import itself are raised
as ever.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["load_tensorflow"]


def load_tensorflow() -> None:
    """Import TensorFlow and Keras once, quietly; later calls cost nothing."""
    if "tensorflow" in sys.modules and "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silent_stderr():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401


@contextmanager
def _silent_stderr() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:
        # Nothing is open there that could be disturbed.
        yield
        return
    try:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
