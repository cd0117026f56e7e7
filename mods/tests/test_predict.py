"""`mods predict` and `mods evaluate` from end to end, on a model that was really trained."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from mods.cli import main
from mods.errors import DataError, ModelError, RangeError
from mods.models.evaluation import evaluate
from mods.models.forecast import TABLE_COLUMNS, forecast_table
from mods.models.predict import predict, write_table


class Persistence:
    """The last value, give or take a tenth; it needs six windows of history."""

    horizon, coverage = 3, 0.9

    def backtest(self, frame: pd.DataFrame) -> pd.DataFrame:
        values = frame.to_numpy()
        origins = np.arange(5, len(frame))
        point = np.repeat(values[origins][:, None], self.horizon, axis=1)
        return forecast_table(frame, origins, point, 0.9 * point, 1.1 * point)


def frame_of(rows: int, *, times: bool) -> pd.DataFrame:
    index: pd.Index = pd.RangeIndex(rows, name="row")
    if times:
        index = pd.date_range("2019-06-01", periods=rows, freq="10min", tz="UTC")
        index.name = "window_start"
    rng = np.random.default_rng(0)
    daily = 1000 + 300 * np.sin(np.arange(rows) / 144 * 2 * np.pi)
    noise = rng.normal(0, 20, (rows, 2))
    frame = pd.DataFrame({"conn_in": daily, "ssh_in": daily / 10}, index=index) + noise / [1, 10]
    frame.attrs["window"] = "w01h-s10m"
    return frame


@pytest.mark.parametrize("times", [False, True])
def test_each_origin_with_history_has_its_rows_and_the_future_has_no_actual(times):
    frame = frame_of(20, times=times)
    table = predict(Persistence(), frame)
    assert list(table.columns) == list(TABLE_COLUMNS)
    assert table["origin"].unique().tolist() == frame.index[5:].tolist()
    assert len(table) == 15 * 3 * 2
    future = table["target"] > frame.index[-1]
    assert future.sum() == (1 + 2 + 3) * 2
    assert table["actual"].isna().equals(future)
    known = table[~future]
    for row in known.itertuples(index=False):
        assert row.actual == frame.loc[row.target, row.column]


def test_a_range_of_origins_uses_the_history_before_it():
    frame = frame_of(40, times=False)
    table = predict(Persistence(), frame, include="<30,32)")
    assert table["origin"].unique().tolist() == [30, 31]
    whole = predict(Persistence(), frame)
    expected = whole[whole["origin"].isin([30, 31])].reset_index(drop=True)
    pd.testing.assert_frame_equal(table, expected)


@pytest.mark.parametrize("times", [False, True])
def test_every_format_holds_the_same_table(tmp_path, times):
    table = predict(Persistence(), frame_of(12, times=times))
    for name in ("a.csv", "a.json", "a.parquet"):
        write_table(table, tmp_path / name)
    kinds = dict(zip(table.columns, table.dtypes, strict=True))
    read = {
        "csv": pd.read_csv(tmp_path / "a.csv"),
        "json": pd.DataFrame(json.loads((tmp_path / "a.json").read_text())),
        "parquet": pd.read_parquet(tmp_path / "a.parquet"),
    }
    for back in read.values():
        if times:
            for name in ("origin", "target"):
                back[name] = pd.to_datetime(back[name], utc=True)
        pd.testing.assert_frame_equal(back.astype(kinds), table)


def test_a_picture_is_a_picture(tmp_path):
    write_table(predict(Persistence(), frame_of(30, times=True)), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_an_unknown_ending_is_an_error_before_any_work(tmp_path, capsys):
    with pytest.raises(ModelError, match=r"ends in \.csv, \.json, \.parquet, \.png"):
        write_table(pd.DataFrame(), tmp_path / "a.xlsx")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ModelError, match="is a directory"):
        write_table(pd.DataFrame(), tmp_path / "folder.csv")
    # No such data and no such model, and yet the complaint is about the output.
    status = main(["predict", "--data", "none", "--model", "none", "--out", "a.txt"])
    assert status == 2
    assert "output 'a.txt'; expected a file that ends in" in capsys.readouterr().err


def test_a_range_without_history_or_without_data_is_an_error():
    frame = frame_of(40, times=False)
    with pytest.raises(DataError, match=r"no window in the range '<0,3\)' has the history"):
        predict(Persistence(), frame, include="<0,3)")
    with pytest.raises(RangeError, match="holds no row of the data"):
        predict(Persistence(), frame, include="<100,200)")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a small trained model, and the table that it was trained on."""
    from mods.models.mods_model import Model

    folder = tmp_path_factory.mktemp("trained")
    frame = frame_of(1500, times=True)
    frame.reset_index().to_csv(folder / "data.csv", index=False)
    model = Model("LSTM", num_epochs=1, blocks=4).fit(frame.iloc[:1200], progress=False)
    model.save(folder / "small.zip")
    return folder


