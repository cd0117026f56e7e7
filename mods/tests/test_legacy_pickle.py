"""The original's pickled scaler is read, and nothing in a pickle is executed."""

from __future__ import annotations

import io
import os

import joblib
import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler

from mods.errors import ModelError
from mods.models.legacy_pickle import read_scaler
from mods.tests.original_maker import SCALER, SCALER_BYTES, Command, pickled


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3)])
def test_a_joblib_pickle_of_the_scaler_is_read(protocol, compress):
    buffer = io.BytesIO()
    joblib.dump(SCALER, buffer, protocol=protocol, compress=compress)
    scaler = read_scaler(buffer.getvalue(), "scaler.pkl")
    np.testing.assert_array_equal(scaler.scale, SCALER.scale_)
    np.testing.assert_array_equal(scaler.minimum, SCALER.min_)


def test_the_scaler_of_scikit_learn_0_20_is_read():
    np.testing.assert_array_equal(read_scaler(SCALER_BYTES, "x").scale, SCALER.scale_)


class Late(MinMaxScaler):  # type: ignore[misc]
    pass


PICKLES = {
    "command": (pickled(Command(os.system, "touch hacked")), "asks for posix.system"),
    "eval": (pickled(Command(eval, "1")), "asks for builtins.eval"),
    "eval, protocol 4": (pickled(Command(eval, "1"), 4), "asks for builtins.eval"),
    "attribute": (pickled(Command(getattr, 1, "real")), "asks for builtins.getattr"),
    "in a list": (pickled([Command(os.system, "touch hacked")]), "asks for posix.system"),
    "another class": (pickled(Late()), "asks for "),
    "plain": (pickled({"scale_": [1.0]}), "holds no MinMaxScaler"),
    "never fitted": (pickled(MinMaxScaler()), "holds a MinMaxScaler that was never fitted"),
    "objects": (pickled(np.array([object], dtype=object)), "holds an array of 'O8'"),
    "calls an array": (b"cnumpy\nndarray\n(tR.", "calls what is no function of a scaler"),
    "calls a scaler": (
        b"csklearn.preprocessing.data\nMinMaxScaler\n(tR.",
        "calls what is no function",
    ),
    "makes a dtype": (b"\x80\x02cnumpy\ndtype\n)\x81.", "makes an object of what is no such"),
    "state on a name": (b"cnumpy\nndarray\n}b.", "gives a state to what is no object"),
    "persistent": (b"Phacked\n.", "uses the instruction PERSID"),
    "instance": (b"(ios\nsystem\n.", "uses the instruction INST"),
    "extension": (b"\x80\x02\x82\x01.", "uses the instruction EXT1"),
    "empty": (b"", "is damaged"),
    "text": (b"nothing", "is damaged"),
    "cut": (SCALER_BYTES[: len(SCALER_BYTES) // 2], "is damaged"),
    "underflow": (b"\x80\x02R.", "is damaged"),
    "lost memo": (b"\x80\x02h\x05.", "is damaged"),
    "bad zlib": (b"\x78\x9c" + b"zzzz", "is damaged"),
}


@pytest.mark.parametrize("case", PICKLES)
def test_a_hostile_pickle_is_refused_by_its_offence_and_never_run(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    content, message = PICKLES[case]
    with pytest.raises(ModelError) as caught:
        read_scaler(content, "scaler.pkl of bundle 'a.zip'")
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", range(60))
def test_a_scaler_with_changed_bytes_is_an_error_or_a_scaler(seed):
    noise = np.random.default_rng(seed)
    content = bytearray(SCALER_BYTES)
    for place in noise.integers(0, len(content), 3):
        content[place] = noise.integers(256)
    try:
        scaler = read_scaler(bytes(content), "x")
    except ModelError:
        return
    assert np.isfinite(scaler.scale).all()


def test_a_bomb_of_a_pickle_is_refused():
    import zlib

    with pytest.raises(ModelError, match="holds more than"):
        read_scaler(zlib.compress(bytes(50 << 20)), "x")
