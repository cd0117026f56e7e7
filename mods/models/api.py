"""The DEEPaaS entry point: translates between requests and the stages, and holds no logic.

DEEPaaS calls these functions in worker processes of its own.  Nothing heavy is
imported with this module; `warm` loads the default model where it is needed.
"""

from __future__ import annotations

import functools
import gc
import logging
import os
from collections.abc import Hashable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mods.errors import DataError, ModelError, ModsError, RangeError, did_you_mean
from mods.models import request_data, schemas, tally
from mods.models.about import about
from mods.models.api_errors import collected_warnings, translated
from mods.models.kept_uploads import keep_upload
from mods.models.recent import Recent, digest
from mods.models.registry import DEFAULT, model_path
from mods.models.request_data import RequestData
from mods.models.request_train import train_as_asked
from mods.models.responses import (
    RESPONSE,
    alarms_document,
    as_json,
    csv_answer,
    evaluation_of,
    html_answer,
    png_answer,
)
from mods.models.url_data import url_file

if TYPE_CHECKING:
    import pandas as pd

    from mods.anomaly.watch import Watched
    from mods.models.legacy import ImportedModel
    from mods.models.mods_model import Model

    AnyModel = Model | ImportedModel

__all__ = [
    "get_metadata",
    "get_predict_args",
    "get_train_args",
    "predict",
    "schema",
    "train",
    "warm",
]

logger = logging.getLogger(__name__)

schema = RESPONSE

#: A larger forecast table is no answer to a request: ask for a shorter range.
MAX_ROWS = 500_000
#: What `warm` forecasts: as many windows as make the shapes of later requests.
WARM_ROWS = 300


#: What was forecast last in this worker: a table of `MAX_ROWS` takes 30 MB.
_tables: Recent[pd.DataFrame] = Recent(4)
_watched: Recent[Watched] = Recent(4)
_evaluations: Recent[dict[str, Any] | None] = Recent(16)


def get_metadata() -> dict[str, Any]:
    """Return what DEEPaaS and the catalogue show: the package, its models and its data."""
    document: dict[str, Any] = as_json(about())
    return document


def warm() -> None:
    """Load the default model and compile its forecast, so that the first request is quick."""
    warm_default()


def warm_default() -> bool:
    """Do what `warm` does; return whether the default model is ready."""
    try:
        model = _load(DEFAULT)
        model.backtest(request_data.read_sample().frame.iloc[-WARM_ROWS:])
        # What stays for good is not gone through again whenever Python looks for garbage, which
        # would stop one request in a hundred for longer than it takes.
        gc.collect()
        gc.freeze()
    except ModsError as error:
        # A service without a default model still trains, and forecasts with others.
        logger.warning("the default model cannot be loaded: %s", error)
    except Exception:
        # Whatever else goes wrong here would keep the service from starting at all.
        logger.exception("a failure of ours: the default model cannot be warmed")
    else:
        return True
    return False


def get_predict_args() -> dict[str, Any]:
    """Return the arguments of `predict`."""
    return schemas.predict_arguments()


def get_train_args() -> dict[str, Any]:
    """Return the arguments of `train`."""
    return schemas.train_arguments()


def predict(**arguments: Any) -> dict[str, Any] | BytesIO:
    """Forecast an upload, the datapool or the sample.

    Parameters
    ----------
    **arguments
        See `mods.models.schemas.predict_arguments`; each has a default.

    Returns
    -------
    dict or io.BytesIO
        The answer as JSON, or the file that `accept` asks for.

    Raises
    ------
    ServiceError
        For everything that goes wrong.
    """
    with (
        translated(),
        collected_warnings() as heard,
        request_data.upload_file(arguments.get("data") or None) as path,
    ):
        asked = schemas.complete(arguments, get_predict_args())
        url = (asked["url"] or "").strip()
        if not url:
            return _predict(asked, path, heard)
        if path is not None:
            raise DataError("both 'data' and 'url'", "one of them")
        with url_file(url) as fetched:
            return _predict(asked, fetched, heard)


