"""Bundles of the original, written by h5py and joblib in the layout of Keras 2.3 and its time."""

from __future__ import annotations

import io
import json
import pickle
from typing import Any

import h5py
import joblib
import numpy as np
import pandas as pd
from sklearn.preprocessing import MinMaxScaler

from mods.models.archive import pack

COLUMNS = ["conn_in", "conn_out", "dns_in_distinct", "ssh_in"]
QUERY = (
    "conn|in_count_uid~conn_in|out_count_uid~conn_out;dns|in_distinct_query~dns_in_distinct;"
    "ssh|in~ssh_in#window_start,window_end"
)
rng = np.random.default_rng(7)


def draw(*shape: int) -> np.ndarray:
    return rng.normal(0, 0.7, shape).astype(np.float32)


def layer(class_name: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": name, "trainable": True, **config}}


def h5(
    model_config: Any, weights: dict[str, dict[str, np.ndarray]], version: bytes = b"2.3.1"
) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = json.dumps(model_config).encode()
        file.attrs["training_config"] = b"{}"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            inner = group.create_group(name)
            inner.attrs["weight_names"] = [f"{name}/{weight}:0".encode() for weight in arrays]
            for weight, array in arrays.items():
                inner.create_dataset(f"{name}/{weight}:0", data=array)
    return buffer.getvalue()


def sequential(
    *layers: Any, shape: tuple[int, ...] = (12, 4), weights: Any = None, **options: Any
) -> bytes:
    first = layers[0]["config"]
    first["batch_input_shape"] = [None, *shape]
    first["dtype"] = "float32"
    named = {item["config"]["name"]: {} for item in layers} | (weights or {})
    config = {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": layers}}
    return h5(config, named, **options)


def scaler_of(differences: np.ndarray) -> tuple[MinMaxScaler, bytes]:
    scaler = MinMaxScaler().fit(differences)
    buffer = io.BytesIO()
    joblib.dump(scaler, buffer, protocol=3)
    # Where the class lived in scikit-learn 0.20 to 0.22.
    old = buffer.getvalue().replace(b"sklearn.preprocessing._data", b"sklearn.preprocessing.data")
    assert old != buffer.getvalue()
    return scaler, old


def config_of(**changes: Any) -> bytes:
    model = {
        "file": "model.h5",
        "sequence_len": 12,
        "model_delta": True,
        "interpolate": False,
        "model_type": "LSTM",
        "epochs": 50,
        "epochs_patience": 10,
        "blocks": 12,
        "stacked_blocks": 3,
        "steps_ahead": 1,
        "batch_size": 1,
        "batch_normalization": False,
        "dropout_rate": 1.0,
        "multivariate": 4,
        "data_select_query": QUERY,
    }
    return json.dumps({"model": model | changes, "scaler": {"file": "scaler.pkl"}}).encode()


LSTM_WEIGHTS = {"kernel": draw(4, 20), "recurrent_kernel": draw(5, 20), "bias": draw(20)}
DENSE_WEIGHTS = {"kernel": draw(5, 4), "bias": draw(4)}
LSTM_NETWORK = sequential(
    layer("LSTM", "lstm_1", units=5, activation="tanh", recurrent_activation="hard_sigmoid"),
    layer("Dropout", "dropout_1", rate=1.0),
    layer("Dense", "dense_1", units=4, activation="linear"),
    weights={"lstm_1": LSTM_WEIGHTS, "dense_1": DENSE_WEIGHTS},
)
LEVELS = 1000 + np.cumsum(np.random.default_rng(3).normal(0, 20, (400, 4)), axis=0)
SCALER, SCALER_BYTES = scaler_of(np.diff(LEVELS, axis=0))


def original(**changes: bytes) -> bytes:
    members = {
        "config.json": config_of(),
        "model.h5": LSTM_NETWORK,
        "scaler.pkl": SCALER_BYTES,
        "metrics.json": b'{"smape": 1.41}',
    }
    return pack(members | changes)


def level_frame() -> pd.DataFrame:
    index = pd.date_range("2019-06-01", periods=400, freq="10min", tz="UTC", name="window_start")
    return pd.DataFrame(LEVELS, index=index, columns=COLUMNS)


class Command:
    """Unpickling it would run a command."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def pickled(thing: Any, protocol: int = 3) -> bytes:
    return pickle.dumps(thing, protocol=protocol)
