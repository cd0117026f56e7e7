"""From data to the columns worth forecasting: `mods select` and what it measures."""

from __future__ import annotations

import json
import re
import shlex
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from mods.cli import main
from mods.commands.select import selection_text
from mods.dataset import read_data
from mods.dataset.day_table import render
from mods.dataset.query import parse_query
from mods.errors import ConfigError, DataError
from mods.features.dependence import dependent_columns
from mods.features.drift import measure_drift
from mods.features.figure import plot_selection
from mods.features.redundancy import redundant_groups
from mods.features.select_features import select_features
from mods.timerange import Window

stattools = pytest.importorskip("statsmodels.tsa.stattools")
from mods.features.autocorrelation import autocorrelate  # noqa: E402
from mods.features.information import information  # noqa: E402
from mods.features.stationarity import judge_stationarity  # noqa: E402


def network(rows: int = 600, seed: int = 0) -> pd.DataFrame:
    """Return columns whose verdicts are known."""
    rng = np.random.default_rng(seed)
    day = np.sin(np.arange(rows) * 2 * np.pi / 144)
    a, b = 10 + 5 * day + rng.normal(size=rows), 20 - 3 * day + 2 * rng.normal(size=rows)
    return pd.DataFrame(
        {
            "a": a,
            "b": b,
            "sum": a + b,
            "a_again": a + 0.01 * rng.normal(size=rows),
            "zero": 0.0,
            "same": 7.0,
            "gone": np.nan,
            "rare": np.where(np.arange(rows) % 20 == 0, 5.0, 0.0),
            "walk": rng.normal(size=rows).cumsum(),
            "noise": rng.normal(size=rows),
        }
    )


def test_known_columns_get_known_verdicts():
    frame = network()
    selection = select_features(frame, ["a"])
    table = selection.table().set_index("column")
    assert dict(table["verdict"]) == {
        "a": "keep",
        "b": "keep",
        "walk": "keep with care",
        "rare": "keep with care",
        "noise": "keep with care",
        "sum": "leave out",
        "a_again": "leave out",
        "zero": "leave out",
        "same": "leave out",
        "gone": "leave out",
    }
    reasons = table["reason"]
    assert reasons["sum"] == "a linear combination of a, b"
    assert reasons["a_again"] == "says nearly the same as a"
    assert reasons["zero"] == "zero in every window"
    assert reasons["same"] == "the same in every window (7)"
    assert reasons["gone"] == "missing in every window"
    assert reasons["rare"].startswith("intermittent: 95 % of its windows are zero")
    assert "its level wanders" in reasons["walk"]
    assert reasons["noise"] == "nothing in its past tells of what comes"
    assert abs(table["period"]["a"] - 144) <= 5
    assert selection.kept[0] in ("a", "b")
    assert selection.query == "table|a|b|rare|walk|noise#window_start,window_end"
    json.dumps(selection.document(), allow_nan=False)


