"""Networks of Keras 2.3 give their numbers under Keras 3, by the oracle in plain numpy."""

from __future__ import annotations

import io
from typing import Any

import h5py
import numpy as np
import pytest

from mods.errors import ModelError
from mods.models.archive import Archive, pack
from mods.models.bundle import read_bundle, write_bundle
from mods.models.legacy_network import read_network
from mods.tests.keras2_oracle import (
    causal_conv,
    cudnn_gru,
    cudnn_lstm,
    dense,
    gru,
    hard_sigmoid,
    lstm,
    sigmoid,
)
from mods.tests.original_maker import (
    DENSE_WEIGHTS,
    LSTM_NETWORK,
    LSTM_WEIGHTS,
    draw,
    h5,
    layer,
    sequential,
)

X = np.random.default_rng(5).normal(0, 1, (6, 12, 4))


def network_of(content: bytes) -> Any:
    return read_network(Archive(pack({"model.h5": content}), "bundle"), "model.h5")


def outputs(content: bytes, x: np.ndarray) -> np.ndarray:
    return np.asarray(network_of(content)(x.astype(np.float32)))


@pytest.mark.network
def test_an_lstm_gives_the_numbers_of_keras_2():
    expected = dense(
        lstm(X, *LSTM_WEIGHTS.values()), DENSE_WEIGHTS["kernel"], DENSE_WEIGHTS["bias"]
    )
    np.testing.assert_allclose(outputs(LSTM_NETWORK, X), expected, atol=1e-5)
    # It matters: with the hard sigmoid of today the numbers are others.
    today = dense(
        lstm(X, *LSTM_WEIGHTS.values(), gate=lambda z: np.clip(z / 6 + 0.5, 0, 1)),
        *DENSE_WEIGHTS.values(),
    )
    assert np.abs(today - expected).max() > 1e-2


@pytest.mark.network
def test_a_gru_applies_its_reset_gate_before_the_product():
    weights = {"kernel": draw(4, 15), "recurrent_kernel": draw(5, 15), "bias": draw(15)}
    options = {"units": 5, "activation": "tanh", "recurrent_activation": "hard_sigmoid"}
    content = sequential(layer("GRU", "gru_1", **options), weights={"gru_1": weights})
    np.testing.assert_allclose(outputs(content, X), gru(X, *weights.values()), atol=1e-5)
    said = sequential(
        layer("GRU", "gru_1", **options | {"recurrent_activation": "sigmoid"}, reset_after=False),
        weights={"gru_1": weights},
    )
    np.testing.assert_allclose(outputs(said, X), gru(X, *weights.values(), gate=sigmoid), atol=1e-5)


@pytest.mark.network
@pytest.mark.parametrize("inputs", [4, 5, 7])
def test_layers_of_cudnn_give_their_numbers_without_a_gpu(inputs):
    x = np.random.default_rng(1).normal(0, 1, (6, 12, inputs))
    weights = {"kernel": draw(inputs, 20), "recurrent_kernel": draw(5, 20), "bias": draw(40)}
    content = sequential(
        layer("CuDNNLSTM", "cu_1", units=5), shape=(12, inputs), weights={"cu_1": weights}
    )
    np.testing.assert_allclose(outputs(content, x), cudnn_lstm(x, *weights.values()), atol=1e-5)
    weights = {"kernel": draw(inputs, 15), "recurrent_kernel": draw(5, 15), "bias": draw(30)}
    content = sequential(
        layer("CuDNNGRU", "cu_1", units=5), shape=(12, inputs), weights={"cu_1": weights}
    )
    np.testing.assert_allclose(outputs(content, x), cudnn_gru(x, *weights.values()), atol=1e-5)


