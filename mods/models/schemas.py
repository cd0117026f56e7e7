"""The API's arguments, as DEEPaaS shows and checks them.

Names are those that existing clients send and read.  Validators run in the
server's own process, before any worker is asked, and answer 422 with the
field's name.
"""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError, fields, missing, validate

from mods import config
from mods.dataset.query import parse_query
from mods.errors import ModelError, ModsError, RangeError, did_you_mean
from mods.models.api_errors import client_text
from mods.models.begun_model import BegunModel
from mods.models.hyperparameters import MODEL_TYPES, Hyperparameters
from mods.models.kept_uploads import COUNT, SECONDS, check_identifier
from mods.models.loading import require_trained_here
from mods.models.media_types import MediaType
from mods.models.pool_fields import LaterRange, PoolQuery, PoolRange, any_range
from mods.models.registry import DEFAULT, model_path
from mods.models.url_data import check_url
from mods.timerange import Window

__all__ = [
    "HYPERPARAMETERS",
    "MEDIA_TYPES",
    "complete",
    "predict_arguments",
    "ranges",
    "train_arguments",
]

#: What `predict` answers with; the first is the default.
MEDIA_TYPES = ("application/json", "text/csv", "image/png", "text/html")
ANY_MEDIA_TYPE = "*/*"
#: No name, range or query is longer.
MAX_TEXT = 2000
#: Hyper-parameters that the API takes by the names that existing clients send.
HYPERPARAMETERS = (
    "sequence_len",
    "model_delta",
    "model_type",
    "num_epochs",
    "epochs_patience",
    "blocks",
    "steps_ahead",
    "batch_size",
)


def predict_arguments() -> dict[str, fields.Field]:
    """Return the arguments of `predict`."""
    return {
        "accept": MediaType(
            load_default=MEDIA_TYPES[0],
            validate=validate.OneOf(list(MEDIA_TYPES)),
            metadata={
                "description": "What to answer with: everything as JSON, the forecast table as "
                "CSV, a picture of the last two days, or an interactive page for the browser.",
                "location": "headers",
            },
        ),
        "model_name": _text(
            DEFAULT,
            "The model's name. 'default' is the checkpoint that comes with MODS and forecasts "
            "networks that it never saw; the metadata list the others.",
            _checked(model_path),
        ),
        "data": _file(
            "A table to forecast (TSV, CSV or Parquet, with window_start or with rows that are "
            "consecutive windows), a datapool as zip, or Zeek logs (TSV, JSON lines or Parquet, "
            "plain, gzip or zstd, or a zip of them), of which the features are then made. Without "
            "it the service's datapool is used, or the sample where there is none."
        ),
        "url": _text(
            None,
            "Instead of 'data': the http(s) address of such a file, on a host that the service's "
            "keeper allows.",
            _checked(check_url),
        ),
        "time_range": _text(
            None,
            "Origins to forecast from, '<2019-06-01,2019-06-03)' in UTC, or row numbers "
            "'<0,144)' for a table without times; rows before it are history. Without it: the "
            "last day of the data.",
            _range,
        ),
        "time_ranges_excluded": _ranges("Ranges that count as missing, written in the same way."),
        "data_select_query": _text(
            None,
            "Which columns of a datapool, 'protocol|column~name;...#window_start,window_end'. "
            "Without it: the model's own query, or the default one.",
            _checked(parse_query),
        ),
        "window_slide": _text(
            None,
            "The window's name, for example w01h-s10m. Without it: the model's own, or the "
            "datapool's.",
            _checked(Window.parse),
        ),
        "columns": fields.List(
            fields.Str(validate=validate.Length(max=MAX_TEXT)),
            load_default=[],
            allow_none=True,
            validate=validate.Length(max=1000),
            metadata={
                "description": "Which columns to answer with, given once for each. Without it: "
                "all of them."
            },
        ),
        "horizon": fields.Int(
            load_default=None,
            allow_none=True,
            validate=validate.Range(1, 1000),
            metadata={
                "description": "How many steps to answer with, at most as many as the model "
                "forecasts. Without it: all of them."
            },
        ),
        "alarm_rate": _text(
            None,
            "How many windows may be false alarms, for example '1/day' or '2/week'. The answer "
            "then tells the incidents in the range too, learned from the weeks before it. "
            "Without it: no alarms.",
            _alarm_rate,
        ),
        "coverage": fields.Float(
            load_default=None,
            allow_none=True,
            validate=validate.Range(0.1, 0.99),
            metadata={
                "description": "The share of actual values that the intervals are to hold, for "
                "example 0.95. Without it: the model's own, usually 0.9."
            },
        ),
        "keep_data": fields.Bool(
            load_default=False,
            metadata={
                "description": "Keep the file that is sent, for a training: the answer's data_id "
                f"names it. The last {COUNT} are kept, for {SECONDS // 86_400} days at most.",
                # In the form with the file. Swagger UI sends its default, and so never a form
                # with nothing in it, which DEEPaaS answers by 500.
                "location": "form",
            },
        ),
        "batch_size": fields.Int(
            load_default=4096,
            validate=validate.Range(1, 65_536),
            metadata={
                "description": "Windows that the network takes at a time; changes the memory "
                "that is needed, not the forecast."
            },
        ),
    }


