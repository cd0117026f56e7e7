"""The family of exceptions survives the way between processes."""

from __future__ import annotations

import pickle

import pytest

from mods import errors

FAMILY = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]


@pytest.mark.parametrize("kind", FAMILY)
def test_an_error_survives_pickling_with_its_words(kind):
    error = kind("what", "expected", "Mend it.")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.what, again.expected, again.mend) == ("what", "expected", "Mend it.")
    assert str(again) == "what; expected expected. Mend it."
    assert isinstance(again, errors.ModsError)
    assert again.status in (404, 422)
