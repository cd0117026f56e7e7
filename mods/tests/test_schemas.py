"""The API's arguments: their names, defaults and checks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from mods import config
from mods.errors import ModelError, RangeError
from mods.models.hyperparameters import MODEL_TYPES, Hyperparameters
from mods.models.responses import RESPONSE
from mods.models.schemas import (
    MEDIA_TYPES,
    complete,
    predict_arguments,
    ranges,
    train_arguments,
)
from mods.tests.running_service import write_pool

#: What existing clients send.
OLD_PREDICT = {"model_name", "time_range", "time_ranges_excluded", "batch_size"}
OLD_TRAIN = {
    "model_name",
    "data_select_query",
    "train_time_range",
    "train_time_ranges_excluded",
    "test_time_range",
    "test_time_ranges_excluded",
    "window_slide",
    "sequence_len",
    "model_delta",
    "model_type",
    "num_epochs",
    "epochs_patience",
    "blocks",
    "steps_ahead",
    "batch_size",
}


@pytest.fixture
def pool(home):
    """A datapool of two days for the service."""
    write_pool(config.folders().datapools, days=2)
    return config.folders().datapools


def test_every_argument_of_existing_clients_is_taken():
    assert set(predict_arguments()) >= OLD_PREDICT
    assert set(train_arguments()) >= OLD_TRAIN


def test_every_argument_has_a_description_and_a_default_that_travels_as_json():
    for field in [*predict_arguments().values(), *train_arguments().values()]:
        description = field.metadata["description"]
        assert description[0].isupper()
        assert description.endswith(".")
        assert not field.required
        # What deepaas-cli passes on where nothing is given: values, no functions.
        assert json.loads(json.dumps(field.load_default)) == field.load_default


def test_defaults_are_those_of_the_training():
    arguments = train_arguments()
    for name in ("sequence_len", "num_epochs", "blocks", "model_type", "batch_size"):
        assert arguments[name].load_default == getattr(Hyperparameters(), name)
    assert list(arguments["model_type"].validate.choices) == list(MODEL_TYPES)


def test_two_calls_share_no_default():
    assert (
        predict_arguments()["time_ranges_excluded"].load_default
        is not predict_arguments()["time_ranges_excluded"].load_default
    )


def test_nothing_given_gives_every_default():
    found = complete({}, predict_arguments())
    assert found == {
        "accept": MEDIA_TYPES[0],
        "model_name": "default",
        "data": None,
        "url": None,
        "time_range": None,
        "time_ranges_excluded": [],
        "data_select_query": None,
        "window_slide": None,
        "columns": [],
        "horizon": None,
        "alarm_rate": None,
        "coverage": None,
        "keep_data": False,
        "batch_size": 4096,
    }


def test_texts_become_what_they_stand_for(pool):
    sent = {"num_epochs": "3", "model_delta": "false", "train_time_range": "  "}
    found = complete(sent, train_arguments())
    assert (found["num_epochs"], found["model_delta"]) == (3, False)
    assert found["train_time_range"] is None


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        ("*/*", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("Image/*", "image/png"),
        ("image/gif, text/csv;q=0.1", "text/csv"),
    ],
)
def test_the_media_type_is_the_one_that_the_client_likes_best(sent, taken):
    assert complete({"accept": sent}, predict_arguments())["accept"] == taken


@given(st.text(), st.sampled_from(["", ";q=", ",", "/", "*"]))
def test_whatever_is_accepted_is_answered_or_refused(text, joint):
    for sent in (text, f"text/csv{joint}{text}"):
        try:
            assert complete({"accept": sent}, predict_arguments())["accept"] in MEDIA_TYPES
        except ModelError as error:
            assert "Must be one of: application/json" in str(error)


BAD = [
    ({"acept": "text/csv"}, "unknown argument 'acept'. Did you mean 'accept'?"),
    ({"accept": "image/gif"}, "argument 'accept': Must be one of: application/json, text/csv"),
    ({"model_name": 7}, "argument 'model_name': Not a valid string."),
    ({"model_name": "x" * 3000}, "argument 'model_name': Longer than maximum length 2000."),
    ({"model_name": "../../etc/passwd"}, "Give the model's name only"),
    ({"data": "table.tsv"}, "argument 'data': Not a file"),
    ({"time_range": "2019"}, "argument 'time_range': range '2019'; expected '<' or '('"),
    ({"time_range": "<2019-13-01,2020)"}, "'2019-13-01' in range"),
    ({"time_range": "<9,3)"}, "row range '<9,3)' is empty"),
    ({"time_ranges_excluded": ["<2019,2020)", "x"]}, "range 'x'"),
    ({"time_ranges_excluded": ["[1, 2]"]}, "expected a list of ranges"),
    ({"time_ranges_excluded": 5}, "Not a valid list."),
    ({"data_select_query": "conn"}, "argument 'data_select_query': selection query"),
    ({"window_slide": "w01h-s07m"}, "a slide that divides the length"),
    ({"alarm_rate": "0"}, "argument 'alarm_rate': rate '0'; expected more than 0. Write for"),
    ({"alarm_rate": "often"}, "rate 'often'; expected a number a hour, day, week, month, year."),
    ({"alarm_rate": "1/fortnight"}, "rate '1/fortnight'; expected a number a hour, day, week"),
    ({"batch_size": 0}, "Must be greater than or equal to 1"),
    ({"batch_size": True}, "Not a valid integer."),
    ({"batch_size": None}, "Field may not be null."),
]


@pytest.mark.parametrize(("sent", "expected"), BAD)
def test_what_does_not_fit_is_told_by_name(sent, expected):
    with pytest.raises(ModelError) as caught:
        complete(sent, predict_arguments())
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"train_time_range": "<2019,2020)"}, "expected a range that overlaps <2024-03-01,2024-0"),
        ({"train_time_range": "<0,100)"}, "'0' in range '<0,100)'"),
        ({"data_select_query": "sip|in_count_uid"}, "sip"),
        ({"model_name": "default"}, "a name of your own"),
        ({"model_type": "Transformer"}, "Must be one of: "),
        (
            {"train_time_range": "<2024-03-01,2024-03-02>", "test_time_range": "<2024-03-02,2025)"},
            "range '<2024-03-02,2025)' begins before the training's, '<2024-03-01,2024-03-02>', e",
        ),
    ],
)
def test_a_training_is_checked_against_the_datapool(pool, sent, expected):
    with pytest.raises(ModelError) as caught:
        complete(sent, train_arguments())
    assert expected in str(caught.value)
    complete({"train_time_range": "<2024-03-02,2025)"}, train_arguments())
    apart = {"train_time_range": "<2024-03-01,2024-03-02)", "test_time_range": "<2024-03-02,2025)"}
    assert complete(apart, train_arguments())["test_time_range"] == "<2024-03-02,2025)"


def test_a_training_without_a_datapool_is_refused_though_nothing_is_given(home):
    with pytest.raises(ValidationError, match="no datapool to train on"):
        Schema.from_dict(train_arguments())().load({})


def test_the_answer_has_the_keys_that_existing_clients_read():
    old = OLD_PREDICT | {"data_select_query", "window_slide", "steps_ahead"}
    assert set(RESPONSE) >= old | {"evaluation", "predictions"}


@given(st.lists(st.text(st.characters(exclude_characters="[", codec="utf-8"), min_size=1)))
def test_ranges_come_as_a_list_or_as_json_in_a_text(texts):
    texts = [text.strip() for text in texts if text.strip() not in ("", "null", "None")]
    assert ranges(texts) == texts
    assert ranges(json.dumps(texts)) == texts
    assert ranges([json.dumps(texts)]) == texts


@given(st.one_of(st.text(), st.integers(), st.floats(), st.lists(st.text()), st.none()))
def test_whatever_is_sent_ends_in_values_or_in_one_error(value):
    for name in predict_arguments():
        try:
            complete({name: value}, predict_arguments())
        except (ModelError, RangeError) as error:
            assert str(error)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", ["a", "/tmp/mods-upload-", "ssh|in~a|", "<0,"])
def test_endless_texts_are_refused_and_do_not_hold_up_the_service(text):
    """They are checked in the process that every request goes through."""
    for declared in (predict_arguments(), train_arguments()):
        for name, field in declared.items():
            with pytest.raises(ValidationError):
                field.deserialize(text * 100_000, name, {})