@pytest.mark.network
@pytest.mark.parametrize("kind", ["LSTM", "CuDNNLSTM"])
def test_a_bidirectional_lstm_reads_both_ways(kind):
    biases = 20 if kind == "LSTM" else 40
    names = [f"{way}/{w}" for way in ("forward", "backward") for w in ("k", "r", "b")]
    arrays = [draw(4, 20), draw(5, 20), draw(biases), draw(4, 20), draw(5, 20), draw(biases)]
    content = sequential(
        layer("Bidirectional", "both", merge_mode="concat", layer=layer(kind, "inner", units=5)),
        weights={"both": dict(zip(names, arrays, strict=True))},
    )
    one = lstm if kind == "LSTM" else cudnn_lstm
    expected = np.hstack([one(X, *arrays[:3]), one(X[:, ::-1], *arrays[3:])])
    np.testing.assert_allclose(outputs(content, X), expected, atol=1e-5)


@pytest.mark.network
def test_causal_convolutions_pooling_and_normalization_in_one_chain():
    conv = {"kernel": draw(3, 4, 6), "bias": draw(6)}
    norm = {
        "gamma": draw(6),
        "beta": draw(6),
        "moving_mean": draw(6),
        "moving_variance": np.abs(draw(6)) + 0.5,
    }
    last = {"kernel": draw(6, 4), "bias": draw(4)}
    content = sequential(
        layer("Conv1D", "conv", filters=6, kernel_size=[3], strides=[1], padding="causal",
              dilation_rate=[2], activation="relu", data_format="channels_last"),
        layer("BatchNormalization", "norm", axis=-1, momentum=0.99, epsilon=0.01),
        layer("SpatialDropout1D", "dropout", rate=0.5),
        layer("MaxPooling1D", "pool", pool_size=[2], strides=[2], padding="valid"),
        layer("TimeDistributed", "each", layer=layer("Dense", "d", units=4, activation="elu")),
        layer("GlobalAveragePooling1D", "mean"),
        weights={"conv": conv, "norm": norm, "each": last},
    )  # fmt: skip
    x = np.maximum(causal_conv(X, *conv.values(), dilation=2), 0)
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + 0.01)
    x = (x - norm["moving_mean"]) * scale + norm["beta"]
    x = x.reshape(6, 6, 2, 6).max(axis=2)
    x = dense(x, *last.values())
    x = (np.maximum(x, 0) + np.expm1(np.minimum(x, 0))).mean(axis=1)
    np.testing.assert_allclose(outputs(content, X), x, atol=1e-5)


@pytest.mark.network
def test_hard_sigmoids_outside_of_recurrent_layers_keep_their_meaning():
    weights = {"kernel": draw(48, 4), "bias": draw(4)}
    content = sequential(
        layer("Flatten", "flat"),
        layer("Dense", "dense", units=4, activation="hard_sigmoid"),
        layer("Activation", "act", activation="hard_sigmoid"),
        weights={"dense": weights},
    )
    expected = hard_sigmoid(hard_sigmoid(dense(X.reshape(6, 48), *weights.values())))
    np.testing.assert_allclose(outputs(content, X), expected, atol=1e-6)
    # What Keras 3 makes of it can be kept in a bundle.
    network_of(content)