def train(**arguments: Any) -> dict[str, Any]:
    """Train a model on the datapool or a kept upload, judge it, and keep it under its name.

    Parameters
    ----------
    **arguments
        See `mods.models.schemas.train_arguments`; each has a default.

    Raises
    ------
    ServiceError
        For everything that goes wrong.
    """
    with translated(), collected_warnings() as heard:
        return train_as_asked(schemas.complete(arguments, get_train_args()), heard)


def _predict(
    arguments: dict[str, Any], path: Path | None, heard: list[str]
) -> dict[str, Any] | BytesIO:
    model = _load(arguments["model_name"])
    if arguments["keep_data"] and (path is None or arguments["accept"] != schemas.MEDIA_TYPES[0]):
        raise DataError(
            f"keep_data with {'no upload' if path is None else arguments['accept']}",
            "an upload, and an answer as JSON, which tells its data_id",
        )
    data = _data(arguments, path, model)
    frame = data.frame
    shown = arguments["time_range"] or data.last_day
    coverage = arguments["coverage"] or model.coverage
    table, alarms = _table(model, frame, shown, arguments)
    if alarms is not None and alarms.doubt not in ("", *heard):
        heard.append(alarms.doubt)
    if arguments["accept"] == "text/csv":
        return csv_answer(table, alarms)
    drawn = {"image/png": png_answer, "text/html": html_answer}.get(arguments["accept"])
    if drawn is not None:
        title = f"{_SOURCES[data.source]}, forecast by {arguments['model_name']!r}"
        return drawn(table, coverage=coverage, title=title, alarms=alarms)
    from mods.models.predict import table_document

    return {
        "model_name": arguments["model_name"],
        "data_select_query": data.query,
        "window_slide": frame.attrs.get("window"),
        "time_range": shown,
        "time_ranges_excluded": arguments["time_ranges_excluded"],
        "steps_ahead": int(table["step"].max()),
        "batch_size": arguments["batch_size"],
        "data": data.source,
        "data_id": keep_upload(path) if path is not None and arguments["keep_data"] else None,
        "coverage": coverage,
        "columns": table["column"].unique().tolist(),
        "evaluation": _evaluation(model, table, frame, shown, arguments),
        "predictions": table_document(table),
        "alarm_rate": arguments["alarm_rate"],
        **alarms_document(alarms),
        "warnings": heard,
    }


_SOURCES = {"upload": "Upload", "datapool": "Datapool", "sample": "Sample"}


def _data(arguments: dict[str, Any], path: Path | None, model: AnyModel) -> RequestData:
    """Return the upload, else the datapool's part, else the sample."""
    from mods.models.evaluation import CONTEXT

    query, window = arguments["data_select_query"], arguments["window_slide"]
    exclude, known = arguments["time_ranges_excluded"], model.config.get("query")
    if path is not None:
        return request_data.read_upload(
            path,
            query=query,
            window=window,
            include=arguments["time_range"],
            exclude=exclude,
            history=CONTEXT,
            after=model.horizon,
            model_query=known,
            model_window=model.window,
        )
    pool = request_data.read_pool(
        query=query or known,
        window=window or model.window,
        include=arguments["time_range"],
        exclude=exclude,
        history=CONTEXT,
        after=model.horizon,
    )
    if pool is not None:
        return pool
    return request_data.read_sample(exclude, query=query, window=window)


