"""Pictures of datapools, trainings, the ladder and selections, as a person asks for them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from mods.cli import main
from mods.dataset.coverage import DAMAGED, MISSING, PARTLY, WHOLE, day_states
from mods.dataset.day_table import render
from mods.errors import DataError, NotFoundError
from mods.models.bundle import write_bundle
from mods.models.evaluation import Evaluation
from mods.models.slices import Slices
from mods.tests.feature_maker import HOUR, features
from mods.visualization import style
from mods.visualization.coverage_figure import plot_coverage
from mods.visualization.evaluation_figure import plot_evaluation
from mods.visualization.training_figure import plot_training

DAYS = [date(2019, 6, n) for n in range(1, 5)]


def write_day(pool: Path, protocol: str, day: date, rows: int = 144) -> Path:
    path = pool / protocol / f"{day:%Y/%m/%d}" / "w01h-s10m.tsv"
    path.parent.mkdir(parents=True)
    path.write_bytes(render(features(1, day).head(rows), HOUR, "tsv"))
    return path


@pytest.fixture
def pool(tmp_path):
    """Four days: conn whole but for a part of the third, dns without the second, ssh damaged."""
    folder = tmp_path / "pool"
    for day in DAYS:
        write_day(folder, "conn", day, 100 if day == DAYS[2] else 144)
        if day != DAYS[1]:
            write_day(folder, "dns", day)
    write_day(folder, "ssh", DAYS[3]).write_text("no features\n")
    return folder


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)]
    return [text for text in found if text]


def test_the_days_of_a_datapool_are_told_apart(pool):
    assert {key: list(days.values()) for key, days in day_states(pool).items()} == {
        ("conn", "w01h-s10m"): [WHOLE, WHOLE, PARTLY, WHOLE],
        ("dns", "w01h-s10m"): [WHOLE, MISSING, WHOLE, WHOLE],
        ("ssh", "w01h-s10m"): [MISSING, MISSING, MISSING, DAMAGED],
    }
    (pool / "manifest.json").write_text("{")
    assert list(day_states(pool)[("dns", "w01h-s10m")].values())[1] == MISSING


def test_what_the_manifest_tells_is_not_read_again(pool):
    entry = {"windows": 144, "known": 144, "size": 1, "sha256": ""}
    files = {"ssh/2019/06/04/w01h-s10m.tsv": entry}
    (pool / "manifest.json").write_text(json.dumps({"format": 1, "files": files}))
    assert day_states(pool)[("ssh", "w01h-s10m")][DAYS[3]] == WHOLE


def test_a_person_sees_the_gaps_of_a_datapool(pool, tmp_path, capsys):
    path = tmp_path / "coverage.png"
    assert main(["features", "--out", str(pool), "--figure", str(path)]) == 0
    assert capsys.readouterr().out == f"Wrote {path}.\n"
    assert path.read_bytes().startswith(b"\x89PNG")
    (axes,) = plot_coverage(pool, title="June").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["conn", "dns", "ssh"]
    said = texts(plot_coverage(pool, title="June"))
    for text in (
        "June",
        "w01h-s10m",
        "day, UTC",
        "4 of 4 days, 1 partly",
        "3 of 4 days",
        "1 of 4 days, 1 damaged",
        "no file",
        "cannot be read",
    ):
        assert text in said


def test_a_picture_goes_with_making_and_verifying_a_datapool(pool, tmp_path, capsys):
    path = tmp_path / "coverage.png"
    command = ["features", "--out", str(pool), "--verify", "--figure", str(path), "--json"]
    assert main(command) == 2  # a file is damaged, and so it is told
    document = json.loads(capsys.readouterr().out)
    assert document["figure"] == str(path)
    assert any("no file for 2019-06-02" in problem["what"] for problem in document["problems"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["features", "--out", "pool", "--figure", "a.pdf"],
            "mods features: --figure 'a.pdf'; expected a path that ends in .png\n",
        ),
        (
            ["features", "--out", "nowhere", "--figure", "a.png"],
            "mods features: no datapool 'nowhere'; expected a folder or a zip. Check the path.\n",
        ),
        (
            ["features", "--out", "pool"],
            "mods features: no LOGS; expected log files and directories. Name the sensor's logs.\n",
        ),
        (
            ["train", "--data", "x.tsv", "--model", "m", "--figure", "a"],
            "mods train: --figure 'a'; expected a path that ends in .png\n",
        ),
        (
            ["models", "--model", "default"],
            "mods models: --model alone; expected --model and --figure. Name a file to draw to.\n",
        ),
    ],
)
def test_bad_options_are_told_before_any_work(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert capsys.readouterr().err == message
    assert list(tmp_path.iterdir()) == []


def test_no_datapool_and_too_many_rows_are_told(tmp_path):
    with pytest.raises(NotFoundError, match="no datapool"):
        plot_coverage(tmp_path / "nowhere")
    for n in range(49):
        write_day(tmp_path / "many", f"p{n}", DAYS[0], 1)
    with pytest.raises(DataError, match=r"49 rows .* in one picture; expected at most 48"):
        plot_coverage(tmp_path / "many")
    write_day(tmp_path / "jump", "conn", DAYS[0], 1)
    write_day(tmp_path / "jump", "conn", date(1901, 1, 1), 1)
    with pytest.raises(DataError, match=r"43,251 days in one picture; .* Did a clock jump\?"):
        plot_coverage(tmp_path / "jump")


def test_a_day_less_than_a_pixel_wide_is_still_seen(tmp_path):
    gap, files = date(2016, 2, 29), {}
    entry = {"windows": 144, "known": 144, "size": 1, "sha256": ""}
    for ordinal in range(date(2013, 1, 1).toordinal(), date(2019, 1, 1).toordinal()):
        day = date.fromordinal(ordinal)
        if day != gap:
            name = f"conn/{day:%Y/%m/%d}/w01h-s10m.tsv"
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).touch()
            files[name] = entry
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "files": files}))
    figure = plot_coverage(tmp_path)
    figure.draw_without_rendering()
    from io import BytesIO

    from matplotlib.image import imread

    pixels = imread(BytesIO(style.picture(figure)))[..., :3]
    (axes,) = figure.axes
    box = axes.get_window_extent()
    row = pixels[-int(box.y0 + box.height * 0.4), int(box.x0) : int(box.x1)]
    near = np.abs(row - to_rgb(style.VERMILION)).max(axis=1) < 0.25
    assert 1 <= near.sum() <= 5


HISTORY = [{"loss": 0.4, "validation_loss": loss} for loss in (0.5, 0.3, 0.35)]


def test_the_losses_of_a_training_and_the_epoch_that_was_kept():
    figure = plot_training({"history": HISTORY, "best_epoch": 2}, title="mine")
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    assert np.asarray(lines["validation part"].get_ydata()).tolist() == [0.5, 0.3, 0.35]
    assert np.asarray(lines["training part"].get_ydata()).tolist() == [0.4, 0.4, 0.4]
    assert (lines["kept"].get_xdata(), lines["kept"].get_ydata()) == ([2], [0.3])
    assert axes.get_xlabel() == "epoch"
    members = {"LSTM": 2, "Conv1D": 5}
    together = {"history": HISTORY, "best_epoch": 2, "members": members}
    assert (
        plot_training(together)
        .axes[0]
        .get_title(loc="left")
        .endswith("loss of 0.3 (Conv1D, of LSTM, Conv1D)")
    )
    none = plot_training({"history": HISTORY, "best_epoch": 0}).axes[0]
    assert none.get_title(loc="left") == "None of 3 epochs was better than the model it began with"


@pytest.mark.parametrize("history", [None, [], [{"loss": 1.0}], [3], "ab"])
def test_a_model_without_recorded_losses_is_told(history):
    with pytest.raises(DataError) as caught:
        plot_training({"history": history, "best_epoch": 1})
    assert str(caught.value) == (
        "no losses are recorded of this model's training; expected a model that was trained by MODS"
    )


def test_a_person_sees_the_losses_of_a_model_at_hand(tmp_path, capsys):
    path, bundle = tmp_path / "losses.png", tmp_path / "mine.zip"
    assert main(["models", "--figure", str(path)]) == 0  # of the shipped model
    assert capsys.readouterr().out == f"Wrote {path}.\n"
    assert path.read_bytes().startswith(b"\x89PNG")
    write_bundle(bundle, {"training": "by hand"}, network=None)
    assert main(["models", "--model", str(bundle), "--figure", str(path)]) == 2
    assert "no losses are recorded of this model's training" in capsys.readouterr().err
    assert main(["models", "--model", "no-such", "--figure", str(path)]) == 2
    assert "no-such" in capsys.readouterr().err


def scores(*values: float) -> dict[str, np.ndarray]:
    return {"smape": np.array(values)[:, None]}


def an_evaluation(naive: float, columns: int = 1) -> Evaluation:
    return Evaluation(
        columns=tuple("ab"[:columns]),
        steps=(1, 2, 3),
        model=scores(4.0, 5.0, 6.0),
        baselines={
            "persistence": scores(5.0, 6.0, 7.0),
            "seasonal_naive": scores(naive, naive, naive),
            "gradient_boosting": scores(4.5, np.nan, 5.5),
        },
        boosted_steps=(1, 3),
        slices=(
            Slices("hour", (0, 1), {"model": np.array([4.0, 5.0]).reshape(2, 1, 1)}),
            Slices("level", (1, 2), {"model": np.array([0.0, 5.0]).reshape(2, 1, 1)}),
        ),
    )


def test_the_ladder_stands_beside_the_model_at_every_step():
    figure = plot_evaluation(an_evaluation(8.0), title="mine")
    steps, hours, levels = figure.axes
    lines = {str(line.get_label()): line for line in steps.lines}
    assert list(lines) == ["model", "persistence", "seasonal naive", "gradient boosting"]
    boosted = lines["gradient boosting"]
    assert np.asarray(boosted.get_xdata()).tolist() == [1, 3]
    assert np.asarray(boosted.get_ydata()).tolist() == [4.5, 5.5]
    assert [axes.get_xlabel() for axes in (steps, hours, levels)] == [
        "windows ahead",
        "hour of the target, UTC",
        "level at the origin, fifths (1 is the lowest)",
    ]
    # Alike in no way: colour, mark and dashes.
    for look in ("get_color", "get_marker", "get_linestyle"):
        assert len({getattr(line, look)() for line in lines.values()}) == 4
    assert {axes.get_ylabel() for axes in figure.axes} == {"SMAPE, %"}


def test_a_rung_that_is_far_off_hides_none_of_the_others():
    steps, _, levels = plot_evaluation(an_evaluation(90.0)).axes
    assert (steps.get_yscale(), steps.get_ylabel()) == ("log", "SMAPE, %, log scale")
    assert levels.get_yscale() == "linear"  # an error of 0 has no logarithm


def test_a_column_without_errors_hides_no_line():
    evaluation = an_evaluation(8.0, columns=2)
    evaluation.model["smape"] = np.array([[4.0, np.nan], [5.0, np.nan], [6.0, np.nan]])
    line = plot_evaluation(evaluation).axes[0].lines[0]
    assert np.asarray(line.get_ydata()).tolist() == [4.0, 5.0, 6.0]


def test_every_picture_has_the_one_width_and_no_letter_is_too_small(pool):
    for figure in (
        plot_coverage(pool),
        plot_training({"history": HISTORY, "best_epoch": 2}),
        plot_evaluation(an_evaluation(8.0)),
    ):
        assert figure.get_size_inches()[0] == style.WIDTH
        figure.draw_without_rendering()
        written = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]
        assert min(float(text.get_fontsize()) for text in written) >= style.SMALL
        assert set(figure.get_facecolor()) == {1.0}
