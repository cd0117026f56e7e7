"""Moving in: a bundle of the original becomes a bundle of ours that gives its numbers.

The original's bundle is a zip of `config.json`, `model.h5` (HDF5 of Keras 2.2 or
2.3), `scaler.pkl` (a pickled MinMaxScaler) and `metrics.json`.  Nothing of it is
executed; see `legacy_network` and `legacy_pickle`.

With `model_delta` its network maps the last `sequence_len` first differences,
scaled, to the scaled first difference `steps_ahead` windows later.  For one step
the forecast is the last value plus it; for more the level in between is not
known, and what is forecast is the change x[t+k] - x[t+k-1], told by the columns'
names: `conn_in (change)`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mods.errors import DataError, ModelError, QueryError, RangeError
from mods.models.archive import Archive
from mods.models.bundle import Bundle, write_bundle
from mods.models.calibration import Calibration
from mods.models.forecast import Forecast, forecast_table, index_after, targets_of
from mods.models.legacy_network import read_network
from mods.models.legacy_pickle import Scaler, read_scaler

__all__ = ["CHANGE", "KIND", "ImportedModel", "import_bundle", "read_original"]

#: What `config["kind"]` says of an imported model.
KIND = "imported"
#: What is put behind a column's name where its change is forecast and not its level.
CHANGE = " (change)"
_MEMBERS = r"[A-Za-z0-9_.-]{1,80}"
_MEMBER = re.compile(_MEMBERS)
#: Windows that go through the network at a time.
BATCH = 4096


@dataclass(frozen=True)
class Original:
    """What the original's bundle says: settings, scaler, network, metrics."""

    settings: dict[str, Any]
    scaler: Scaler
    network: Any
    metrics: dict[str, Any]
    columns: tuple[str, ...]

    @property
    def sequence_len(self) -> int:
        """Inputs of the network along time."""
        return int(self.settings["sequence_len"])


def import_bundle(source: Path | str, target: Path | str) -> dict[str, Any]:
    """Write the original's bundle at `source` as a bundle of ours at `target`.

    Returns
    -------
    dict
        The new bundle's configuration.

    Raises
    ------
    NotFoundError
        Where there is no such file.
    ModelError
        Where it is damaged, hostile, or cannot be moved; the message names what it is.
    """
    original = read_original(source)
    settings = original.settings
    change = settings["model_delta"] and settings["steps_ahead"] > 1
    config = {
        "kind": KIND,
        "hyperparameters": settings,
        "columns": list(original.columns),
        "window": settings.pop("window_slide", None),
        "query": settings.pop("data_select_query", None),
        "forecasts": "change" if change else "level",
        "imported_from": Path(source).name,
    }
    write_bundle(
        target,
        config,
        network=original.network,
        arrays={"scaler_scale": original.scaler.scale, "scaler_minimum": original.scaler.minimum},
        # Its metrics compare with the window before, so they stand apart from ours.
        metrics={"original": original.metrics},
    )
    return config


def read_original(source: Path | str) -> Original:
    """Read the original's bundle; nothing in it is executed.

    Raises
    ------
    NotFoundError, ModelError
        As `import_bundle`.
    """
    archive = Archive(Path(source), f"bundle {str(source)!r}")
    archive.expect(_MEMBERS)
    config = _object(archive, "config.json")
    if config.get("format"):
        raise ModelError(
            f"{archive.label} has this version's layout", "the original's", "Use it as it is."
        )
    settings = _settings(config, archive)
    scaler_file = _file(config, "scaler", "scaler.pkl", archive)
    scaler = read_scaler(archive.read(scaler_file), f"{scaler_file} of {archive.label}")
    network = read_network(archive, _file(config, "model", "model.h5", archive))
    columns = _columns(settings, len(scaler.scale), archive)
    _check_shapes(network, settings, len(scaler.scale), archive)
    metrics = _object(archive, "metrics.json") if "metrics.json" in archive.names else {}
    return Original(settings, scaler, network, metrics, columns)


