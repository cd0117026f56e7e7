"""Records of trainings."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from mods import cli
from mods.errors import DataError
from mods.models import trainings
from mods.models.trainings import Epoch, list_trainings, recorded, tell_epoch


@pytest.fixture(autouse=True)
def folder(home):
    return home / "checkpoints" / "trainings"


def test_there_is_none_at_first(capsys):
    assert list_trainings() == []
    assert cli.main(["trainings"]) == 0
    assert "trained nothing yet" in capsys.readouterr().out


def test_a_record_follows_its_training_to_the_end(capsys):
    with recorded("mine", {"num_epochs": 4}) as identifier:
        (record,) = list_trainings()
        assert (record["id"], record["state"], record["model"]) == (identifier, "running", "mine")
        tell_epoch(Epoch("training LSTM", 1, 4, 0.5, 0.6))
        (record,) = list_trainings()
        assert record["epoch"]["validation_loss"] == 0.6
        assert record["seconds_left"] >= 0
        assert cli.main(["trainings"]) == 0
        shown = capsys.readouterr().out
        assert "running  mine, training LSTM: epoch 1 of 4, loss 0.5000" in shown
        assert "s left" in shown
    (record,) = list_trainings()
    assert (record["state"], record["seconds_left"]) == ("done", None)
    assert record["arguments"] == {"num_epochs": 4}
    assert record["updated"] >= record["started"]


@pytest.mark.parametrize(
    ("raised", "state", "message"),
    [
        (DataError("too short"), "error", "too short"),
        (KeyboardInterrupt(), "stopped", "it was interrupted"),
    ],
)
def test_a_training_that_fails_says_why(raised, state, message):
    with pytest.raises(type(raised)), recorded("mine", {}):
        raise raised
    (record,) = list_trainings()
    assert (record["state"], record["message"]) == (state, message)


def test_a_killed_training_is_shown_as_stopped(folder):
    code = (
        "from mods.models.trainings import *\n"
        "with recorded('killed', {}):\n    print('begun', flush=True)\n    input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        assert process.stdout.readline() == "begun\n"
        assert list_trainings()[0]["state"] == "running"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
    (record,) = list_trainings()
    assert record["state"] == "stopped"
    assert record["message"] == "its process has ended without a result"


def test_a_later_process_with_the_same_number_is_another(folder):
    with recorded("mine", {}):
        (path,) = folder.glob("*.json")
        record = json.loads(path.read_text())
        record["process"]["started"] = "1"
        path.write_text(json.dumps(record))
        assert list_trainings()[0]["state"] == "stopped"


def test_a_record_of_another_host_counts_while_it_is_renewed(folder):
    with recorded("mine", {}):
        (path,) = folder.glob("*.json")
        record = json.loads(path.read_text())
        record["process"]["host"] = "elsewhere"
        for age, state in ((timedelta(0), "running"), (timedelta(days=2), "stopped")):
            record["updated"] = f"{datetime.now(UTC) - age:%Y-%m-%dT%H:%M:%SZ}"
            path.write_text(json.dumps(record))
            assert list_trainings()[0]["state"] == state


def test_damaged_records_are_passed_over(folder):
    with recorded("mine", {}):
        pass
    for name, text in (("a", "{"), ("b", "[]"), ("c", "{}"), ("d", "\0"), ("e", "null")):
        (folder / f"{name}.json").write_text(text)
    assert [record["model"] for record in list_trainings()] == ["mine"]


def test_a_record_that_cannot_be_kept_does_not_stop_the_training(folder, caplog):
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where the folder should be")
    with recorded("mine", {}):
        tell_epoch(Epoch("training LSTM", 1, 4, 0.5, 0.6))
    assert "cannot be kept" in caplog.text


def test_only_the_latest_records_are_kept(folder, monkeypatch):
    monkeypatch.setattr(trainings, "KEPT", 3)
    for number in range(5):
        with recorded(f"model{number}", {}):
            pass
    assert [record["model"] for record in list_trainings()] == ["model4", "model3", "model2"]


def test_epochs_outside_a_record_are_nobody_s(folder):
    tell_epoch(Epoch("training LSTM", 1, 4, 0.5, 0.6))
    assert not folder.exists()


def test_processes_are_told_apart_without_the_proc_folder(monkeypatch, folder):
    monkeypatch.setattr(trainings, "_started", lambda _number: None)
    with recorded("mine", {}):
        assert list_trainings()[0]["state"] == "running"
        (path,) = folder.glob("*.json")
        record = json.loads(path.read_text())
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait(timeout=20)
        record["process"]["number"] = gone.pid
        path.write_text(json.dumps(record))
        assert list_trainings()[0]["state"] == "stopped"
