"""Training from the shell: what it writes, going on after a kill, and bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mods.cli import main
from mods.errors import ModelError
from mods.models.fitting import fit_network
from mods.models.hyperparameters import FINE_TUNING, Hyperparameters
from mods.models.loading import load_model
from mods.models.mods_model import Model
from mods.tests.series_maker import SMALL, frame_of

pytestmark = pytest.mark.network

OPTIONS = ["--blocks", "4", "--sequence-len", "12", "--horizon", "6", "--num-epochs", "2"]


@pytest.fixture
def home(home):
    """The folder, with a table `data.csv` in it."""
    frame_of(400).reset_index().to_csv(home / "data.csv", index=False)
    return home


def test_train_writes_a_model_that_forecasts_and_can_be_gone_on_from(home, capsys):
    command = ["train", "--data", "data.csv", "--model", "first", "--model-type", "MLP", *OPTIONS]
    later = ["--range", "<2019-06-03,2019-06-05)", "--test-range", "<2019-06-05,2019-06-06)"]
    assert main([*command, *later, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["path"] == str(home / "models" / "first.zip")
    assert document["columns"] == ["column0", "column1"]
    assert document["window"] == "w01h-s10m"
    assert document["training"]["rows"] == 288
    assert document["training"]["range"] == "<2019-06-03,2019-06-05)"
    assert set(document["evaluation"]["steps"]) == {str(step) for step in range(1, 7)}
    model = load_model("first")
    assert isinstance(model, Model)
    assert model.settings.model_type == "MLP" and model.settings.blocks == 4
    assert model.forecast(frame_of(400)).point.shape == (6, 2)
    logs = list((home / "checkpoints" / "first").glob("*.log/events*"))
    assert logs and all(path.stat().st_size for path in logs)

    assert main(["train", "--data", "data.csv", "--model", "second.zip", "--from", "first"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("Wrote second.zip.")
    second = Model.load(home / "second.zip")
    assert (
        second.settings.blocks == 4
        and second.settings.learning_rate == FINE_TUNING["learning_rate"]
    )
    assert second.config["training"]["from"] == "first"


BAD = {
    "type": (["--model-type", "LTSM"], "unknown model type 'LTSM'. Did you mean 'LSTM'?"),
    "name": (["--model", "../a"], "expected a path that ends in .zip. Use '../a.zip'"),
    "epochs": (["--num-epochs", "0"], "num_epochs is 0; expected a whole number from 1"),
    "short": (["--range", "<2019-06-03,2019-06-03T01)"], "6 windows are too few"),
    "range": (["--range", "<2018,2019)"], "holds no row of the data"),
    "data": (["--data", "none.csv"], "none.csv"),
    "from": (["--from", "none"], "none"),
    "overlap": (["--test-range", "<2019-06-04,2019-06-05)"], "begins before the training ends"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line_and_writes_nothing(kind, home, capsys):
    more, message = BAD[kind]
    command = ["train", "--data", "data.csv", "--model", "bad", "--model-type", "MLP", *OPTIONS]
    assert main([*command, *more]) == 2
    error = capsys.readouterr().err
    complaint = [line for line in error.splitlines() if line.startswith("mods train:")]
    assert len(complaint) == 1 and message in complaint[0], error
    assert not list(home.rglob("*.zip"))


def test_a_killed_training_goes_on_to_equal_weights(home):
    """Killed with SIGKILL in the middle, resumed, and compared with an unbroken run."""
    settings = ["--data", str(home / "data.csv"), "--model-type", "LSTM", *OPTIONS[:-1], "12"]
    settings += ["--epochs-patience", "12"]
    command = [sys.executable, "-W", "ignore", "-m", "mods.models.train"]
    environment = os.environ | {"APP_INPUT_OUTPUT_BASE_DIR": str(home)}
    broken = ["--model", "broken", *settings]
    process = subprocess.Popen(
        [*command, *broken], env=environment, cwd=home, stderr=subprocess.DEVNULL
    )
    wait_for_epoch(home / "checkpoints" / "broken", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (home / "models" / "broken.zip").exists()
    assert main(["train", *broken, "--resume"]) == 0
    assert main(["train", "--model", "whole", *settings]) == 0
    broken_model, whole = (load_model(name) for name in ("broken", "whole"))
    assert broken_model.config["training"]["epochs"] == 12
    pairs = zip(broken_model.network.get_weights(), whole.network.get_weights(), strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)


def wait_for_epoch(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Return as soon as the first checkpoint is there; fail where the training ends before."""
    deadline = time.monotonic() + 200
    while not list(folder.glob("*.npz")):
        assert process.poll() is None, "the training ended before it was killed"
        assert time.monotonic() < deadline, "no checkpoint came"
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue


def test_two_trainings_of_one_name_keep_checkpoints_apart(tmp_path):
    for seed in (0, 1):
        Model("MLP", **SMALL, seed=seed).fit(frame_of(200), checkpoints=tmp_path, progress=False)
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_a_damaged_checkpoint_says_so(tmp_path):
    model = Model("MLP", **SMALL).fit(frame_of(200), checkpoints=tmp_path, progress=False)
    (checkpoint,) = tmp_path.glob("*.npz")
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(ModelError, match="Train without --resume"):
        model.fit(frame_of(200), checkpoints=tmp_path, resume=True, progress=False)


