"""The original's scaler out of its pickle, without unpickling: nothing in it is ever called.

A pickle is a program for a small stack machine.  This one is read instruction by
instruction; classes are names here and never imported, and the few names that a
joblib pickle of scikit-learn's MinMaxScaler needs have a meaning of their own.
Whatever else is asked for is refused by its name.
"""

from __future__ import annotations

import io
import math
import pickletools  # nosec B403
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mods.errors import ModelError

__all__ = ["Scaler", "read_scaler"]

_MAX_BYTES = 4 << 20
_MAX_INSTRUCTIONS = 200_000
_MARK = object()

_SCALER = "MinMaxScaler"
_ARRAY, _WRAPPER, _DTYPE = "ndarray", "joblib array", "dtype"
#: What a name of the pickle stands for here; all others are refused.
_MEANINGS = {
    "sklearn.preprocessing.data MinMaxScaler": _SCALER,
    "sklearn.preprocessing._data MinMaxScaler": _SCALER,
    "joblib.numpy_pickle NumpyArrayWrapper": _WRAPPER,
    "sklearn.externals.joblib.numpy_pickle NumpyArrayWrapper": _WRAPPER,
    "numpy ndarray": _ARRAY,
    "numpy dtype": _DTYPE,
    "numpy.core.multiarray _reconstruct": "reconstruct",
    "numpy.core.multiarray scalar": "scalar",
    "numpy._core.multiarray _reconstruct": "reconstruct",
    "numpy._core.multiarray scalar": "scalar",
    "copyreg _reconstructor": "object",
    "copy_reg _reconstructor": "object",
    "builtins object": "base",
    "__builtin__ object": "base",
    "_codecs encode": "encode",
}


@dataclass(frozen=True)
class Scaler:
    """A fitted MinMaxScaler: scaled is `values * scale + minimum`.

    Attributes
    ----------
    scale, minimum
        `(columns,)`, float64.
    """

    scale: np.ndarray
    minimum: np.ndarray


@dataclass(frozen=True)
class _Name:
    meaning: str


@dataclass
class _Thing:
    """An object of the pickle: what it is, what it was made from, and its state."""

    kind: str
    arguments: Any = ()
    state: dict[str, Any] = field(default_factory=dict)
    value: Any = None


def read_scaler(data: bytes, label: str) -> Scaler:
    """Return the scaler that a joblib pickle holds.

    Parameters
    ----------
    data
        The file's content; also compressed by joblib with zlib or gzip.
    label
        What messages call it.

    Raises
    ------
    ModelError
        Where it asks for anything but a MinMaxScaler and its arrays, or is damaged.
    """
    machine = _Machine(_decompressed(data, label), label)
    try:
        thing = machine.run()
    except ModelError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, EOFError, OverflowError) as error:
        raise machine.damaged() from error
    except (AttributeError, RecursionError, UnicodeError, MemoryError) as error:
        raise machine.damaged() from error
    if not isinstance(thing, _Thing) or thing.kind != _SCALER:
        raise machine.refused("holds no MinMaxScaler")
    scale, minimum = (_vector(thing.state.get(name)) for name in ("scale_", "min_"))
    if scale is None or minimum is None or scale.shape != minimum.shape:
        raise machine.refused("holds a MinMaxScaler that was never fitted")
    return Scaler(scale, minimum)


