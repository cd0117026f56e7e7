"""Results that are kept: the same for the same data only."""

from __future__ import annotations

import pandas as pd
import pytest

from mods import config
from mods.models import api, tally
from mods.models.recent import Recent, digest
from mods.tests.running_service import write_pool

FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})


def changed(change):
    frame = FRAME.copy()
    change(frame)
    return frame


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.__setitem__("a", [1.0, 2.5]),
        lambda frame: frame.__setitem__("a", [1.0, float("nan")]),
        lambda frame: frame.attrs.__setitem__("window", "w10m-s10m"),
        lambda frame: setattr(frame, "columns", ["a", "c"]),
        lambda frame: setattr(frame, "index", pd.RangeIndex(1, 3)),
        lambda frame: setattr(frame, "index", pd.date_range("2024", periods=2, tz="UTC")),
    ],
)
def test_other_data_have_another_digest(change):
    assert digest(FRAME) == digest(FRAME.copy())
    assert digest(changed(change)) != digest(FRAME)


def test_the_same_times_have_the_same_digest():
    frames = [FRAME.set_index(pd.date_range("2024", periods=2, tz="UTC")) for _ in range(2)]
    assert digest(frames[0]) == digest(frames[1])


def test_the_least_used_goes_first():
    recent: Recent[str] = Recent(2)
    for key in "abac":
        recent.get(key, key.upper)
    assert recent.get("a", lambda: "made anew") == "A"
    assert recent.get("b", lambda: "made anew") == "made anew"


@pytest.mark.network
def test_asking_again_gives_the_same_and_new_data_give_new_forecasts(folder, monkeypatch):
    write_pool(config.folders().datapools, days=3)
    first = api.predict()
    made = tally.total()
    with monkeypatch.context() as patch:
        patch.setattr("mods.models.predict.predict", None)  # not called again
        assert api.predict() == first
    assert tally.total() == made + 144 * 12 * 4
    assert isinstance(first, dict)
    few = api.predict(columns=["ssh_in"], horizon=1)
    assert isinstance(few, dict)
    assert list(few["evaluation"]["steps"]) == ["1"]
    day = config.folders().datapools / "ssh/2024/03/02/w01h-s10m.tsv"
    lines = day.read_text().splitlines()
    day.write_text("\n".join([*lines[:-1], lines[-1].rpartition("\t")[0] + "\t9999"]) + "\n")
    second = api.predict()
    assert isinstance(second, dict)
    assert second["predictions"] != first["predictions"]
