"""Every network respects the hyper-parameters that apply to it, and never crosses quantiles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mods.models.architectures import ARCHITECTURES, build_network, grown
from mods.models.hyperparameters import MODEL_TYPES, Hyperparameters
from mods.models.saved_network import network_from_bytes, network_to_bytes

pytestmark = pytest.mark.network

SHAPE = {"channels": 4, "context": 9, "columns": 2}
STACKED = {"MLP", "Conv1D", "autoencoderMLP", "stackedLSTM", "stackedTCN"}


def settings(model_type: str, **other: Any) -> Hyperparameters:
    given = {"sequence_len": 10, "horizon": 3, "steps_ahead": 3, "blocks": 4, "dropout_rate": 0.0}
    return Hyperparameters(model_type=model_type, **given | other)


def layers_of(network: Any, kind: str) -> list[Any]:
    return [layer for layer in network._flatten_layers() if type(layer).__name__ == kind]


def test_there_are_the_eleven_and_the_recipe():
    assert set(ARCHITECTURES) | {"auto"} == set(MODEL_TYPES)
    assert len(ARCHITECTURES) == 11


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_a_network_is_built_as_asked_and_survives_its_file(model_type):
    plain = settings(model_type)
    network = build_network(plain, **SHAPE)
    assert network.output_shape == (None, 3, 2, 3)
    assert not layers_of(network, "Dropout") and not layers_of(network, "BatchNormalization")

    random = np.random.default_rng(0)
    inputs = [
        random.normal(0, 50, (5, 10, 4)).astype("float32"),
        random.normal(0, 50, (5, 9)).astype("float32"),
    ]
    said = np.asarray(network(inputs))
    assert np.isfinite(said).all()
    assert (np.diff(said, axis=-1) >= 0).all()
    again = network_from_bytes(network_to_bytes(network), "the network")
    np.testing.assert_array_equal(np.asarray(again(inputs)), said)

    wider = build_network(replace(plain, blocks=8), **SHAPE)
    assert wider.count_params() > network.count_params()
    deeper = build_network(replace(plain, stacked_blocks=3), **SHAPE)
    assert (deeper.count_params() > network.count_params()) == (model_type in STACKED)
    dropped = build_network(replace(plain, dropout_rate=0.3), **SHAPE)
    # The head has two; the type itself adds its own.
    assert len(layers_of(dropped, "Dropout")) > 2
    assert {layer.rate for layer in layers_of(dropped, "Dropout")} == {0.3}
    normed = build_network(replace(plain, batch_normalization=True), **SHAPE)
    assert len(layers_of(normed, "BatchNormalization")) > 2


def test_names_do_not_depend_on_what_was_built_before():
    """TensorFlow orders sums by name, so other names are other last bits of a seeded training."""
    settings = Hyperparameters(model_type="bidirectLSTM", blocks=4)
    one, other = (build_network(settings, **SHAPE) for _ in range(2))
    assert [w.path for w in one.weights] == [w.path for w in other.weights]


@pytest.mark.parametrize("told", [0, 3])
@pytest.mark.parametrize("model_type", ["LSTM", "stackedTCN"])
def test_a_grown_network_says_the_same_until_it_learns_more(model_type, told):
    shape = {"channels": 4, "context": 9, "columns": 1, "told": told}
    network = build_network(settings(model_type), **shape)
    larger = grown(network, settings(model_type), **shape | {"context": 14})
    random = np.random.default_rng(0)
    sequence, context = random.normal(size=(5, 10, 4)), random.normal(size=(5, 14))
    said = np.asarray(network([sequence, context[:, :9]]))
    np.testing.assert_allclose(np.asarray(larger([sequence, context])), said, rtol=1e-5, atol=1e-6)
    assert larger.count_params() == network.count_params() + 2 * 5 * 256


def test_a_forecast_that_is_told_can_be_followed():
    """With the context's forecast raised by one, the median rises by what the network trusts."""
    shape = {"channels": 4, "context": 9, "columns": 1, "told": 3}
    network = build_network(settings("MLP"), **shape)
    weights = network.get_weights()
    network.set_weights([np.zeros_like(weight) for weight in weights])
    sequence, context = np.zeros((2, 10, 4)), np.zeros((2, 9))
    context[1, :3] = [1.0, 2.0, 3.0]
    said = np.asarray(network([sequence, context]))[:, :, 0, 1]
    np.testing.assert_allclose(said, np.array([[0.0, 0.0, 0.0], [0.5, 1.0, 1.5]]))


def test_a_stored_network_holds_no_optimizer():
    network = build_network(settings("MLP"), **SHAPE)
    plain = network_to_bytes(network)
    network.compile("adam", "mse")
    network.optimizer.build(network.trainable_variables)
    optimizer = network.optimizer
    assert len(network_to_bytes(network)) == len(plain)
    assert network.optimizer is optimizer, "training can go on"
