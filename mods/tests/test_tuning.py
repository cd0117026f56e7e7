"""The search for hyper-parameters, from the shell."""

from __future__ import annotations

import json
import shlex

import pytest

from mods.cli import main
from mods.config import SEARCH_SPACES
from mods.models.hyperparameters import MODEL_TYPES, Hyperparameters
from mods.tests.series_maker import frame_of

pytestmark = pytest.mark.network
QUICK = ["--model-type", "MLP", "--num-epochs", "1", "--sequence-len", "12", "--horizon", "2"]


@pytest.fixture
def home(home):
    """The folder, with a table `data.csv` in it."""
    frame_of(300).reset_index().to_csv(home / "data.csv", index=False)
    return home


def test_every_type_has_a_space_with_its_defaults():
    assert set(SEARCH_SPACES) == set(MODEL_TYPES) - {"auto"}
    for space in SEARCH_SPACES.values():
        for name, values in space.items():
            assert getattr(Hyperparameters(), name) in values
            for value in values:
                Hyperparameters.of(**{name: value})


@pytest.mark.slow
def test_a_search_goes_on_and_its_line_trains(home, capsys):
    pytest.importorskip("optuna")
    command = ["tune", "--data", "data.csv", "--model", "mine", *QUICK, "--blocks", "4"]
    assert main([*command, "--trials", "1", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["finished"] == 1 and first["pruned"] == first["failed"] == 0
    assert set(first["best"]) == {"learning_rate", "dropout_rate", "stacked_blocks"}
    assert first["mase"] == first["default_mase"]

    # asked again, nothing is left to do; asked for more, it goes on
    assert main([*command, "--trials", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert main([*command, "--trials", "2"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "2 trials finished, 0 pruned early."
    assert told[-1].startswith("mods train --data data.csv --model mine --model-type MLP")
    assert main(shlex.split(told[-1])[1:]) == 0
    assert (home / "models" / "mine.zip").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model-type", "auto"], "no search space for 'auto'; expected one of MLP, Conv1D"),
        (["--trials", "0"], "0 trials; expected 1 or more"),
        (["--range", "<2019-06-03,2019-06-04)"], "144 rows to search on; expected at least 300"),
        (["--model", "../mine"], "model '../mine'; expected a path that ends in .zip"),
    ],
)
def test_bad_input_is_one_line(home, capsys, options, message):
    pytest.importorskip("optuna")
    assert main(["tune", "--data", "data.csv", "--model", "mine", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_without_optuna_it_says_what_to_install(home, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["tune", "--data", "data.csv", "--model", "mine"]) == 2
    assert "Install it with: pip install 'mods[tune]'" in capsys.readouterr().err