def train_arguments() -> dict[str, fields.Field]:
    """Return the arguments of `train`."""
    return {
        "model_name": _text(
            "mine",
            "The name that the model gets; a model of that name is replaced when the training "
            "has succeeded.",
            _checked(lambda name: model_path(name, must_exist=False)),
        ),
        "from_model": BegunModel(
            _hyperparameters(),
            load_default=None,
            allow_none=True,
            validate=[validate.Length(max=MAX_TEXT), _unless_blank(_trained_here)],
            metadata={
                "description": "Go on from this model's weights, for example 'default', which "
                "adapts it to your network in seconds. Hyper-parameters at their defaults are "
                "then that model's own, and the training is a short one with small steps."
            },
        ),
        "data_id": _text(
            None,
            "Train on a file that was sent to predict with keep_data: the data_id of its answer. "
            "Without it: on the service's datapool.",
            _checked(check_identifier),
        ),
        "data_select_query": PoolQuery(
            load_default=config.DEFAULT_QUERY,
            validate=validate.Length(max=MAX_TEXT),
            metadata={
                "description": "Which columns of the datapool, "
                "'protocol|column~name;...#window_start,window_end'."
            },
        ),
        "train_time_range": _pool_range(
            "The part of the data to train on, '<2019-05-01,2019-06-01)'. Without it: all, or "
            "what lies before test_time_range."
        ),
        "train_time_ranges_excluded": _ranges(
            "Ranges to leave out of it, written in the same way."
        ),
        "test_time_range": LaterRange(
            load_default=None,
            allow_none=True,
            validate=validate.Length(max=MAX_TEXT),
            metadata={
                "description": "The part to judge on, after the training part. Without it: the "
                "last tenth of the training part, which is then kept out of the training."
            },
        ),
        "test_time_ranges_excluded": _ranges("Ranges to leave out of it, written in the same way."),
        "window_slide": _text(config.DEFAULT_WINDOW, "The window's name.", _checked(Window.parse)),
    } | _hyperparameters()


def ranges(given: Any) -> list[str]:
    """Return a list of ranges, however a client sent it: as a list, or as JSON in a text.

    Raises
    ------
    RangeError
        Where it is neither.

    Examples
    --------
    >>> ranges(['["<2019,2020)", "<2021,2022)"]'])
    ['<2019,2020)', '<2021,2022)']
    >>> ranges(None)
    []
    """
    items = [given] if isinstance(given, str) else list(given or ())
    found: list[str] = []
    for item in items:
        text = str(item).strip()
        if text in ("", "null", "None"):
            continue
        if not text.startswith("["):
            found.append(text)
            continue
        try:
            inner = json.loads(text)
        except ValueError:
            inner = None
        if not isinstance(inner, list) or not all(isinstance(one, str) for one in inner):
            raise RangeError(
                f"time ranges {text[:80]!r}",
                "a list of ranges",
                'Write for example ["<2019-06-01,2019-06-02)"].',
            )
        found.extend(inner)
    return found


