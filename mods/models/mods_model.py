"""The model: fit, forecast, backtest, save, load."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from mods.errors import ModelError
from mods.models.calibration import Calibration
from mods.models.encoding import Encoding, check_frame, encoding_for
from mods.models.fitting import quieten
from mods.models.forecast import Forecast, actual_after, forecast_table, index_after
from mods.models.hyperparameters import FIXED, Hyperparameters
from mods.models.quiet import load_tensorflow
from mods.models.recipe import train_network

__all__ = ["Model"]

#: The share of the origins, the latest ones, that tells when to stop.
VALIDATION_SHARE = 0.1
#: Windows that one call of the network takes in a backtest.
PREDICT_BATCH = 4096
#: Rows of history that a forecast looks at, at most: five weeks of ten-minute windows.
HISTORY = 6048


class Model:
    """A network that forecasts the next windows of every column, with intervals.

    Parameters
    ----------
    model_type
        One of `hyperparameters.MODEL_TYPES`.
    **hyperparameters
        See `hyperparameters.Hyperparameters`.

    Attributes
    ----------
    config
        Hyper-parameters, columns, window and the training's provenance, as JSON can say them.
    """

    def __init__(self, model_type: str = "LSTM", **hyperparameters: Any) -> None:
        self.settings = Hyperparameters.of(model_type=model_type, **hyperparameters)
        self.config: dict[str, Any] = {"hyperparameters": self.settings.as_dict()}
        self.metrics: dict[str, Any] = {}
        self._encoding = encoding_for(self.settings, None)
        self._calibration = _uncalibrated(self.settings)
        self._network: Any = None
        self._function: Any = None

    @property
    def columns(self) -> list[str]:
        """The columns that it was trained on; it forecasts others too."""
        return list(self.config.get("columns", []))

    @property
    def window(self) -> str | None:
        """The window's name that it was trained on, None where the data did not say."""
        name: str | None = self.config.get("window")
        return name

    @property
    def horizon(self) -> int:
        """Steps that it forecasts."""
        return self.settings.steps_ahead

    @property
    def coverage(self) -> float:
        """The share of actual values that its intervals are to hold."""
        return self.settings.coverage

    @property
    def network(self) -> Any:
        """The Keras network; raise `ModelError` where there is none yet."""
        if self._network is None:
            raise ModelError("the model is not trained", "a trained model", "Call fit first.")
        return self._network

    def fit(
        self,
        frame: pd.DataFrame,
        *,
        from_model: Model | None = None,
        checkpoints: Path | str | None = None,
        resume: bool = False,
        progress: bool = True,
        keep_interrupted: bool = False,
    ) -> Self:
        """Train on a frame.

        Parameters
        ----------
        frame
            `(rows, columns)`, float64, consecutive windows.
        from_model
            Go on from this model's weights instead of from new ones.
        checkpoints
            Folder that keeps the state after each epoch.
        resume
            Go on from the checkpoint of the same training, where there is one.
        progress
            Show a bar on stderr.
        keep_interrupted
            At Ctrl-C, keep the best weights so far instead of passing it on.

        Raises
        ------
        DataError
            Where the frame is too short, has infinite values, or nothing to learn from.
        ModelError
            Where `from_model` has another shape.
        """
        started = time.perf_counter()
        check_frame(frame, needed=self.settings.sequence_len + 3 * self.settings.horizon)
        window = frame.attrs.get("window")
        self._encoding = encoding_for(self.settings, window)
        train, validation = self._split(len(frame))
        self._encoding.learn(frame, train)
        if from_model is not None:
            _check_shape(self.settings, from_model.settings)
            self._encoding.speak_as(from_model._encoding)  # type: ignore[arg-type]
        arrays = self._encoding.arrays(frame, train)
        judged = self._encoding.arrays(frame, validation)
        self._network, state = train_network(
            self.settings,
            self._encoding.shape,
            arrays,
            judged,
            masks=self._encoding.mask,
            checkpoint=self._checkpoint(frame, checkpoints, from_model),
            begun=None if from_model is None else from_model.network,
            resume=resume,
            progress=progress,
            keep_interrupted=keep_interrupted,
        )
        self._function = None
        self.config["columns"] = [str(name) for name in frame.columns]
        self.config["window"] = window
        self.config["encoding"] = self._encoding.state()
        self.config["training"] = {
            "rows": len(frame),
            "first": _label(frame.index[0]),
            "last": _label(frame.index[-1]),
            "windows": len(arrays),
            "validation_windows": len(judged),
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            "history": state.history,
            "members": state.members,
            "interrupted": state.interrupted,
            "seconds": round(time.perf_counter() - started, 2),
        }
        self.metrics["validation_loss"] = state.best_loss
        self._calibrate(frame, validation)
        return self

    def forecast(self, frame: pd.DataFrame) -> Forecast:
        """Forecast the windows after the frame's last one.

        Parameters
        ----------
        frame
            `(rows, columns)`: the history, at least `sequence_len` rows; the last
            `history_len` of them are looked at.
        """
        frame = self._encoding.select(frame)
        history = frame.iloc[-HISTORY:]
        names = [str(name) for name in frame.columns]
        quantiles = self._quantiles(history, self._origins(history)[-1:])[0]  # (steps, columns, 3)
        low, point, high = (quantiles[..., n] for n in range(3))
        low, high = self._calibration.apply(point, low, high, columns=names)
        index = index_after(frame.index, self.horizon)
        point, low, high = (pd.DataFrame(values, index, names) for values in (point, low, high))
        return Forecast(point, low, high, coverage=self.coverage)

    def backtest(
        self,
        frame: pd.DataFrame,
        *,
        batch_size: int = PREDICT_BATCH,
        coverage: float | None = None,
    ) -> pd.DataFrame:
        """Forecast at every origin with enough history; return the forecast table.

        Each forecast sees the rows up to its origin only, and so do the margins of its
        interval, which follow the actual values as they come in. `actual` is filled where the
        frame knows it. `batch_size` windows are taken at a time, which changes the memory
        needed and not the forecast. `coverage` is what the intervals are to hold, by default
        the model's own.
        """
        frame = self._encoding.select(frame)
        origins = self._origins(frame)
        quantiles = self._quantiles(frame, origins, batch_size)
        low, point, high = (quantiles[..., n] for n in range(3))
        actual = np.where(
            self._trained_on(frame.index[origins])[:, None, None],
            np.nan,
            actual_after(frame, origins, self.horizon),
        )
        names = [str(name) for name in frame.columns]
        calibration = self._calibration.holding(coverage or self.coverage)
        low, high = calibration.bounds(point, low, high, actual, columns=names)
        return forecast_table(frame, origins, point, low, high)

    def save(self, path: Path | str) -> None:
        """Write the model's bundle."""
        from mods.models.bundle import write_bundle

        write_bundle(
            path,
            self.config,
            network=self.network,
            arrays=self._calibration.to_arrays(),
            metrics=self.metrics,
        )

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a model from its bundle; the network is loaded when it is first needed."""
        from mods.models.bundle import read_bundle

        bundle = read_bundle(path)
        model = cls(**bundle.config["hyperparameters"])
        model.config, model.metrics = bundle.config, bundle.metrics
        model._encoding = encoding_for(model.settings, model.window)
        model._encoding.restore(bundle.config["encoding"])
        model._network = bundle.network
        if "calibration_scores" in bundle.arrays:
            model._calibration = Calibration.from_arrays(
                bundle.arrays, columns=model.config["calibrated"], coverage=model.coverage
            )
        return model

    @classmethod
    def of_parts(
        cls,
        settings: Hyperparameters,
        network: Any,
        encoding: Encoding,
        training: dict[str, Any],
    ) -> Self:
        """Make a model for every column and window of a network that was trained elsewhere."""
        model = cls(**settings.as_dict())
        model._network, model._encoding = network, encoding
        model.config |= {
            "columns": [],
            "window": None,
            "encoding": encoding.state(),
            "training": training,
            "calibrated": [],
        }
        return model

    def pool_margins(self, frame: pd.DataFrame) -> None:
        """Learn margins for any column from a frame whose columns are networks of their own."""
        self._calibration = self._margins(frame, self._origins(frame)).without_columns()

    def _calibrate(self, frame: pd.DataFrame, origins: np.ndarray) -> None:
        """Learn the intervals' margins from the part that the network was not trained on."""
        self._calibration = self._margins(frame, origins)
        self.config["calibrated"] = self.columns
        self.config["training"]["validation_first"] = _label(frame.index[origins[0]])

    def _margins(self, frame: pd.DataFrame, origins: np.ndarray) -> Calibration:
        quantiles = self._quantiles(frame, origins, all_steps=True)
        low, point, high = (quantiles[..., n] for n in range(3))
        actual = actual_after(frame, origins, self.settings.horizon)
        names = list(map(str, frame.columns))
        return Calibration.fit(point, low, high, actual, columns=names, coverage=self.coverage)

    def _trained_on(self, labels: pd.Index) -> np.ndarray:
        """Return which origins the network was trained on: `(origins,)`, bool."""
        training = self.config["training"]
        if "validation_first" not in training:
            return np.zeros(len(labels), dtype=bool)
        bounds = [training["first"], training["validation_first"]]
        timed = [isinstance(bound, str) for bound in bounds]
        if any(timed) != isinstance(labels, pd.DatetimeIndex):
            return np.zeros(len(labels), dtype=bool)
        first, last = (pd.Timestamp(b) for b in bounds) if all(timed) else bounds
        inside: np.ndarray = (labels >= first) & (labels < last)
        return inside

    def _split(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the origins to train on and to validate on, the horizon between them."""
        first, horizon = self.settings.sequence_len - 1, self.settings.horizon
        last = rows - 1 - horizon
        start = min(last, max(first + horizon + 1, round(last - VALIDATION_SHARE * (last - first))))
        return np.arange(first, start - horizon), np.arange(start, last + 1)

    def _origins(self, frame: pd.DataFrame) -> np.ndarray:
        check_frame(frame, needed=self.settings.sequence_len)
        return np.arange(self.settings.sequence_len - 1, len(frame))

    def _quantiles(
        self,
        frame: pd.DataFrame,
        origins: np.ndarray,
        batch_size: int = PREDICT_BATCH,
        *,
        all_steps: bool = False,
    ) -> np.ndarray:
        """Return `(origins, steps, columns, quantiles)` in the columns' units."""
        # A checkpoint made for every window takes the data's own.
        window = self.window or frame.attrs.get("window")
        encoding = self._encoding if self.window else self._encoding.for_window(window)
        sequence, context, state = encoding.encode(frame, origins)
        steps = self.settings.horizon if all_steps else self.horizon
        return encoding.decode(self._run(sequence, context, batch_size), state)[:, :steps]

    def _run(self, sequence: np.ndarray, context: np.ndarray, batch_size: int) -> np.ndarray:
        load_tensorflow()
        import tensorflow as tf

        if self._function is None:
            quieten()
            network = self.network
            _check_inputs(network, sequence, context)
            signature = [
                tf.TensorSpec((None, *a.shape[1:]), tf.float32) for a in (sequence, context)
            ]
            # One graph for all batch sizes: nothing is traced again when the size changes.
            self._function = tf.function(
                lambda *a: network(a), input_signature=signature, autograph=False
            )
        parts = [
            self._function(sequence[n : n + batch_size], context[n : n + batch_size]).numpy()
            for n in range(0, len(sequence), batch_size)
        ]
        return np.concatenate(parts)

    def _checkpoint(
        self, frame: pd.DataFrame, folder: Path | str | None, from_model: Model | None
    ) -> Path | None:
        """Return the checkpoint's file: each data, settings and start have one of their own."""
        if folder is None:
            return None
        digest = hashlib.sha256(json.dumps(self.settings.as_dict()).encode())
        digest.update(json.dumps([str(frame.attrs.get("window")), *map(str, frame)]).encode())
        digest.update(pd.util.hash_pandas_object(frame).to_numpy().tobytes())
        if from_model is not None:
            for weights in from_model.network.get_weights():
                digest.update(np.ascontiguousarray(weights).tobytes())
        return Path(folder) / f"{self.settings.model_type}-{digest.hexdigest()[:16]}.npz"


def _uncalibrated(settings: Hyperparameters) -> Calibration:
    return Calibration.empty(settings.horizon, coverage=settings.coverage)


def _label(label: Any) -> int | str:
    """Return a row's label as JSON can say it: a row number, or an instant."""
    return label.isoformat() if isinstance(label, pd.Timestamp) else int(label)


def _check_inputs(network: Any, *arrays: np.ndarray) -> None:
    wanted = [tuple(tensor.shape[1:]) for tensor in network.inputs]
    made = [array.shape[1:] for array in arrays]
    if wanted != made:
        raise ModelError(
            f"the model's network takes inputs of shapes {wanted}, and this version makes {made}",
            "a model trained by this version",
            "Train it again.",
        )


def _check_shape(settings: Hyperparameters, begun: Hyperparameters) -> None:
    for name in FIXED:
        wanted, has = getattr(settings, name), getattr(begun, name)
        if wanted != has:
            raise ModelError(
                f"{name} is {wanted!r}, but the model to go on from has {has!r}",
                "the same network",
                f"Leave {name} out.",
            )
