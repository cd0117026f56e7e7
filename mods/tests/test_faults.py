"""What breaks while the service runs: models, disks, trainings, many clients, the clock."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from mods import config
from mods.models import trainings
from mods.models.trainings import Epoch, list_trainings, recorded, tell_epoch
from mods.serve.metrics import Metrics
from mods.tests.crowd import Question, crowd
from mods.tests.running_service import ROOT, serving, workers_of, write_pool

SHIPPED = ROOT / "models" / "model_default_cpu.zip"
SMALL: dict[str, Any] = {"model_type": "Conv1D", "num_epochs": 1, "blocks": 4, "sequence_len": 6}
ENDLESS = SMALL | {"num_epochs": 100_000, "epochs_patience": 100_000}
HOURS = {"time_range": "<2024-03-04,2024-03-04T06:00)"}
CSV = {"accept": "text/csv"}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The service with two workers and two trainings, and its process."""
    folder = tmp_path_factory.mktemp("faults")
    write_pool(folder / "data" / "features" / "datapools", days=5)
    with serving(folder, "--workers", "2", "--trainings", "2", "--queue", "64") as running:
        yield running


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def names(service) -> list[str]:
    about = requests.get(f"{service.model}/", timeout=30).json()
    return [model["name"] for model in about["models"]]


@pytest.mark.ci
@pytest.mark.network
def test_fifty_clients_while_two_trainings_run_and_one_is_cancelled(served):
    service, process = served
    rows = "conn_in\n" + "".join(f"{100 + n % 7}\n" for n in range(200))
    questions = [
        Question.of(service, params=HOURS, headers=CSV),
        Question.of(service, params=HOURS | {"columns": "ssh_in"}, headers=CSV),
        Question.of(service, files={"data": ("a.csv", rows)}, headers=CSV),
        Question.of(service, params={"model_name": "none"}),
        Question.of(service, files={"data": ("a.csv", "conn_in\nx\n")}),
    ]
    assert [question.status for question in questions] == [200, 200, 200, 422, 422]
    kept = service.train(model_name="kept", **SMALL).json()["uuid"]
    endless = service.train(model_name="endless", **ENDLESS).json()["uuid"]

    def cancel() -> None:
        time.sleep(2)
        gone = requests.delete(f"{service.model}/train/{endless}", timeout=60)
        assert gone.json()["status"] == "cancelled"

    with ThreadPoolExecutor(1) as pool:
        cancelled = pool.submit(cancel)
        met = crowd(service, questions, clients=50, seconds=6)
        cancelled.result()
    assert met.wrong == []
    assert set(met.statuses) <= {200, 422, 429}
    assert len(met.seconds) >= 20
    status = service.finished(kept)
    assert status["status"] == "done", status
    assert "kept" in names(service)
    assert "endless" not in names(service)
    wait_until(lambda: len(workers_of(process)) == 2)
    assert list(service.uploads.iterdir()) == []
    # It is answered as before, and by the new model.
    assert all(question.fits(service.predict(**question.request)) for question in questions)
    assert service.predict(params=HOURS | {"model_name": "kept"}).status_code == 200