def test_what_is_wrapped_is_what_statsmodels_says():
    values = network()["a"].to_numpy()
    found = autocorrelate(values)
    np.testing.assert_allclose(found.full, stattools.acf(values, nlags=200), atol=1e-9)
    np.testing.assert_allclose(
        found.partial, stattools.pacf(values, nlags=24, method="ywm"), atol=1e-9
    )
    level = judge_stationarity(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adf = stattools.adfuller(values, maxlag=24, autolag="AIC")[1]
        kpss = stattools.kpss(values, nlags="auto")[1]
    assert level.adf == pytest.approx(adf)
    assert level.kpss == pytest.approx(kpss)


def test_stationarity_of_series_that_are_known():
    rng = np.random.default_rng(4)
    noise = rng.normal(size=800)
    assert judge_stationarity(noise).kind == "stationary"
    assert judge_stationarity(noise.cumsum()).kind == "difference"
    assert judge_stationarity(noise + 0.01 * np.arange(800)).kind != "stationary"


def test_drift_information_redundancy_and_dependence_of_known_columns():
    rng = np.random.default_rng(2)
    level = rng.normal(size=1000)
    assert measure_drift(level[:500], level[500:]).kind == "none"
    assert measure_drift(level[:500], level[500:] + 2).kind == "much"
    assert measure_drift(level[:10], level[500:]).kind == "unclear"
    zeros = np.zeros(100)
    assert measure_drift(zeros, zeros).index == 0
    assert measure_drift(zeros, zeros + 1).kind == "much"
    # Gaussian pairs with correlation r hold -log(1 - r^2) / 2 nats.
    pair = pd.DataFrame(
        {"x": level, "y": np.roll(0.9 * level + 0.19**0.5 * rng.normal(size=1000), 3)}
    )
    found = information(pair, "x", ["y"])[:, 0]
    assert found[1] == pytest.approx(-np.log(0.19) / 2, abs=0.1)
    assert found[[0, 2, 3]].max() < 0.1
    assert redundant_groups(network()[["a", "b", "a_again"]]) == [["a", "a_again"]]
    frame = network()[["a", "b", "sum"]]
    assert dependent_columns(frame, ["sum", "b"]) == {"a": ("b", "sum")} or dependent_columns(
        frame, ["sum", "b"]
    ) == {"a": ("sum", "b")}
    assert dependent_columns(frame + rng.normal(size=frame.shape)) == {}


@settings(max_examples=6, deadline=None)
@given(
    order=st.permutations(["a", "b", "sum", "a_again", "zero", "rare"]),
    power=st.integers(-9, 9),
)
def test_neither_order_nor_unit_changes_a_verdict(order, power):
    frame = network(300)[["a", "b", "sum", "a_again", "zero", "rare"]]
    verdicts = {one.column: one.verdict for one in select_features(frame).verdicts}
    other = frame[order].copy()
    other["a"] *= 10.0**power
    assert {one.column: one.verdict for one in select_features(other).verdicts} == verdicts


@pytest.mark.parametrize(
    ("frame", "targets", "message"),
    [
        (network(600)[[]], None, "the data have no column; expected at least one"),
        (
            network(20),
            None,
            "20 windows are too few to tell anything; expected at least 50. Take a longer range.",
        ),
        (network()[["a"]], ["aa"], "the data have no column 'aa'. Did you mean 'a'?"),
    ],
)
def test_bad_input_is_told(frame, targets, message):
    with pytest.raises(DataError) as caught:
        select_features(frame, targets)
    assert str(caught.value) == message


def test_one_column_few_values_and_names_that_no_query_holds():
    frame = network()[["a"]]
    assert select_features(frame).kept == ["a"]
    frame = frame.where(np.arange(600)[:, None] < 30)
    (verdict,) = select_features(frame).verdicts
    assert verdict.reason == "only 30 known values, at least 50 tell anything"
    assert select_features(frame).query is None
    assert select_features(network()[["a"]].rename(columns={"a": "a|b"})).query is None
    gaps = network()[["a", "rare"]].mask(np.random.default_rng(0).random((600, 2)) < 0.3)
    assert select_features(gaps).table().set_index("column")["verdict"]["a"] == "keep"


def test_values_of_any_size_are_measured():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"huge": rng.normal(size=60) * 1e200, "tiny": rng.normal(size=60) * 1e-200}
    )
    frame["infinite"] = np.where(np.arange(60) == 3, np.inf, rng.normal(size=60))
    frame["once"] = np.where(np.arange(60) == 59, 1.0, 0.0)
    table = select_features(frame, compare=frame).table().set_index("column")
    assert set(table["verdict"]) == {"keep with care"}
    assert table["missing"]["infinite"] == pytest.approx(1 / 60)


def test_all_statistics_reach_the_reader(tmp_path, capsys):
    frame = network(600)[["a", "walk", "rare", "zero"]]
    frame.loc[300:, "a"] += 50
    selection = select_features(frame.iloc[:300], compare=frame.iloc[300:])
    table = selection.table().set_index("column")
    assert table.shape == (4, 17)
    walk = judge_stationarity(frame["walk"].iloc[:300].to_numpy())
    assert (table["adf"]["walk"], table["kpss"]["walk"]) == (walk.adf, walk.kpss)
    assert table["stationarity"]["walk"] == "difference"
    # A random walk is told by its last value alone; a pulse every 20 windows by 20 of them.
    assert (table["partial"]["walk"], table["partial"]["rare"]) == (1, 20)
    (rare,) = [row for row in selection.document()["columns"] if row["column"] == "rare"]
    assert rare["periods"] == [20] and rare["autocorrelations"][0] > 0.8
    assert len(rare["partial_autocorrelations"]) == 24
    text = selection_text(selection)
    (said,) = [line for line in text.splitlines() if line.startswith("a ")]
    assert re.search(r"stationary|trend|unclear", said) and re.search(r"\d\.\d\d much", said)
    assert "partial autocorrelation" in text and "population stability index" in text
    assert "drift" not in selection_text(select_features(frame.iloc[:300]))
    figure = plot_selection(selection, title="mine")
    drawn = {text.get_text() for text in figure.findobj(Text)}
    (level,) = [text for text in drawn if "ADF p" in text and "difference" in text]
    assert f"KPSS p {walk.kpss:.2g}" in level and "PSI" in level
    assert {"Autocorrelation", "Partial", "20"} <= drawn