@pytest.mark.network
def test_a_forecast_table_from_the_command_line(trained, tmp_path, capsys):
    out = tmp_path / "forecast.csv"
    command = ["predict", "--data", str(trained / "data.csv"), "--model"]
    command += [str(trained / "small.zip"), "--range", "<2019-06-10,2019-06-11)"]
    assert main([*command, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("144 origins from 2019-06-10 00:00:00+00:00")
    assert f"Wrote {144 * 12 * 2} rows" in text
    table = pd.read_csv(out)
    assert list(table.columns) == list(TABLE_COLUMNS)
    assert (table["lower"] <= table["forecast"]).all()
    assert (table["forecast"] <= table["upper"]).all()
    assert (table["lower"] >= 0).all()
    capsys.readouterr()
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["columns"] == ["conn_in", "ssh_in"]
    assert document["table"]["target"] == table["target"].tolist()


@pytest.mark.network
def test_a_query_names_other_columns_than_the_model_was_trained_on(trained, tmp_path, capsys):
    """Of a datapool by the features' names, of a table by the columns' own."""
    pool, frame = tmp_path / "pool", frame_of(300, times=True)
    times = pd.DatetimeIndex(frame.index)
    form = "%Y-%m-%dT%H:%M:%S.000Z"
    frame["window_start"] = times.strftime(form)
    frame["window_end"] = (times + pd.Timedelta("1h")).strftime(form)
    for day, rows in frame.groupby(times.date):
        file = pool / f"ssl/{day:%Y/%m/%d}/w01h-s10m.tsv"
        file.parent.mkdir(parents=True)
        rows = rows.rename(columns={"conn_in": "in", "ssh_in": "out"})
        rows[["window_start", "window_end", "in", "out"]].to_csv(file, sep="\t", index=False)
    model = ["--model", str(trained / "small.zip"), "--json"]
    query = ["--query", "ssl|out~ssl_out#window_start,window_end"]
    for command in ("predict", "evaluate"):
        assert main([command, "--data", str(pool), *query, *model]) == 0
        assert json.loads(capsys.readouterr().out)["columns"] == ["ssl_out"]
    query = ["--query", "ssh|in~ssh_in#window_start"]
    assert main(["detect", "--data", str(trained / "data.csv"), *query, *model]) == 0
    assert json.loads(capsys.readouterr().out)["columns"] == ["ssh_in"]


@pytest.mark.network
def test_evaluate_from_the_command_line(trained, capsys):
    command = ["evaluate", "--data", str(trained / "data.csv"), "--model"]
    command += [str(trained / "small.zip"), "--range", "<2019-06-09T12,2019-06-11)"]
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["steps"]) == {str(step) for step in range(1, 13)}
    assert set(document["baselines"]) == {"persistence", "seasonal_naive", "gradient_boosting"}
    assert document["origins"]["count"] == 144 + 72
    assert main([*command, "--baselines", "persistence"]) == 0
    text = capsys.readouterr().out
    lines = [line for line in text.splitlines() if line.strip()]
    assert "persistence" in lines[1] and "seasonal" not in lines[1]
    assert [line.split()[:2] for line in lines[2:5]] == [
        ["1", "conn_in"],
        ["1", "ssh_in"],
        ["1", "mean"],
    ]
    assert "The model" in lines[-1]
    with pytest.raises(SystemExit) as caught:
        main([*command, "--baseline"])
    assert caught.value.code == 2


@pytest.mark.network
def test_the_module_runs_as_a_program(trained, tmp_path):
    def program(data: str) -> subprocess.CompletedProcess[str]:
        words = ["--data", str(trained / data), "--model", str(trained / "small.zip")]
        words += ["--range", "<2019-06-10,2019-06-11)", "--out", str(tmp_path / "a.csv")]
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "mods.models.predict", *words],
            capture_output=True,
            text=True,
            check=False,
        )

    done = program("data.csv")
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(tmp_path / "a.csv")) == 144 * 12 * 2
    done = program("none.csv")
    assert done.returncode == 2
    assert "none.csv" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.network
def test_the_figures_agree_with_those_from_outside(trained, real_data, tmp_path):
    """Scored from the written table by plain arithmetic over the file itself, gaps filled."""
    from mods.dataset import read_data
    from mods.errors import ModsWarning
    from mods.models.mods_model import Model

    path = real_data / "real" / "train-w01h-s10m.tsv"
    with pytest.warns(ModsWarning, match="line 4193"):
        frame = read_data(path, window="w01h-s10m")
    model = Model.load(trained / "small.zip")
    include = "<16000,17280)"
    evaluation = evaluate(model, frame, include=include, baselines=["persistence"])
    write_table(predict(model, frame, include=include), tmp_path / "a.csv")
    table = pd.read_csv(tmp_path / "a.csv")
    lines = path.read_text().splitlines()
    lines[4192] = lines[4192].replace("\t\t", "\t")
    truth = pd.read_csv(io.StringIO("\n".join(lines)), sep="\t").interpolate().bfill()
    for step in (1, 12):
        smape, mase = [], []
        for column in truth.columns:
            part = table[(table["step"] == step) & (table["column"] == column)]
            part = part[part["target"] < len(truth)]
            actual = truth[column].to_numpy()[part["target"]]
            naive = truth[column].to_numpy()[part["origin"]]
            error = np.abs(part["forecast"] - actual)
            smape.append(100 * np.mean(2 * error / (part["forecast"] + actual)))
            mase.append(error.mean() / np.abs(naive - actual).mean())
        # The few gaps are filled there and left out here.
        np.testing.assert_allclose(evaluation.model["smape"][step - 1], smape, rtol=0.02)
        np.testing.assert_allclose(evaluation.model["mase"][step - 1], mase, rtol=0.02)