@pytest.mark.network
def test_a_functional_network_with_a_shared_layer_and_a_handed_over_state(tmp_path):
    encoder = {"kernel": draw(4, 20), "recurrent_kernel": draw(5, 20), "bias": draw(20)}
    decoder = {"kernel": draw(4, 20), "recurrent_kernel": draw(5, 20), "bias": draw(20)}
    shared = {"kernel": draw(5, 4), "bias": draw(4)}

    def node(item, *inbound):
        nodes = [[[*source, {}] for source in call] for call in inbound]
        return item | {"name": item["config"]["name"], "inbound_nodes": nodes}

    layers = [
        node(layer("InputLayer", "in", batch_input_shape=[None, 12, 4], dtype="float32")),
        node(layer("LSTM", "enc", units=5, return_state=True), [["in", 0, 0]]),
        # The decoder starts from the encoder's two states.
        node(
            layer("LSTM", "dec", units=5),
            [["in", 0, 0], ["enc", 0, 1], ["enc", 0, 2]],
        ),
        node(layer("Dense", "out", units=4), [["dec", 0, 0]], [["enc", 0, 0]]),
        node(layer("Add", "sum"), [["out", 0, 0], ["out", 1, 0]]),
    ]
    config = {
        "class_name": "Model",
        "config": {
            "name": "model_1",
            "layers": list(reversed(layers)),
            "input_layers": [["in", 0, 0]],
            "output_layers": [["sum", 0, 0]],
        },
    }
    content = h5(config, {"enc": encoder, "dec": decoder, "out": shared})
    h = c = np.zeros((6, 5))
    for t in range(12):
        i, f, g, o = np.split(
            X[:, t] @ encoder["kernel"] + h @ encoder["recurrent_kernel"] + encoder["bias"],
            4,
            axis=1,
        )
        c = hard_sigmoid(f) * c + hard_sigmoid(i) * np.tanh(g)
        h = hard_sigmoid(o) * np.tanh(c)
    decoded = lstm(X, *decoder.values(), state=(h, c))
    expected = dense(decoded, *shared.values()) + dense(h, *shared.values())
    np.testing.assert_allclose(outputs(content, X), expected, atol=1e-5)
    write_bundle(tmp_path / "a.zip", {}, network=network_of(content))
    again = read_bundle(tmp_path / "a.zip").network
    np.testing.assert_allclose(np.asarray(again(X.astype("float32"))), expected, atol=1e-5)


def with_link() -> bytes:
    with h5py.File(buffer := io.BytesIO(LSTM_NETWORK), "r+") as file:
        file["secrets"] = h5py.ExternalLink("/etc/passwd", "/")
    return buffer.getvalue()


def one(item: Any, **options: Any) -> bytes:
    return sequential(item, **options)


NETWORKS = {
    "code": (one(layer("Lambda", "l", function=["4wEAAAA=", None, None])), "Lambda layer, which"),
    "unknown": (one(layer("SeqSelfAttention", "a")), "a layer SeqSelfAttention, which cannot"),
    "activation": (one(layer("Dense", "d", units=4, activation="eval")), "the activation 'eval'"),
    "huge": (one(layer("Dense", "d", units=10**9)), "with units 1000000000 (1 to 8192)"),
    "stateful": (one(layer("LSTM", "l", units=4, stateful=True)), "that is stateful"),
    "hard state": (
        one(layer("LSTM", "l", units=4, activation="hard_sigmoid")),
        "with the activation 'hard_sigmoid' on its state",
    ),
    "weights": (
        one(
            layer("Dense", "d", units=4),
            weights={"d": {"kernel": draw(3, 4), "bias": draw(4)}},
        ),
        "cannot be rebuilt",
    ),
    "keras 3": (one(layer("Flatten", "f"), version=b"3.1.0"), "was written by Keras 3.1.0"),
    "no model": (h5([], {}), "cannot be rebuilt"),
    "a class": (h5({"class_name": "Evil", "config": {}}, {}), "holds a 'Evil'"),
    "no input": (
        h5(
            {
                "class_name": "Model",
                "config": {
                    "layers": [
                        layer("Flatten", "f") | {"name": "f", "inbound_nodes": [[["f", 0, 0, {}]]]}
                    ],
                    "output_layers": [["f", 0, 0]],
                },
            },
            {},
        ),
        "layer 'f' has no input",
    ),
    "not hdf5": (b"\x89HDF but not really", "is damaged in its weights"),
    "cut": (LSTM_NETWORK[:3000], "is damaged in its weights"),
    "link": (with_link(), "links its weights 'secrets' to elsewhere"),
}


@pytest.mark.network
@pytest.mark.parametrize("case", NETWORKS)
def test_a_network_that_cannot_be_moved_is_refused_by_its_offence(case):
    content, message = NETWORKS[case]
    with pytest.raises(ModelError) as caught:
        network_of(content)
    assert message in str(caught.value)