def test_going_on_never_leaves_a_model_worse_on_the_validation_part():
    frame = frame_of(400)
    begun = Model("MLP", **SMALL).fit(frame, progress=False)
    spoilt = Model("MLP", **SMALL, learning_rate=1.0)
    spoilt.fit(frame, from_model=begun, progress=False)
    assert spoilt.metrics["validation_loss"] <= 1.02 * begun.metrics["validation_loss"]


def test_a_checkpoint_that_is_gone_on_from_learns_its_columns_and_forecasts_others():
    frame = frame_of(300)
    checkpoint = load_model("default")
    assert isinstance(checkpoint, Model)
    settings = checkpoint.settings.as_dict() | {"num_epochs": 1}
    adapted = Model(**settings).fit(frame, from_model=checkpoint, progress=False)
    assert adapted.config["encoding"]["identities"] == list(frame.columns)
    other = frame.rename(columns={"column0": "elsewhere"})
    assert np.isfinite(adapted.forecast(other).point.to_numpy()).all()
    renamed = adapted.forecast(other).point["elsewhere"]
    own = adapted.forecast(frame).point["column0"]
    assert not np.array_equal(renamed, own), "it knows its columns from others"
    again = Model(**settings).fit(frame, from_model=adapted, progress=False)
    assert again.network.count_params() == adapted.network.count_params()


def test_what_was_not_given_is_the_own_of_the_model_to_go_on_from():
    frame = frame_of(200)
    begun = Model("MLP", **SMALL, coverage=0.8).fit(frame, progress=False)
    model = Model(num_epochs=2).fit(frame, from_model=begun, progress=False)
    assert model.settings == Hyperparameters(
        **begun.settings.as_dict() | FINE_TUNING | {"num_epochs": 2}
    )
    assert model.config["hyperparameters"] == model.settings.as_dict()
    assert (model.horizon, model.coverage) == (6, 0.8)
    assert model.forecast(frame).point.shape == (6, 2)
    assert model.config["training"]["epochs"] <= 2


CONFLICTS: dict[str, tuple[dict[str, Any], str]] = {
    "size": ({"blocks": 7}, "blocks is 7, but the model to go on from has 4"),
    "type": ({"model_type": "GRU"}, "model_type is 'GRU', but the model to go on from has 'MLP'"),
    # Not that steps_ahead, which nobody gave, is longer.
    "horizon": ({"horizon": 3}, "horizon is 3, but the model to go on from has 6"),
}


@pytest.fixture(scope="module")
def begun():
    return Model("MLP", **SMALL).fit(frame_of(200), progress=False)


@pytest.mark.parametrize("kind", CONFLICTS)
def test_what_was_given_and_is_another_network_is_an_error(begun, kind):
    ((name, value),), message = CONFLICTS[kind][0].items(), CONFLICTS[kind][1]
    with pytest.raises(ModelError) as caught:
        Model(**{name: value}).fit(frame_of(200), from_model=begun, progress=False)
    assert str(caught.value) == f"{message}; expected the same network. Leave {name} out."


def test_the_same_is_told_on_the_command_line(home, begun, capsys):
    begun.save(home / "begun.zip")
    command = ["train", "--data", "data.csv", "--model", "next", "--from", "begun.zip"]
    assert main([*command, "--horizon", "3"]) == 2
    assert "horizon is 3, but the model to go on from has 6" in capsys.readouterr().err
    assert not (home / "models" / "next.zip").exists()


def test_an_interrupted_training_keeps_the_best_so_far_if_asked(tmp_path, monkeypatch):
    from mods.models import fitting

    judge, calls = fitting.judge, []

    def interrupt(*given):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return judge(*given)

    monkeypatch.setattr(fitting, "judge", interrupt)
    assert fit_network is fitting.fit_network
    settings = SMALL | {"num_epochs": 5}
    model = Model("MLP", **settings)
    model.fit(frame_of(200), progress=False, keep_interrupted=True)
    assert model.config["training"]["interrupted"] and model.config["training"]["epochs"] == 1
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        Model("MLP", **settings).fit(frame_of(200), progress=False)


@pytest.mark.slow
def test_the_real_network_is_forecast_better_than_the_floor(real_data, home, capsys):
    path = str(real_data / "real" / "train-w01h-s10m.tsv")
    data = ["--data", path, "--window", "w01h-s10m", "--model", "real"]
    # the type that learns fastest: the floor is the same for all
    assert main(["train", *data, "--model-type", "MLP", "--range", "<0,12960)"]) == 0
    capsys.readouterr()
    judged = ["--range", "<12960,17280)", "--baselines", "persistence", "--json"]
    assert main(["evaluate", *data, *judged]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    found = [float(np.mean(steps[step]["smape"])) for step in ("1", "3", "6", "12")]
    assert np.all(np.array(found) <= [3.8, 7.5, 11.6, 13.4]), found
    covered = [float(np.mean(steps[step]["coverage"])) for step in ("1", "3", "6", "12")]
    assert np.all(np.abs(np.array(covered) - 0.9) <= 0.03), covered
