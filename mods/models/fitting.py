"""Training a network: epochs over arrays, early stopping, checkpoints from which it goes on.

The result depends on the data, the settings and the seed alone: each epoch draws
its order, its dropout and its masks from the seed and its own number.  So a
training that was killed goes on from its last checkpoint to the same weights.
"""

from __future__ import annotations

import json
import logging
import random
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mods.errors import ModelError
from mods.files import write_aside
from mods.models.hyperparameters import Hyperparameters
from mods.models.quiet import load_tensorflow
from mods.models.trainings import Epoch, tell_epoch

__all__ = ["Arrays", "Progress", "fit_network", "judge", "quantiles_of", "quieten", "seeded"]


@dataclass(frozen=True)
class Arrays:
    """What a network learns from.

    Attributes
    ----------
    sequence
        `(windows, sequence_len, channels)`, float32.
    context
        `(windows, features)`, float32.
    target
        `(windows, horizon, columns, 2)`, float32: the value and its weight, 0 where the
        value is missing.
    """

    sequence: np.ndarray
    context: np.ndarray
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.sequence)


@dataclass
class Progress:
    """How far a training is: what a checkpoint holds besides weights."""

    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    history: list[dict[str, float]] = field(default_factory=list)
    interrupted: bool = False
    members: dict[str, int] = field(default_factory=dict)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make what Keras draws follow from the seed; the caller's own random state is put back."""
    load_tensorflow()
    import keras

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _no_retracing(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in str(record.msg)


def quieten() -> None:
    """Leave TensorFlow's advice out that several models in one process are one traced again."""
    logging.getLogger("tensorflow").addFilter(_no_retracing)


def quantiles_of(coverage: float) -> tuple[float, float, float]:
    """Return the quantiles of lower bound, median and upper bound.

    Examples
    --------
    >>> [round(q, 3) for q in quantiles_of(0.9)]
    [0.05, 0.5, 0.95]
    """
    return (1 - coverage) / 2, 0.5, (1 + coverage) / 2


def fit_network(
    network: Any,
    train: Arrays,
    validation: Arrays,
    settings: Hyperparameters,
    *,
    masks: Callable[[np.ndarray, np.random.Generator], np.ndarray],
    checkpoint: Path | None = None,
    resume: bool = False,
    progress: bool = True,
    label: str = "training",
    keep_interrupted: bool = False,
) -> Progress:
    """Train a network in place; it ends with the weights that were best on the validation part.

    Parameters
    ----------
    network
        From `architectures.build_network`.
    train, validation
        What it learns from, and what tells when to stop.
    settings
        Epochs, patience, batch size, learning rate, coverage and seed.
    masks
        Takes a copy of the training context and a generator, and returns it with some inputs
        masked, so that the network can do without them.
    checkpoint
        The file to keep the state in after each epoch; None for none.
    resume
        Go on from the checkpoint if there is one.
    progress
        Show a bar with loss and time left on stderr.
    label
        What the bar calls it.
    keep_interrupted
        At Ctrl-C, stop and keep the best weights so far instead of passing it on.

    Returns
    -------
    Progress
        Epochs, the best one, and the losses.

    Raises
    ------
    ModelError
        Where the loss is not a number any more, or the checkpoint does not fit.
    """
    import keras

    quieten()
    steps = max(1, -(-len(train) // settings.batch_size))
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate, steps * settings.num_epochs
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-3, global_clipnorm=1.0)
    network.compile(optimizer=optimizer, loss=_loss(settings.coverage), jit_compile=False)
    optimizer.build(network.trainable_variables)
    state, best = Progress(), [np.array(w) for w in network.get_weights()]
    if resume and checkpoint is not None and checkpoint.is_file():
        state, best = _restore(checkpoint, network, optimizer)
    bar = _bar(steps * settings.num_epochs, steps * state.epoch, label, progress)
    try:
        for epoch in range(state.epoch, settings.num_epochs):
            if state.epoch - state.best_epoch >= settings.epochs_patience:
                break
            loss = _run_epoch(network, train, settings, epoch, masks, bar)
            judged = judge(network, validation)
            _check_loss(loss + judged, epoch)
            state.epoch = epoch + 1
            state.history.append({"loss": loss, "validation_loss": judged})
            tell_epoch(Epoch(label, state.epoch, settings.num_epochs, loss, judged))
            if judged < state.best_loss:
                state.best_loss, state.best_epoch = judged, state.epoch
                best = [np.array(w) for w in network.get_weights()]
            bar.set_postfix(loss=f"{loss:.4f}", validation=f"{judged:.4f}")
            if checkpoint is not None:
                _keep(checkpoint, network, optimizer, state, best)
                _log(checkpoint.with_suffix(".log"), state)
    except KeyboardInterrupt:
        if not keep_interrupted or state.epoch == 0:
            raise
        state.interrupted = True
    finally:
        bar.close()
    network.set_weights(best)
    return state


def judge(network: Any, validation: Arrays) -> float:
    """Return the loss of a network that `fit_network` has trained."""
    inputs = [validation.sequence, validation.context]
    return float(network.evaluate(inputs, validation.target, batch_size=4096, verbose=0))


def _check_loss(loss: float, epoch: int) -> None:
    if not np.isfinite(loss):
        raise ModelError(
            f"the loss of epoch {epoch + 1} is not a number",
            "a loss that falls",
            "Set a smaller learning_rate.",
        )


def _loss(coverage: float) -> Callable[[Any, Any], Any]:
    from keras import ops

    quantiles = np.array(quantiles_of(coverage), dtype=np.float32)

    def pinball(truth: Any, forecast: Any) -> Any:
        """Weighted pinball loss (Koenker and Bassett, 1978), over all quantiles."""
        error = truth[..., :1] - forecast
        losses = ops.sum(ops.maximum(quantiles * error, (quantiles - 1) * error), axis=-1)
        weight = truth[..., 1]
        return ops.sum(losses * weight) / ops.maximum(ops.sum(weight), 1.0)

    return pinball


def _run_epoch(
    network: Any,
    train: Arrays,
    settings: Hyperparameters,
    epoch: int,
    masks: Callable[[np.ndarray, np.random.Generator], np.ndarray],
    bar: Any,
) -> float:
    import keras

    random = np.random.default_rng((settings.seed, epoch))
    order = random.permutation(len(train))
    context = masks(train.context[order], random)
    for place, generator in enumerate(_seed_generators(network)):
        # Dropout draws from its own state; tied to the epoch, a resumed training draws the same.
        state = np.array([settings.seed, 1000 * epoch + place], dtype=np.uint32)
        generator.state.assign(state)

    def count(batch: int, logs: Any = None) -> None:
        bar.update()

    history = network.fit(
        [train.sequence[order], context],
        train.target[order],
        batch_size=settings.batch_size,
        epochs=epoch + 1,
        initial_epoch=epoch,
        shuffle=False,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=count)],
    )
    return float(history.history["loss"][0])