def _table(
    model: AnyModel, frame: pd.DataFrame, shown: str, arguments: dict[str, Any]
) -> tuple[pd.DataFrame, Watched | None]:
    """Return the forecast table of the origins in a range, as `mods predict` makes it.

    With it come the alarms, where a rate of false ones is asked for.
    """
    from mods.models.evaluation import origin_rows
    from mods.models.legacy import CHANGE
    from mods.models.predict import predict as forecast

    first, end = origin_rows(frame, shown)
    rows = (end - first) * model.horizon * len(frame.columns)
    if rows > MAX_ROWS:
        raise RangeError(
            f"range {shown!r} gives {rows:,} forecasts",
            f"at most {MAX_ROWS:,}",
            "Ask for a shorter range, or use 'mods predict'.",
        )
    columns, horizon = arguments["columns"], arguments["horizon"] or model.horizon
    known = [str(name) for name in frame.columns]
    for name in columns:
        if name not in known:
            raise DataError(f"the data have no column {name!r}", mend=did_you_mean(name, known))
    if horizon > model.horizon:
        raise ModelError(
            f"horizon {horizon}",
            f"at most the {model.horizon} steps that the model forecasts",
            "Ask for fewer, or train a model with a larger steps_ahead.",
        )
    batches = _InBatches(model, arguments["batch_size"], arguments["coverage"])
    key = (model, shown, batches.coverage, digest(frame))
    alarms: Watched | None = None
    if arguments["alarm_rate"] is None:
        table = _tables.get(key, lambda: forecast(batches, frame, include=shown))
    else:
        alarms = _watch(batches, frame, shown, arguments, key)
        table = alarms.table
    if horizon < table["step"].min():
        raise ModelError(
            f"horizon {horizon}",
            f"{model.horizon}, the one step that this imported model forecasts",
            "Leave it out.",
        )
    # A model of changes says so in its columns' names.
    named = table["column"].unique()
    wanted = [name for name in named if name.removesuffix(CHANGE) in (columns or known)]
    chosen = (table["step"] <= horizon) & table["column"].isin(wanted)
    tally.add(int(chosen.sum()))
    return table[chosen].reset_index(drop=True), alarms


def _watch(
    model: _InBatches, frame: pd.DataFrame, shown: str, arguments: dict[str, Any], data: Hashable
) -> Watched:
    from mods.anomaly.watch import left_out, watch

    rate, columns = arguments["alarm_rate"], arguments["columns"]
    excluded = arguments["time_ranges_excluded"]
    rules = left_out(excluded, frame.index, "time_ranges_excluded")
    return _watched.get(
        (data, rate, *columns, tuple(excluded)),
        lambda: watch(model, frame, rate, include=shown, columns=columns, rules=rules),
    )


def _evaluation(
    model: AnyModel, table: pd.DataFrame, frame: pd.DataFrame, shown: str, arguments: dict[str, Any]
) -> dict[str, Any] | None:
    coverage = arguments["coverage"] or model.coverage
    asked = (tuple(arguments["columns"]), arguments["horizon"], coverage, arguments["alarm_rate"])
    return _evaluations.get(
        (model, shown, *asked, digest(frame)), lambda: evaluation_of(table, frame, coverage)
    )


class _InBatches:
    """A model that forecasts so many windows at a time, with intervals of one coverage."""

    def __init__(self, model: AnyModel, batch_size: int, coverage: float | None) -> None:
        self.horizon, self.coverage = model.horizon, coverage or model.coverage
        self.backtest = functools.partial(
            model.backtest, batch_size=batch_size, coverage=self.coverage
        )


def _load(name: str) -> AnyModel:
    path = model_path(name)
    try:
        status = path.stat()
    except OSError as error:
        raise ModelError(f"cannot read model {name!r}: {error.strerror}") from None
    # The last change's time cannot be set by who writes the file, as the other one can.
    return _loaded(path, status.st_ctime_ns, status.st_size)


@functools.lru_cache(maxsize=4)
def _loaded(path: Path, _changed: int, _size: int) -> AnyModel:
    """Return the model; a file that has changed since is another key, so nothing goes stale."""
    # TensorFlow speaks of its build on stderr, once in every worker.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from mods.models.loading import load_bundle

    return load_bundle(path)