@pytest.mark.ci
@pytest.mark.network
def test_a_model_that_is_replaced_truncated_and_deleted_under_the_service(served):
    service, _ = served
    mine, spare = service.models / "mine.zip", service.models / "spare.zip"
    shutil.copy(SHIPPED, mine)
    trained = service.train(model_name="spare", **SMALL).json()["uuid"]
    assert service.finished(trained)["status"] == "done"
    asked = {"params": HOURS | {"model_name": "mine"}, "headers": CSV}
    other = {"params": HOURS | {"model_name": "spare"}, "headers": CSV}
    before, after = (Question.of(service, **each) for each in (asked, other))
    assert before.answer != after.answer
    contents = SHIPPED.read_bytes(), spare.read_bytes()
    stop = threading.Event()

    def replace() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            partial = mine.with_name(".partial")
            partial.write_bytes(contents[turn % 2])
            # The same time and, were they as large, the same size: the content is what counts.
            os.utime(partial, (1_700_000_000, 1_700_000_000))
            partial.replace(mine)
            time.sleep(0.1)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(20):
            answer = service.predict(**asked)
            assert before.fits(answer) or after.fits(answer), answer.text[:300]
    finally:
        stop.set()
        thread.join()
    mine.write_bytes(contents[1])
    assert [after.fits(service.predict(**asked)) for _ in range(4)] == [True] * 4
    for damage in (contents[0][: len(contents[0]) // 2], b"", b"PK\3\4"):
        mine.write_bytes(damage)
        for _ in range(4):
            answer = service.predict(**asked)
            assert answer.status_code == 422
            assert "mine" in answer.json()["message"]
    mine.unlink()
    for _ in range(4):
        assert "no model 'mine'" in service.predict(**asked).json()["message"]
    mine.write_bytes(contents[0])
    assert [before.fits(service.predict(**asked)) for _ in range(4)] == [True] * 4


def can_mount() -> bool:
    """Return whether a disk of its own can be made for a process."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    words = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.ci
@pytest.mark.network
@pytest.mark.skipif(not can_mount(), reason="this process may not mount a small disk")
def test_a_disk_that_is_full_while_a_model_is_saved_loses_no_model(tmp_path):
    write_pool(tmp_path / "data" / "features" / "datapools", days=4)
    (tmp_path / "models").mkdir()
    disk = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(tmp_path / "models")]
    # A disk that this service alone sees, and that goes with it.
    before = ["unshare", "-m", "sh", "-c", f'{" ".join(disk)} && exec "$@"', "sh"]
    with serving(tmp_path, before=before) as (service, process):
        models = Path(f"/proc/{process.pid}/root{tmp_path}/models")
        first = service.finished(service.train(model_name="mine", **SMALL).json()["uuid"])
        assert first["status"] == "done", first["message"]
        content = (models / "mine.zip").read_bytes()
        asked = {"params": {"model_name": "mine"}, "headers": CSV}
        question = Question.of(service, **asked)
        assert question.status == 200
        # As much as fits, and then no more fits.
        with suppress(OSError), (models / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        second = service.finished(service.train(model_name="mine", **SMALL).json()["uuid"])
        assert second["status"] == "error", second
        assert "No space left on device" in second["message"]
        assert sorted(path.name for path in models.iterdir()) == ["filler", "mine.zip"]
        assert (models / "mine.zip").read_bytes() == content
        assert question.fits(service.predict(**asked))
        about = requests.get(f"{service.model}/", timeout=30).json()
        assert about["trainings"][0]["state"] == "error"


class SetBack(datetime):
    """A clock that goes back an hour each time it is asked."""

    asked = 0

    @classmethod
    def now(cls, tz=None):
        cls.asked += 1
        return datetime(2024, 3, 1, tzinfo=UTC) - timedelta(hours=cls.asked)


def test_a_clock_that_is_set_back_confuses_no_record(tmp_path, monkeypatch):
    monkeypatch.setenv("APP_INPUT_OUTPUT_BASE_DIR", str(tmp_path))
    config.folders.cache_clear()
    try:
        with recorded("before", {}):
            pass
        monkeypatch.setattr(trainings, "datetime", SetBack)
        monkeypatch.setattr("time.time", lambda: -1e9)
        monkeypatch.setattr(trainings, "KEPT", 1)
        with recorded("during", {}):
            tell_epoch(Epoch("training LSTM", 1, 4, 0.5, 0.6))
            (record,) = list_trainings()
            assert (record["model"], record["state"]) == ("during", "running")
            assert 0 <= record["seconds"] < 60
            assert 0 <= record["seconds_left"] < 180
        (record,) = list_trainings()
        assert (record["model"], record["state"]) == ("during", "done")
        shutil.copytree(ROOT / "models", tmp_path / "models")
        ages = [line for line in Metrics().text().decode().splitlines() if "model_age_sec" in line]
        assert ages[-1].endswith(" 0.0")
    finally:
        config.folders.cache_clear()


def test_limits_hold_while_the_clock_is_set_back(monkeypatch):
    from mods.tests import test_serve_limits

    moments = iter(range(10**9, 0, -3600))
    monkeypatch.setattr("time.time", lambda: float(next(moments)))
    test_serve_limits.test_an_answer_that_takes_too_long_is_told()
    test_serve_limits.test_a_request_that_does_not_arrive_is_told()
    test_serve_limits.test_a_cancelled_task_is_killed_and_its_worker_replaced()