@pytest.mark.network
@pytest.mark.parametrize("stored", ["table", "datapool"])
def test_train_takes_the_query_and_trains_on_just_those_columns(
    tmp_path, capsys, monkeypatch, stored
):
    monkeypatch.chdir(tmp_path)
    frame = network(720)[["a", "b", "a_again", "zero"]]
    asked: list[str] = []
    if stored == "table":
        data = tmp_path / "data.csv"
        frame.to_csv(data, index=False)
    else:
        data = tmp_path / "pool"
        for day in range(5):
            part = frame.iloc[144 * day : 144 * (day + 1)]
            starts = pd.Index(range(144 * day, 144 * (day + 1))) * 600_000_000
            table = pl.DataFrame({"window_start": starts.to_numpy(), **part.to_dict("list")})
            path = data / f"conn/1970/01/{day + 1:02d}/w01h-s10m.tsv"
            path.parent.mkdir(parents=True)
            path.write_bytes(render(table, Window.parse("w01h-s10m"), "tsv"))
        asked = ["--query", "conn|a~first|b|a_again|zero#window_start"]
    assert main(["select", "--data", str(data), *asked]) == 0
    (line,) = [s for s in capsys.readouterr().out.splitlines() if s.startswith("--query '")]
    words = ["train", "--data", str(data), *shlex.split(line), "--model", "mine.zip"]
    quick = ["--model-type", "MLP", "--blocks", "2", "--sequence-len", "12", "--horizon", "3"]
    assert main([*words, *quick, "--num-epochs", "1", "--figure", "losses.png", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    first = "a" if stored == "table" else "first"
    # a and a_again are nearly the same, and which of the two is kept is the choice of select
    assert document["columns"] in ([first, "b"], ["b", "a_again"])
    assert Path("losses.png").read_bytes().startswith(b"\x89PNG")


def test_without_statsmodels_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.tsa", None)
    with pytest.raises(ConfigError, match="needs statsmodels") as caught:
        select_features(network())
    assert str(caught.value).endswith("Install it with: pip install 'mods[select]'")


def test_the_command_tells_draws_and_compares(tmp_path, capsys):
    data, figure = tmp_path / "data.csv", tmp_path / "x.png"
    frame = network(600)[["a", "b", "rare"]]
    frame.loc[300:, "b"] += 50
    frame.to_csv(data, index=False)
    words = ["select", "--data", str(data), "--range", "<0,300)", "--compare", "<300,600)"]
    assert main([*words, "--figure", str(figure)]) == 0
    said = capsys.readouterr().out
    assert "distributed otherwise in the other range" in said
    assert "--query 'table|a|b|rare#window_start,window_end'" in said
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(read_data(data, query=document["query"]).columns) == ["a", "b", "rare"]
    assert main([*words, "--figure", "x.pdf"]) == 2
    assert (
        capsys.readouterr().err
        == "mods select: --figure 'x.pdf'; expected a path that ends in .png\n"
    )


def test_the_query_of_a_real_datapool_reads_what_is_kept(real_data, capsys):
    pool: Path = real_data / "real" / "datapools"
    asked = "conn|in_count_uid~conn_in|out_count_uid~conn_out;ssh|in~ssh_in#window_start"
    assert main(["select", "--data", str(pool), "--query", asked, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["windows"] == 144
    query = document["query"]
    assert parse_query(query).text == query
    assert sorted(read_data(pool, query=query).columns) == sorted(document["kept"])
    assert set(query.split("#")[0].replace(";", "|").split("|")) <= set(
        asked.split("#")[0].replace(";", "|").split("|")
    )
