"""A training as the service is asked for it: on its datapool, or on a kept upload."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mods import config
from mods.errors import DataError
from mods.models import request_data
from mods.models.about import training_told
from mods.models.hyperparameters import Hyperparameters
from mods.models.kept_uploads import kept_upload
from mods.models.registry import model_path
from mods.models.responses import as_json
from mods.models.schemas import HYPERPARAMETERS
from mods.models.trainings import recorded
from mods.transfer import send_later

__all__ = ["train_as_asked"]


@dataclass(frozen=True)
class Source:
    """Where a training's data are, and what of them is taken."""

    path: Path
    query: str | None
    window: str | None


def train_as_asked(arguments: dict[str, Any], heard: list[str]) -> dict[str, Any]:
    """Train, judge and keep a model; return the answer.

    Parameters
    ----------
    arguments
        All of `mods.models.schemas.train_arguments`.
    heard
        Our warnings, as they come.

    Raises
    ------
    ModsError
        Where it cannot be trained; nothing is written then.
    """
    from mods.models.train import train

    model_path(arguments["model_name"], must_exist=False)
    # The record is shown to everybody, and who has the identifier may use the upload.
    shown = {name: value for name, value in arguments.items() if name != "data_id"}
    with recorded(arguments["model_name"], shown), _source(arguments) as source:
        trained, tested = arguments["train_time_range"], arguments["test_time_range"]
        if tested is None:
            trained, tested = _parts(source, trained)
        elif trained is None:
            trained = _before(source, tested)
        document = train(
            source.path,
            arguments["model_name"],
            query=source.query,
            window=source.window,
            time_range=trained,
            exclude=arguments["train_time_ranges_excluded"],
            test_range=tested,
            test_exclude=arguments["test_time_ranges_excluded"],
            from_model=arguments["from_model"],
            progress=False,
            **_settings(arguments),
        )
    send_later()
    answer: dict[str, Any] = as_json(
        {
            "model_name": arguments["model_name"],
            "from_model": arguments["from_model"],
            "data": "upload" if arguments["data_id"] else "datapool",
            "steps_ahead": document["steps_ahead"],
            "batch_size": document["batch_size"],
            "window_slide": document["window"],
            "data_select_query": source.query,
            "train_time_range": trained,
            "train_time_ranges_excluded": arguments["train_time_ranges_excluded"],
            "test_time_range": tested,
            "test_time_ranges_excluded": arguments["test_time_ranges_excluded"],
            "columns": document["columns"],
            "training": training_told(document),
            "evaluation": document["evaluation"],
            "warnings": heard,
        }
    )
    return answer


def _settings(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the hyper-parameters that count as given."""
    given = {name: arguments[name] for name in HYPERPARAMETERS}
    if arguments["from_model"] is None:
        # All steps up to the one asked for are forecast at once.
        return given | {"horizon": max(Hyperparameters.horizon, arguments["steps_ahead"])}
    # Swagger UI and deepaas-cli send every default: what is at its default is the model's own.
    return {name: value for name, value in given.items() if value != getattr(Hyperparameters, name)}


@contextmanager
def _source(arguments: dict[str, Any]) -> Iterator[Source]:
    """Yield where the data are: the datapool, or a kept upload, or features made of its logs."""
    query, window = arguments["data_select_query"], arguments["window_slide"]
    if not arguments["data_id"]:
        request_data.require_pool()
        yield Source(config.folders().datapools, query, window)
        return
    from mods.dataset import read_data
    from mods.dataset.datapool import is_datapool
    from mods.models.upload_logs import log_features

    with kept_upload(arguments["data_id"]) as path:
        asked = None if query == config.DEFAULT_QUERY else query
        features = log_features(path, query=asked, usual=config.DEFAULT_QUERY, window=window)
        if features is not None:
            yield Source(features.pool, features.query, window)
        elif is_datapool(path):
            yield Source(path, query, window)
        else:
            # A table has the columns that it has; where it has times, they tell the window.
            timed = read_data(path, query=asked).attrs.get("window") is not None
            at_default = timed and window == config.DEFAULT_WINDOW
            yield Source(path, asked, None if at_default else window)


def _before(source: Source, tested: str) -> str:
    """Return the range of all that lies before the one to judge on."""
    from mods.dataset import read_data
    from mods.models.evaluation import origin_rows

    frame = read_data(source.path, query=source.query, window=source.window)
    first, _ = origin_rows(frame, tested)
    if not first:
        raise DataError(
            f"no window lies before the test range {tested!r}",
            "some days of them to train on",
            "Choose a later range.",
        )
    return request_data.last_rows(frame.iloc[:first], first)


def _parts(source: Source, time_range: str | None) -> tuple[str, str]:
    """Return the ranges of the first nine tenths of the data, and of the last."""
    from mods.dataset import read_data

    frame = read_data(source.path, query=source.query, window=source.window, time_range=time_range)
    # A day of logs that end at noon is a day of windows, of which the second half is missing.
    known = frame.dropna(how="all").index
    frame = frame.loc[known[0] : known[-1]] if len(known) else frame
    if len(frame) < 2:
        raise DataError("one window is nothing to train on", "some days of them")
    tenth = max(1, len(frame) // 10)
    return (
        request_data.last_rows(frame.iloc[:-tenth], len(frame)),
        request_data.last_rows(frame, tenth),
    )
