"""Every network respects the hyper-parameters that apply to it, and never crosses quantiles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mods.models.architectures import ARCHITECTURES, build_network
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
