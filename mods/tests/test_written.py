"""Answers that a worker writes are those that DEEPaaS would have written."""

from __future__ import annotations

import json
import pickle
from io import BytesIO
from typing import Any

import pytest

from mods.models import api
from mods.serve.written import WrittenAnswer, answer_written


@pytest.mark.network
def test_the_text_says_what_the_answer_says() -> None:
    asked = {"alarm_rate": "1/day", "horizon": 2}
    answer = answer_written(api.predict, asked)
    assert isinstance(answer, WrittenAnswer)
    text = pickle.loads(pickle.dumps(answer)).text
    assert json.loads(text) == json.loads(json.dumps(api.predict(**asked)))


@pytest.mark.network
def test_text_that_is_no_unicode_is_written_too() -> None:
    def predict() -> dict[str, Any]:
        answer = api.predict(horizon=1)
        assert isinstance(answer, dict)
        return answer | {"warnings": ["line 3: '\ud800'"]}

    assert json.loads(answer_written(predict, {}).text)["warnings"] == ["line 3: '\ud800'"]


def test_a_file_stays_a_file() -> None:
    file = BytesIO(b"picture")
    assert answer_written(lambda: file, {}) is file


def test_what_does_not_fit_the_schema_is_not_sent() -> None:
    def predict(**arguments: Any) -> dict[str, Any]:
        return {"model_name": "default", **arguments}

    with pytest.raises(RuntimeError, match=r"does not fit its schema: .*'steps_ahead'"):
        answer_written(predict, {})