def _seed_generators(network: Any) -> list[Any]:
    layers = [layer for layer in network._flatten_layers() if hasattr(layer, "seed_generator")]
    return [layer.seed_generator for layer in layers if layer.seed_generator is not None]


def _keep(path: Path, network: Any, optimizer: Any, state: Progress, best: list[Any]) -> None:
    arrays = {f"weight{n:04d}": np.array(w) for n, w in enumerate(network.get_weights())}
    arrays |= {f"best{n:04d}": w for n, w in enumerate(best)}
    arrays |= {f"optimizer{n:04d}": np.array(v) for n, v in enumerate(optimizer.variables)}
    text = json.dumps(asdict(state))
    arrays["state"] = np.frombuffer(text.encode(), dtype=np.uint8)
    with write_aside(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _log(folder: Path, state: Progress) -> None:
    """Write the last epoch's losses for TensorBoard."""
    import tensorflow as tf

    values = [
        tf.compat.v1.Summary.Value(tag=name, simple_value=value)
        for name, value in state.history[-1].items()
    ]
    # The newer interface wants TensorBoard itself installed; who only trains does not need it.
    with tf.Graph().as_default():
        # Its name says the second; epochs may be shorter.
        suffix = f".{state.epoch:06d}"
        writer = tf.compat.v1.summary.FileWriter(str(folder), filename_suffix=suffix)
        writer.add_summary(tf.compat.v1.Summary(value=values), state.epoch)
        writer.close()


def _restore(path: Path, network: Any, optimizer: Any) -> tuple[Progress, list[np.ndarray]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        state = Progress(**json.loads(arrays.pop("state").tobytes()))
        network.set_weights(_named(arrays, "weight"))
        for variable, value in zip(optimizer.variables, _named(arrays, "optimizer"), strict=True):
            variable.assign(value)
        return state, _named(arrays, "best")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"checkpoint {str(path)!r} does not fit: {error}",
            "the checkpoint of a training with the same data and settings",
            "Train without --resume.",
        ) from error


def _named(arrays: dict[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    return [arrays[name] for name in sorted(arrays) if name.startswith(prefix)]


def _bar(total: int, done: int, label: str, progress: bool) -> Any:
    from tqdm import tqdm

    # disable=None: silent where stderr is no terminal.
    return tqdm(
        total=total,
        initial=done,
        desc=label,
        unit="batch",
        disable=None if progress else True,
        mininterval=0.5,
    )
