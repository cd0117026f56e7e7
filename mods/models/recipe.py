"""Which networks are trained: the one of a type, or for `auto` several that are then combined.

`auto` trains different networks one after the other on the same part and weighs
them by how their average does at the rolling origins of the validation part,
which comes after it (ensemble selection, Caruana et al., 2004): starting from
the best, the one that helps most is added again and again, and how often each
was taken is its weight.  The combination is one network like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mods.models.architectures import build_network, grown
from mods.models.fitting import Arrays, Progress, fit_network, judge, quantiles_of, seeded
from mods.models.hyperparameters import Hyperparameters

__all__ = ["MEMBERS", "combine", "select_members", "train_network"]

#: What `auto` chooses from: what differs from the settings asked for, and how many epochs for
#: each one asked for (the dense networks are quick and learn longer).
MEMBERS: dict[str, tuple[dict[str, Any], float]] = {
    "MLP": ({"model_type": "MLP", "stacked_blocks": 1}, 1.5),
    "deeper MLP": ({"model_type": "MLP", "stacked_blocks": 2}, 1.25),
    "Conv1D": ({"model_type": "Conv1D"}, 1.0),
    "LSTM": ({"model_type": "LSTM"}, 1.0),
}
#: How many times a member is added.
ROUNDS = 12
#: Which shares of the way from a begun network to the trained one are tried.
WAY = (0.25, 0.5, 0.75, 1.0)
#: By how much one of them may judge worse than where it began: on later days of a real series a
#: quarter of the way was better at most places, though few validation windows did not say so
#: (`benchmarks/bench_checkpoints.py`).
DOUBT = 0.02
#: Windows that a member says something about in one call.
BATCH = 4096


def train_network(
    settings: Hyperparameters,
    shape: dict[str, int],
    train: Arrays,
    validation: Arrays,
    *,
    masks: Callable[[np.ndarray, np.random.Generator], np.ndarray],
    checkpoint: Path | None = None,
    begun: Any = None,
    resume: bool = False,
    progress: bool = True,
    keep_interrupted: bool = False,
) -> tuple[Any, Progress]:
    """Build and train what the settings ask for; see `fitting.fit_network` for the rest.

    Parameters
    ----------
    shape
        Channels, context and columns of the network's inputs and outputs.
    begun
        A trained network of the same settings to go on from; it is left as it is. Its context may
        lack features at the end.

    Returns
    -------
    network, progress
        The trained network, and how its training went.
    """
    kinds = {settings.model_type: settings}
    if settings.model_type == "auto" and begun is None:
        kinds = _members(settings)
    networks, states = [], []
    for name, kind in kinds.items():
        file = checkpoint
        if file is not None and len(kinds) > 1:
            file = file.with_stem(f"{file.stem}-{name.replace(' ', '-')}")
        with seeded(kind.seed):
            network = build_network(kind, **shape) if begun is None else _begin(begun, kind, shape)
            state = fit_network(
                network,
                train,
                validation,
                kind,
                masks=masks,
                checkpoint=file,
                resume=resume,
                progress=progress,
                label=f"training {name}",
                keep_interrupted=keep_interrupted,
            )
        if begun is not None:
            state.best_loss = _between(_begin(begun, kind, shape), network, validation)
        networks.append(network)
        states.append(state)
        if state.interrupted:
            break
    if len(networks) == 1:
        return networks[0], states[0]
    said = [_say(network, validation) for network in networks]
    counts, loss = select_members(said, validation.target, settings.coverage)
    chosen = [(network, count) for network, count in zip(networks, counts, strict=True) if count]
    best = states[int(np.argmax(counts))]
    summary = Progress(
        epoch=sum(state.epoch for state in states),
        best_epoch=best.best_epoch,
        best_loss=loss,
        history=best.history,
        interrupted=any(state.interrupted for state in states),
        members={name: int(n) for name, n in zip(kinds, counts, strict=False) if n},
    )
    return combine(*zip(*chosen, strict=True)), summary


def select_members(
    said: list[np.ndarray], target: np.ndarray, coverage: float
) -> tuple[np.ndarray, float]:
    """Return how often each member is taken, and the loss of their average.

    Parameters
    ----------
    said
        What each member says, `(windows, horizon, columns, quantiles)` each.
    target
        `(windows, horizon, columns, 2)`: value and weight.
    coverage
        What the outer quantiles stand for.

    Examples
    --------
    >>> truth = np.stack([np.zeros((50, 1, 1)), np.ones((50, 1, 1))], axis=-1)
    >>> high, low, bad = (np.full((50, 1, 1, 3), value) for value in (1.0, -1.0, 9.0))
    >>> select_members([high, low, bad], truth, 0.9)[0].tolist()
    [6, 6, 0]
    """
    counts = np.zeros(len(said), dtype=int)
    total = np.zeros_like(said[0], dtype=np.float64)
    best = float("inf")
    for taken in range(1, ROUNDS + 1):
        losses = [_pinball((total + one) / taken, target, coverage) for one in said]
        chosen = int(np.argmin(losses))
        counts[chosen] += 1
        total += said[chosen]
        best = losses[chosen]
    return counts, best


def combine(networks: tuple[Any, ...], weights: tuple[int, ...]) -> Any:
    """Return one network that says the weighted mean of what the networks say."""
    import keras
    from keras import layers

    inputs = [keras.Input(tensor.shape[1:], name=tensor.name) for tensor in networks[0].inputs]
    parts: list[Any] = []
    for network, weight in zip(networks, weights, strict=True):
        member = _copy(network)
        member.name = f"member{len(parts)}"
        parts.append(layers.Rescaling(weight / sum(weights))(member(inputs)))
    return keras.Model(inputs, layers.Add()(parts) if len(parts) > 1 else parts[0])


def _between(begun: Any, network: Any, validation: Arrays) -> float:
    """Set the weights on the way from where training began to where it ended that judge best.

    Weights part of the way forecast better on what comes later than those at either end
    (Wortsman et al., 2022), and a short validation part tells more of the way than of one end.
    """
    start, end = begun.get_weights(), network.get_weights()
    losses = {}
    for share in (0.0, *WAY):
        network.set_weights(_mixed(start, end, share))
        losses[share] = judge(network, validation)
    best = min(WAY, key=losses.__getitem__)
    if losses[best] > (1 + DOUBT) * losses[0.0]:
        best = 0.0
    network.set_weights(_mixed(start, end, best))
    return losses[best]


def _mixed(start: list[np.ndarray], end: list[np.ndarray], share: float) -> list[np.ndarray]:
    return [(1 - share) * one + share * other for one, other in zip(start, end, strict=True)]


def _members(settings: Hyperparameters) -> dict[str, Hyperparameters]:
    return {
        name: replace(
            settings,
            **other,
            num_epochs=max(1, round(epochs * settings.num_epochs)),
            seed=settings.seed + place,
        )
        for place, (name, (other, epochs)) in enumerate(MEMBERS.items())
    }


def _begin(begun: Any, settings: Hyperparameters, shape: dict[str, int]) -> Any:
    if begun.inputs[1].shape[1] < shape["context"]:
        return grown(begun, settings, **shape)
    return _copy(begun)


def _copy(network: Any) -> Any:
    import keras

    # Cloning would copy how it was compiled too, and so store an optimizer in the bundle.
    copy = keras.Model.from_config(network.get_config())
    copy.set_weights(network.get_weights())
    return copy


def _say(network: Any, arrays: Arrays) -> np.ndarray:
    parts = [
        np.asarray(network([arrays.sequence[n : n + BATCH], arrays.context[n : n + BATCH]]))
        for n in range(0, len(arrays), BATCH)
    ]
    return np.concatenate(parts)


def _pinball(said: np.ndarray, target: np.ndarray, coverage: float) -> float:
    quantiles = np.array(quantiles_of(coverage))
    error = target[..., :1] - said
    losses = np.maximum(quantiles * error, (quantiles - 1) * error).sum(axis=-1)
    return float((losses * target[..., 1]).sum() / max(target[..., 1].sum(), 1.0))