class ImportedModel:
    """A model of the original, with the interface of `mods.models.mods_model.Model`.

    It forecasts one step, `steps_ahead` windows later, of the columns that it was trained
    on.  It came without intervals: those it gives are learned from its own errors over the
    history at hand (`mods.models.calibration`), and have no width until there is some.
    A missing value counts as the last known one.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.config = bundle.config
        self.metrics = bundle.metrics
        self.network = bundle.network
        try:
            settings = bundle.config["hyperparameters"]
            self._length = int(settings["sequence_len"])
            self._delta = bool(settings["model_delta"])
            self._step = int(settings["steps_ahead"])
            scaler = bundle.arrays["scaler_scale"], bundle.arrays["scaler_minimum"]
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"bundle {str(bundle.path)!r} is an imported model without {error}",
                "a bundle that 'mods import' wrote",
                "Import it again.",
            ) from error
        self._scaler = Scaler(*scaler)

    @property
    def columns(self) -> list[str]:
        """The columns that it forecasts, in their order."""
        return list(self.config["columns"])

    @property
    def window(self) -> str | None:
        """The window's name, None where the original did not say."""
        name: str | None = self.config.get("window")
        return name

    @property
    def horizon(self) -> int:
        """Windows ahead; only this step is forecast."""
        return self._step

    @property
    def coverage(self) -> float:
        """The share of actual values that its intervals are to hold."""
        return 0.9

    @property
    def forecasts_change(self) -> bool:
        """Whether it forecasts the change to the window before and not the level."""
        return self._delta and self._step > 1

    @property
    def needed(self) -> int:
        """Rows of history that a forecast needs."""
        return self._length + self._delta

    def forecast(self, frame: pd.DataFrame) -> Forecast:
        """Forecast after the frame's last row: frames of the one step `horizon`."""
        values = self._values(frame)
        origins = np.arange(self.needed - 1, len(frame))[-2016 - self._step :]
        point, lower, upper = self._calibrated(values, origins)
        index = index_after(frame.index, self._step)[-1:]
        first, low, high = (
            pd.DataFrame(array[-1:, 0], index, self._names()) for array in (point, lower, upper)
        )
        return Forecast(first, low, high, coverage=self.coverage)

    def backtest(
        self, frame: pd.DataFrame, *, batch_size: int = BATCH, coverage: float | None = None
    ) -> pd.DataFrame:
        """Forecast at every origin with enough history; return the forecast table.

        `batch_size` windows go through the network at a time; no figure depends on it.
        `coverage` is what the intervals are to hold, by default the model's own.
        """
        values = self._values(frame)
        origins = np.arange(self.needed - 1, len(frame))
        point, lower, upper = self._calibrated(values, origins, batch_size, coverage)
        target = values
        if self.forecasts_change:
            target = np.diff(values, axis=0, prepend=np.nan)
        judged = pd.DataFrame(target, frame.index, self._names())
        # The table counts steps from 1; this model has the last of them only.
        table = forecast_table(judged, origins, point, lower, upper)
        rows = np.repeat(origins, len(self.columns))
        table["step"] = self._step
        table["target"] = targets_of(frame.index, rows, np.full(len(rows), self._step))
        padded = np.vstack([target, np.full((self._step, target.shape[1]), np.nan)])
        table["actual"] = padded[origins + self._step].ravel()
        return table

    def _calibrated(
        self,
        values: np.ndarray,
        origins: np.ndarray,
        batch_size: int = BATCH,
        coverage: float | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return point, lower and upper, each `(origins, 1, columns)`."""
        point = self._network_output(values, origins, batch_size)
        # Nothing is forecast of a column before its first value.
        last = pd.DataFrame(values).ffill().to_numpy()[origins]
        if self._delta and not self.forecasts_change:
            point = last + point
        point[np.isnan(last)] = np.nan
        if self.forecasts_change:
            # A change has no lower end at zero, which the calibration of levels takes for given.
            nothing = np.full_like(point, np.nan)[:, None]
            return point[:, None], nothing, nothing
        padded = np.vstack([values, np.full((self._step, values.shape[1]), np.nan)])
        actual = padded[origins + self._step]
        lower, upper = self._margins(point, actual, coverage or self.coverage)
        return point[:, None], lower[:, None], upper[:, None]

    def _margins(
        self, point: np.ndarray, actual: np.ndarray, coverage: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Calibrate an interval of no width; its step is `horizon`, the others are empty."""
        shape = (len(point), self._step, point.shape[1])
        cube, came = np.full(shape, np.nan), np.full(shape, np.nan)
        cube[:, -1], came[:, -1] = point, actual
        state = Calibration.empty(self._step, coverage=coverage)
        lower, upper = state.bounds(cube, cube, cube, came, columns=self.columns)
        return lower[:, -1], upper[:, -1]

    def _network_output(
        self, values: np.ndarray, origins: np.ndarray, batch_size: int
    ) -> np.ndarray:
        """Return what the network says in the columns' units: `(origins, columns)`."""
        known = pd.DataFrame(values).ffill().bfill().fillna(0.0).to_numpy()
        series = np.diff(known, axis=0, prepend=known[:1]) if self._delta else known
        scaled = (series * self._scaler.scale + self._scaler.minimum).astype(np.float32)
        rows = origins[:, None] + np.arange(1 - self._length, 1)
        parts = [
            np.asarray(self.network(scaled[rows[n : n + batch_size]], training=False))
            for n in range(0, len(rows), batch_size)
        ]
        output = np.concatenate(parts).reshape(len(rows), -1).astype(np.float64)
        result: np.ndarray = (output - self._scaler.minimum) / self._scaler.scale
        return result

    def _values(self, frame: pd.DataFrame) -> np.ndarray:
        missing = [name for name in self.columns if name not in frame.columns]
        if missing:
            raise DataError(
                f"the data have no column {missing[0]!r}",
                f"the columns {', '.join(self.columns)}, which the imported model was trained on",
                "Name the data's columns so, or select them from a datapool.",
            )
        if len(frame) < self.needed:
            raise DataError(
                f"{len(frame)} windows are too few", f"at least {self.needed}", "Give more history."
            )
        values: np.ndarray = frame[self.columns].to_numpy(dtype=np.float64)
        if np.isinf(values).any():
            raise DataError("the data hold infinite values", "finite numbers, or empty cells")
        return values

    def _names(self) -> list[str]:
        return [name + CHANGE for name in self.columns] if self.forecasts_change else self.columns


def _object(archive: Archive, name: str) -> dict[str, Any]:
    try:
        value = json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise archive.damaged(f"damaged in its member {name!r}") from error
    if not isinstance(value, dict):
        raise archive.damaged(f"without an object in its member {name!r}")
    return value


def _settings(config: dict[str, Any], archive: Archive) -> dict[str, Any]:
    """Return the original's settings by our names, checked; what it did not say is its default."""
    model = config.get("model")
    if not isinstance(model, dict):
        raise archive.damaged("without a 'model' in its config.json")
    settings: dict[str, Any] = {
        "model_type": str(model.get("model_type", "LSTM"))[:40],
        "model_delta": _flag(model, "model_delta", True, archive),
        "interpolate": _flag(model, "interpolate", False, archive),
        "batch_normalization": _flag(model, "batch_normalization", False, archive),
    }
    for name, ours, default in (
        ("sequence_len", "sequence_len", 12),
        ("steps_ahead", "steps_ahead", 1),
        ("epochs", "num_epochs", 50),
        ("epochs_patience", "epochs_patience", 10),
        ("blocks", "blocks", 12),
        ("stacked_blocks", "stacked_blocks", 3),
        ("batch_size", "batch_size", 1),
    ):
        settings[ours] = _count(model, name, default, archive)
    for name in ("data_select_query", "window_slide"):
        if isinstance(model.get(name), str):
            settings[name] = model[name]
    if "window_slide" in settings:
        from mods.timerange import Window

        try:
            Window.parse(settings["window_slide"])
        except RangeError:
            del settings["window_slide"]
    return settings


def _flag(model: dict[str, Any], name: str, default: bool, archive: Archive) -> bool:
    value = model.get(name, default)
    if not isinstance(value, bool):
        raise archive.damaged(f"damaged: its {name} is {str(value)[:40]!r}")
    return value


def _count(model: dict[str, Any], name: str, default: int, archive: Archive) -> int:
    value = model.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 10_000:
        raise archive.damaged(f"damaged: its {name} is {str(value)[:40]!r}")
    return value


def _file(config: dict[str, Any], part: str, default: str, archive: Archive) -> str:
    said = config.get(part)
    name = said.get("file", default) if isinstance(said, dict) else default
    if not isinstance(name, str) or not _MEMBER.fullmatch(name):
        raise archive.refused(f"names {str(name)[:80]!r} as its {part}", "a member of the zip")
    return name


def _columns(settings: dict[str, Any], count: int, archive: Archive) -> tuple[str, ...]:
    """Return the columns' names from the selection query."""
    from mods.config import DEFAULT_QUERY
    from mods.dataset.query import parse_query

    text = settings.setdefault("data_select_query", DEFAULT_QUERY)
    try:
        names = tuple(parse_query(text).names)
    except QueryError as error:
        raise archive.damaged("damaged: its data_select_query does not parse") from error
    if len(names) != count:
        raise ModelError(
            f"{archive.label} selects {len(names)} columns, and its scaler has {count}",
            "one column each",
            "Fetch it once more.",
        )
    return names


def _check_shapes(network: Any, settings: dict[str, Any], columns: int, archive: Archive) -> None:
    expected = (settings["sequence_len"], columns)
    taken = tuple(network.input_shape[1:])
    made = [size for size in network.output_shape[1:] if size != 1]
    if taken != expected or made not in ([columns], [] if columns == 1 else [columns]):
        raise ModelError(
            f"{archive.label} holds a network from {taken} to {tuple(network.output_shape[1:])}",
            f"from {expected} to ({columns},)",
            "Fetch it once more.",
        )