class _Machine:
    """The stack machine, on names and plain values."""

    def __init__(self, data: bytes, label: str) -> None:
        self.stream = io.BytesIO(data)
        self.size = len(data)
        self.label = label
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for count, (code, argument, _) in enumerate(pickletools.genops(self.stream)):
            if count > _MAX_INSTRUCTIONS:
                raise self.refused("runs without end")
            name = code.name
            if name == "STOP":
                return self.stack.pop()
            if name in _IGNORED:
                continue
            if name in _LITERALS:
                self.stack.append(argument)
            elif name in _STEPS:
                _STEPS[name](self, argument)
            else:
                raise self.refused(f"uses the instruction {name}")
        raise self.damaged()

    def refused(self, offence: str) -> ModelError:
        return ModelError(
            f"{self.label} is refused: it {offence}",
            "a pickled MinMaxScaler and numpy arrays, nothing else",
            "Use only bundles whose maker you know.",
        )

    def damaged(self) -> ModelError:
        return ModelError(f"{self.label} is damaged", "a whole pickle of a MinMaxScaler")

    def named(self, text: str) -> None:
        meaning = _MEANINGS.get(text)
        if meaning is None:
            raise self.refused(f"asks for {text.replace(' ', '.')[:120]}")
        self.stack.append(_Name(meaning))

    def named_from_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.named(f"{module} {name}")

    def marked(self) -> list[Any]:
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is _MARK:
                items = self.stack[place + 1 :]
                del self.stack[place:]
                return items
        raise self.damaged()

    def take(self, count: int) -> list[Any]:
        items = self.stack[len(self.stack) - count :]
        if len(items) < count or any(item is _MARK for item in items):
            raise self.damaged()
        del self.stack[len(self.stack) - count :]
        return items

    def fill(self, pairs: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict) or len(pairs) % 2:
            raise self.damaged()
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, str | int):
                raise self.refused("has a dictionary with keys that are no names")
            self.stack[-1][key] = value

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise self.damaged()
        self.stack[-1].extend(items)

    def make(self) -> None:
        """NEWOBJ: a class and its arguments become an object."""
        name, arguments = self.take(2)
        if not isinstance(name, _Name) or name.meaning not in (_SCALER, _WRAPPER):
            raise self.refused("makes an object of what is no such class")
        self.stack.append(_Thing(name.meaning, arguments))

    def reduce(self) -> None:
        """REDUCE: a call, of which only the meanings known here exist."""
        name, arguments = self.take(2)
        meaning = name.meaning if isinstance(name, _Name) else None
        if meaning == "object" and isinstance(arguments[0], _Name):
            kind = arguments[0].meaning
            if kind not in (_SCALER, _WRAPPER):
                raise self.refused("makes an object of what is no such class")
            self.stack.append(_Thing(kind))
        elif meaning == "reconstruct":
            self.stack.append(_Thing(_ARRAY))
        elif meaning == _DTYPE:
            self.stack.append(_Thing(_DTYPE, arguments, value=self.dtype(arguments[0])))
        elif meaning == "scalar":
            content = np.frombuffer(arguments[1], arguments[0].value)
            self.stack.append(content[0].item())
        elif meaning == "encode" and arguments[1] in ("latin1", "latin-1"):
            self.stack.append(arguments[0].encode("latin1"))
        else:
            raise self.refused("calls what is no function of a scaler")

    def build(self) -> None:
        """BUILD: an object gets its state; arrays become arrays here."""
        thing, state = self.stack[-2], self.stack.pop()
        if not isinstance(thing, _Thing):
            raise self.refused("gives a state to what is no object")
        if thing.kind == _DTYPE:
            order = state[1]
            if order in ("<", ">"):
                thing.value = thing.value.newbyteorder(order)
        elif thing.kind == _ARRAY:
            _, shape, dtype, fortran, content = state
            thing.value = self.array(shape, dtype, "F" if fortran else "C", content)
        else:
            thing.state = {str(key): value for key, value in state.items()}
            if thing.kind == _WRAPPER:
                thing.value = self.array_behind(thing.state)

    def array_behind(self, state: dict[str, Any]) -> np.ndarray:
        """Read the bytes that joblib writes behind an array's description."""
        if state.get("numpy_array_alignment_bytes") is not None:
            padding = self.stream.read(1)
            self.stream.read(padding[0])
        size = self.bytes_of(state["shape"], state["dtype"])
        content = self.stream.read(size)
        return self.array(state["shape"], state["dtype"], state["order"], content)

    def array(self, shape: Any, dtype: Any, order: Any, content: Any) -> np.ndarray:
        if not isinstance(content, bytes) or len(content) != self.bytes_of(shape, dtype):
            raise self.damaged()
        flat = np.frombuffer(content, dtype.value)
        return flat.reshape(shape, order="F" if order == "F" else "C")

    def bytes_of(self, shape: Any, dtype: Any) -> int:
        if not isinstance(dtype, _Thing) or dtype.kind != _DTYPE:
            raise self.damaged()
        if not all(isinstance(n, int) and 0 <= n <= self.size for n in shape):
            raise self.damaged()
        size: int = math.prod(shape) * dtype.value.itemsize
        return size

    def dtype(self, text: Any) -> np.dtype[Any]:
        if not isinstance(text, str) or text not in ("f8", "f4", "i8", "i4", "<f8", "<f4", "<i8"):
            raise self.refused(f"holds an array of {str(text)[:40]!r}")
        return np.dtype(text)


def _memoize(machine: _Machine, _: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _put(machine: _Machine, place: int) -> None:
    machine.memo[place] = machine.stack[-1]


_IGNORED = {"PROTO", "FRAME"}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "MARK": lambda m, _: m.stack.append(_MARK),
    "POP": lambda m, _: m.take(1).clear(),
    "POP_MARK": lambda m, _: m.marked().clear(),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.marked())),
    "TUPLE1": lambda m, _: m.stack.append(tuple(m.take(1))),
    "TUPLE2": lambda m, _: m.stack.append(tuple(m.take(2))),
    "TUPLE3": lambda m, _: m.stack.append(tuple(m.take(3))),
    "LIST": lambda m, _: m.stack.append(m.marked()),
    "APPEND": lambda m, _: m.extend(m.take(1)),
    "APPENDS": lambda m, _: m.extend(m.marked()),
    "SETITEM": lambda m, _: m.fill(m.take(2)),
    "SETITEMS": lambda m, _: m.fill(m.marked()),
    "MEMOIZE": _memoize,
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "GET": lambda m, place: m.stack.append(m.memo[place]),
    "BINGET": lambda m, place: m.stack.append(m.memo[place]),
    "LONG_BINGET": lambda m, place: m.stack.append(m.memo[place]),
    "GLOBAL": lambda m, text: m.named(text),
    "STACK_GLOBAL": lambda m, _: m.named_from_stack(),
    "NEWOBJ": lambda m, _: m.make(),
    "REDUCE": lambda m, _: m.reduce(),
    "BUILD": lambda m, _: m.build(),
}


def _decompressed(data: bytes, label: str) -> bytes:
    if data[:1] == b"\x78" or data[:2] == b"\x1f\x8b":
        try:
            data = zlib.decompressobj(wbits=47).decompress(data, _MAX_BYTES + 1)
        except zlib.error as error:
            raise ModelError(f"{label} is damaged", "a whole pickle of a MinMaxScaler") from error
    if len(data) > _MAX_BYTES:
        raise ModelError(f"{label} holds more than {_MAX_BYTES} bytes", "a pickled MinMaxScaler")
    return data


def _vector(thing: Any) -> np.ndarray | None:
    """Return a fitted attribute as `(columns,)`, None where it is none."""
    value = thing.value if isinstance(thing, _Thing) else None
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "fi":
        return None
    values = value.astype(np.float64)
    return values if len(values) and np.isfinite(values).all() else None
