"""The DEEPaaS entry point: translates between requests and the stages, and holds no logic.

DEEPaaS calls these functions in worker processes of its own.  Nothing heavy is
imported with this module; `warm` loads the default model where it is needed.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mods import config
from mods.errors import DataError, ModelError, ModsError, ModsWarning, NotFoundError, RangeError
from mods.models import schemas
from mods.models.api_errors import translated
from mods.models.registry import DEFAULT, list_models, model_path

if TYPE_CHECKING:
    import pandas as pd

    from mods.models.mods_model import Model

__all__ = [
    "get_metadata",
    "get_predict_args",
    "get_train_args",
    "predict",
    "schema",
    "train",
    "warm",
]

schema = schemas.RESPONSE

SAMPLE = "data/test/sample-test-w01h-s10m.tsv"
#: A larger forecast table is no answer to a request: ask for a shorter range.
MAX_ROWS = 1_000_000


def get_metadata() -> dict[str, Any]:
    """Return what DEEPaaS and the catalogue show: the package, its models and its data."""
    package = metadata.metadata("mods")
    return {
        "name": package["Name"],
        "description": package["Summary"],
        "summary": package["Summary"],
        "author": package["Author"],
        "author-email": None,
        "license": package["License-Expression"] or package["License"],
        "version": package["Version"],
        "url": None,
        "models": [
            {
                "name": entry.name,
                "columns": entry.config.get("columns", []),
                "window": entry.config.get("window"),
                "training": {
                    key: value
                    for key, value in entry.config.get("training", {}).items()
                    if key != "history"
                },
                "metrics": entry.metrics,
                "problem": entry.problem,
            }
            for entry in list_models()
        ],
        "datapool": _extent(),
    }


def warm() -> None:
    """Load the default model and compile its forecast, so that the first request is quick."""
    with suppress(NotFoundError):
        model = _load(DEFAULT)
        frame = _sample()
        model.backtest(frame.iloc[-max(model.settings.sequence_len, 200) :])


def get_predict_args() -> dict[str, Any]:
    """Return the arguments of `predict`."""
    return schemas.predict_arguments()


def get_train_args() -> dict[str, Any]:
    """Return the arguments of `train`."""
    return schemas.train_arguments()


def predict(**arguments: Any) -> dict[str, Any] | bytes:
    """Forecast an upload, the datapool or the sample; answer JSON, or bytes of CSV or PNG."""
    upload = arguments.get("data")
    try:
        with translated(), _collected() as heard:
            return _predict(arguments, upload, heard)
    finally:
        # DEEPaaS keeps every upload in a temporary file and removes none.
        if upload is not None:
            with suppress(OSError):
                Path(upload.filename).unlink()


def train(**arguments: Any) -> dict[str, Any]:
    """Train a model on the datapool, judge it, and keep it under its name."""
    with translated(), _collected() as heard:
        return _train(arguments, heard)


def _predict(arguments: dict[str, Any], upload: Any, heard: list[str]) -> dict[str, Any] | bytes:
    model = _load(arguments["model_name"])
    query = arguments.get("data_select_query") or model.config.get("query")
    window = arguments.get("window_slide")
    asked = arguments.get("time_range") or None
    excluded = tuple(schemas.ranges(arguments.get("time_ranges_excluded")))
    source, frame = _data(upload, query, window or model.window, asked, excluded)
    shown = asked or _last_day(frame)
    table = _table(model, frame, shown, arguments["batch_size"])
    accept = arguments.get("accept")
    if accept == "text/csv":
        return _csv(table)
    if accept == "image/png":
        return _png(table, model, source)
    return {
        "model_name": arguments["model_name"],
        "data_select_query": query if source == "datapool" else None,
        "window_slide": frame.attrs.get("window"),
        "time_range": shown,
        "time_ranges_excluded": list(excluded),
        "steps_ahead": model.horizon,
        "batch_size": arguments["batch_size"],
        "data": source,
        "coverage": model.coverage,
        "columns": [str(name) for name in frame.columns],
        "evaluation": _evaluation(table, frame, model),
        "predictions": _columns(table),
        "warnings": heard,
    }


def _train(arguments: dict[str, Any], heard: list[str]) -> dict[str, Any]:
    from mods.models.evaluation import evaluate
    from mods.models.mods_model import Model

    path = model_path(arguments["model_name"], must_exist=False)
    query, window = arguments["data_select_query"], arguments["window_slide"]
    asked = arguments.get("train_time_range") or None
    tested = arguments.get("test_time_range") or None
    left_out = {
        name: tuple(schemas.ranges(arguments.get(name)))
        for name in ("train_time_ranges_excluded", "test_time_ranges_excluded")
    }
    source, frame = _data(None, query, window, asked, left_out["train_time_ranges_excluded"])
    if asked is not None:
        frame = _cut(frame, asked)
    settings = {name: arguments[name] for name in schemas.HYPERPARAMETERS}
    model = Model(**settings).fit(frame, progress=False)
    model.config["query"] = query
    judged, include = frame, tested
    if tested is not None:
        judged = _data(None, query, window, tested, left_out["test_time_ranges_excluded"])[1]
    else:
        include = _last_tenth(frame)
    result = evaluate(model, judged, include=include, baselines=("persistence", "seasonal_naive"))
    model.metrics["evaluation"] = result.document()
    model.save(path)
    return {
        "model_name": arguments["model_name"],
        "steps_ahead": model.horizon,
        "batch_size": arguments["batch_size"],
        "window_slide": window,
        "data_select_query": query,
        "train_time_range": asked,
        "train_time_ranges_excluded": list(left_out["train_time_ranges_excluded"]),
        "test_time_range": tested,
        "test_time_ranges_excluded": list(left_out["test_time_ranges_excluded"]),
        "data": source,
        "training": {k: v for k, v in model.config["training"].items() if k != "history"},
        "evaluation": result.document(),
        "warnings": heard,
    }


def _data(
    upload: Any, query: str | None, window: str | None, asked: str | None, excluded: tuple[str, ...]
) -> tuple[str, pd.DataFrame]:
    """Return where the data come from, and the frame: what is asked with the history before it."""
    from mods.dataset import read_data

    if upload is not None:
        frame = read_data(upload.filename, window=window, exclude=excluded)
        return "upload", frame
    pool = config.folders().datapools
    if pool.is_dir() and any(pool.iterdir()):
        reach = _with_history(asked, window) if asked else None
        frame = read_data(pool, query=query, window=window, time_range=reach, exclude=excluded)
        return "datapool", frame
    return "sample", read_data(_sample_path(), exclude=excluded)


def _with_history(asked: str, window: str | None) -> str:
    """Return the range with the windows before it that a model looks at, and a day after it."""
    from mods.models.mods_model import HISTORY
    from mods.timerange import MICROSECONDS, TimeRange, Window

    chosen = TimeRange.parse(asked)
    slide = Window.parse(window or config.DEFAULT_WINDOW).slide * MICROSECONDS
    day = 86400 * MICROSECONDS
    return TimeRange(chosen.start - HISTORY * slide, chosen.end + day).text


def _table(model: Model, frame: pd.DataFrame, shown: str, batch_size: int) -> pd.DataFrame:
    """Forecast at each origin in the range; the forecast table."""
    from mods.models.evaluation import origin_rows
    from mods.models.mods_model import HISTORY

    first, end = origin_rows(frame, shown)
    if (end - first) * model.horizon * len(frame.columns) > MAX_ROWS:
        raise RangeError(
            f"range {shown!r} gives more than {MAX_ROWS:,} forecasts", mend="Ask for a shorter one."
        )
    part = frame.iloc[max(0, first - HISTORY) : end + model.horizon]
    table = model.backtest(part, batch_size=batch_size)
    labels = frame.index[first:end]
    chosen: pd.DataFrame = table[table["origin"].isin(labels)].reset_index(drop=True)
    if chosen.empty:
        raise DataError(
            f"no window in {shown!r} has the history that the model needs",
            f"at least {model.settings.sequence_len} windows before the range's end",
            "Ask for a later range, or give more data before it.",
        )
    return chosen


def _cut(frame: pd.DataFrame, asked: str) -> pd.DataFrame:
    from mods.timerange import select

    return select(frame, asked)


def _last_day(frame: pd.DataFrame) -> str:
    """Return the range of the last day's windows, which is what a request without one gets."""
    from mods.timerange import RowRange, TimeRange, Window

    name = frame.attrs.get("window") or config.DEFAULT_WINDOW
    return _range_of(frame, len(frame) - Window.parse(name).per_day, RowRange, TimeRange)