def complete(given: Mapping[str, Any], declared: Mapping[str, fields.Field]) -> dict[str, Any]:
    """Return all declared arguments: those given, checked, and the others' defaults.

    The server has done this already; `deepaas-cli` and scripts have not. Ranges come as lists,
    and a blank text counts as not given.

    Raises
    ------
    ModelError
        Where an argument is unknown or does not fit; the message names it.

    Examples
    --------
    >>> complete({"model_type": " "}, {"model_type": fields.Str(load_default="LSTM")})
    {'model_type': 'LSTM'}
    """
    for name in given:
        if name not in declared:
            raise ModelError(f"unknown argument {name!r}", mend=did_you_mean(name, declared))
    found: dict[str, Any] = {}
    for name, field in declared.items():
        value = given.get(name, missing)
        if isinstance(value, str) and not value.strip():
            value = missing
        if name == "accept" and value == ANY_MEDIA_TYPE:
            value = missing
        try:
            found[name] = field.deserialize(value, name, given)
        except ValidationError as error:
            texts = error.messages if isinstance(error.messages, list) else [str(error)]
            raise ModelError(f"argument {name!r}: {' '.join(map(str, texts))}") from None
        if isinstance(field, fields.List):
            # Names of columns may begin with anything; ranges come as JSON in a text, too.
            found[name] = ranges(found[name]) if "range" in name else list(found[name] or ())
    return found


def _text(default: str | None, description: str, check: Callable[[Any], None]) -> fields.Str:
    return fields.Str(
        load_default=default,
        allow_none=default is None,
        validate=[validate.Length(max=MAX_TEXT), check if default else _unless_blank(check)],
        metadata={"description": description},
    )


def _pool_range(description: str) -> PoolRange:
    return PoolRange(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=MAX_TEXT),
        metadata={"description": description},
    )


def _file(description: str) -> fields.Field:
    # deepaas-cli knows a file by this very class, which marshmallow would rather not see made.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fields.Field(
            load_default=None,
            allow_none=True,
            validate=_is_file,
            metadata={"description": description, "type": "file", "location": "form"},
        )


def _ranges(description: str) -> fields.List:
    return fields.List(
        fields.Str(validate=validate.Length(max=MAX_TEXT)),
        # A value and no function: deepaas-cli passes it on as it is.
        load_default=[],
        allow_none=True,
        validate=[validate.Length(max=1000), _all_ranges],
        metadata={"description": description},
    )


def _hyperparameters() -> dict[str, fields.Field]:
    """Return the hyper-parameters' fields, made from where they are defined."""
    made: dict[str, fields.Field] = {}
    for item in dataclasses.fields(Hyperparameters):
        if item.name not in HYPERPARAMETERS:
            continue
        description = {"description": item.metadata["help"].capitalize() + "."}
        default, low, high = item.default, item.metadata["low"], item.metadata["high"]
        if item.name == "model_type":
            made[item.name] = fields.Str(
                load_default=default,
                validate=validate.OneOf(list(MODEL_TYPES)),
                metadata=description | {"enum": list(MODEL_TYPES)},
            )
        elif isinstance(default, bool):
            made[item.name] = fields.Bool(load_default=default, metadata=description)
        else:
            made[item.name] = fields.Int(
                load_default=default, validate=validate.Range(low, high), metadata=description
            )
    return {name: made[name] for name in HYPERPARAMETERS}


def _checked(check: Callable[[Any], object]) -> Callable[[Any], None]:
    """Return a validator that says what `check` raised."""

    def validator(value: Any) -> None:
        try:
            check(value)
        except ModsError as error:
            raise ValidationError(client_text(error)) from None

    return validator


def _unless_blank(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return the validator for a text that may be left empty, as some clients send it."""

    def validator(value: Any) -> None:
        if value is not None and str(value).strip():
            check(value)

    return validator


def _alarm_rate(text: str) -> None:
    from mods.anomaly.thresholds import check_rate

    _checked(check_rate)(text)


_range = _checked(any_range)
_trained_here = _checked(lambda name: require_trained_here(model_path(name)))


@_checked
def _all_ranges(value: Any) -> None:
    for text in ranges(value):
        any_range(text)


def _is_file(value: Any) -> None:
    if value is None or hasattr(value, "filename") or value == "":
        return
    raise ValidationError("Not a file: send it as multipart/form-data, for example with curl -F.")