def _last_tenth(frame: pd.DataFrame) -> str:
    from mods.timerange import RowRange, TimeRange

    return _range_of(frame, len(frame) - max(1, len(frame) // 10), RowRange, TimeRange)


def _range_of(frame: pd.DataFrame, first: int, rows: Any, times: Any) -> str:
    import pandas as pd

    first = max(0, first)
    if isinstance(frame.index, pd.DatetimeIndex):
        starts = frame.index.as_unit("us").asi8
        return str(times(int(starts[first]), int(starts[-1]) + 1).text)
    return str(rows(int(frame.index[first]), int(frame.index[-1]) + 1).text)


def _evaluation(table: pd.DataFrame, frame: pd.DataFrame, model: Model) -> dict[str, Any] | None:
    from mods.models.evaluation import evaluate_table

    try:
        return evaluate_table(
            table, frame, baselines=("persistence", "seasonal_naive"), coverage=model.coverage
        ).document()
    except DataError:
        # Nothing in the range has an actual value yet: there is nothing to judge.
        return None


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the forecast table by column, as JSON can say it."""
    out: dict[str, list[Any]] = {}
    for name, column in table.items():
        if column.dtype.kind == "M":
            out[str(name)] = column.dt.strftime("%Y-%m-%dT%H:%M:%SZ").tolist()
        else:
            out[str(name)] = [None if value != value else value for value in column.tolist()]
    return out


def _csv(table: pd.DataFrame) -> bytes:
    from mods.models.forecast import as_csv

    return as_csv(table).encode()


def _png(table: pd.DataFrame, model: Model, source: str) -> bytes:
    from mods.visualization.visualize import picture, plot_forecast

    percent = f"{100 * model.coverage:g} %"
    figure = plot_forecast(table, title=f"One step ahead, {percent} interval ({source})")
    return picture(figure)


def _extent() -> list[dict[str, object]]:
    from mods.dataset.datapool import extent

    pool = config.folders().datapools
    try:
        return extent(pool) if pool.is_dir() else []
    except ModsError:
        # A damaged zip in the pool is told to who asks for its data, not to who asks for us.
        return []


def _load(name: str) -> Model:
    path = model_path(name)
    try:
        status = path.stat()
    except OSError as error:
        raise ModelError(f"cannot read model {name!r}: {error.strerror}") from None
    return _loaded(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=4)
def _loaded(path: Path, _changed: int, _size: int) -> Model:
    """Return the model; a file that has changed since is another key, so nothing goes stale."""
    from mods.models.mods_model import Model

    return Model.load(path)


def _sample_path() -> Path:
    path = config.shipped(SAMPLE)
    if path is None:
        raise NotFoundError(
            "there is neither a datapool nor the sample",
            f"features under {str(config.folders().datapools)!r}",
            "Make a datapool with 'mods features', or upload a table as 'data'.",
        )
    return path


def _sample() -> pd.DataFrame:
    from mods.dataset import read_data

    return read_data(_sample_path())


@contextmanager
def _collected() -> Iterator[list[str]]:
    """Collect what our warnings say, for the answer."""
    heard: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", ModsWarning)
        show = warnings.showwarning

        def hear(message: Any, category: Any, *rest: Any, **more: Any) -> None:
            if issubclass(category, ModsWarning):
                heard.append(str(message))
            else:
                show(message, category, *rest, **more)

        warnings.showwarning = hear
        yield heard
