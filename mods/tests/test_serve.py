"""`mods serve` as clients and operators meet it, over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from mods.models import schemas
from mods.serve import arguments
from mods.tests.running_service import SAMPLE, serving, workers_of, write_pool

pytestmark = pytest.mark.network

KEY = "an-old-key-of-the-test"
HEADERS = {"X-API-Key": KEY}
OPTIONS = ("--queue", "2", "--max-size", "2", "--timeout", "40")
#: A prediction that takes seconds: few windows at a time.
LONG: dict[str, Any] = {"batch_size": 4}
ENDLESS: dict[str, Any] = {
    "model_type": "Conv1D",
    "num_epochs": 5000,
    "epochs_patience": 5000,
    "blocks": 4,
    "sequence_len": 6,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The service and its process, with an API key and a datapool of six days."""
    folder = tmp_path_factory.mktemp("served")
    write_pool(folder / "data" / "features" / "datapools", days=6)
    keys = folder / "keys"
    keys.write_text(f"# the old one and the new one\n{KEY}\n\n{'b' * 32}\n")
    with serving(folder, *OPTIONS, "--api-key-file", str(keys)) as running:
        yield running


@pytest.fixture
def service(served):
    return served[0]


@pytest.fixture
def process(served):
    return served[1]


def predict(service, **request):
    headers = HEADERS | request.pop("headers", {})
    return service.predict(headers=headers, **request)


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def until_ready(service):
    wait_until(lambda: requests.get(f"{service.url}/health/ready", timeout=10).status_code == 200)


def unfinished(service) -> float:
    return metric(service, "mods_predictions_unfinished")


def metric(service, name) -> float:
    text = requests.get(f"{service.url}/metrics", headers=HEADERS, timeout=10).text
    values = [line.split()[-1] for line in text.splitlines() if line.startswith(name)]
    return sum(map(float, values))


def test_health_is_open_and_ready(service):
    assert requests.get(f"{service.url}/health/live", timeout=10).json() == {"status": "live"}
    assert requests.get(f"{service.url}/health/ready", timeout=10).json() == {"status": "ready"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-API-Key": "wrong"}, 401),
        ({"X-API-Key": "caf\xe9"}, 401),
        ({"Authorization": f"Basic {KEY}"}, 401),
        ({"Authorization": f"Bearer {KEY}"}, 200),
        ({"X-API-Key": "b" * 32}, 200),
    ],
)
def test_a_key_is_needed(service, headers, status):
    answer = requests.get(f"{service.model}/", headers=headers, timeout=10)
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "X-API-Key" in answer.json()["message"]
        assert (
            requests.get(f"{service.url}/metrics", headers=headers, timeout=10).status_code == 401
        )


def test_swagger_asks_for_the_key(service):
    page = requests.get(f"{service.url}/api", timeout=10)
    assert page.status_code == 200
    # It would colour a day as JSON for a minute.
    assert "syntaxHighlight: {activated: false}" in page.text
    document = requests.get(f"{service.url}/swagger.json", timeout=10).json()
    assert document["securityDefinitions"]["key"]["name"] == "X-API-Key"


def test_a_form_without_anything_in_it_is_no_form(service):
    """As Swagger UI sends it where no file was chosen."""
    answer = predict(service, headers={"Content-Type": "multipart/form-data"})
    assert answer.status_code == 200
    assert answer.json()["data"] == "datapool"


def test_it_forecasts_as_deepaas_does(service):
    found = predict(service).json()
    assert found["data"] == "datapool"
    assert len(found["predictions"]["origin"]) == 144 * 12 * 4
    with SAMPLE.open("rb") as file:
        answer = predict(service, files={"data": ("a.tsv", file)}, headers={"accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert list(service.uploads.iterdir()) == []


@pytest.mark.parametrize(
    "names",
    [
        [f"model_nam{n}" for n in range(50_000)],
        [f"{'model_nam' * 100}{n}" for n in range(1000)],
        ["model_name" * 100_000],
    ],
    ids=["many", "many and alike", "long"],
)
def test_of_countless_unknown_arguments_the_first_are_told(service, monkeypatch, names):
    """What each was meant to be is not looked for: nobody else would be answered meanwhile."""
    answer = predict(service, json=dict.fromkeys(names, 1))
    assert answer.status_code == 422
    told = answer.json()["fields"]
    assert 1 <= len(told) <= 20
    assert all(len(name) <= 80 for name in told)
    asked: list[str] = []
    monkeypatch.setattr(arguments, "did_you_mean", lambda name, _: asked.append(name))
    arguments._complaints(names, schemas.predict_arguments(), "json")
    assert len(asked) == len(told)


@pytest.mark.parametrize(
    ("method", "path", "request_", "status", "expected"),
    [
        ("GET", "/nowhere", {}, 404, "nothing at this address"),
        ("PUT", "/v2/models/mods/predict/", {}, 405, "other methods"),
        ("POST", "/v2/models/mods/predict/", {"params": {"horizon": "x"}}, 422, "horizon: Not a"),
        ("POST", "/v2/models/mods/predict/", {"params": {"model_name": "no"}}, 422, "no model"),
        ("POST", "/v2/models/mods/predict/", {"params": {"horizon": 13}}, 422, "at most the 12"),
        ("GET", "/v2/models/mods/train/none", {}, 404, "no training of this uuid"),
        ("DELETE", "/v2/models/mods/train/none", {}, 404, "no training of this uuid"),
        (
            "POST",
            "/v2/models/mods/predict/",
            {"params": {"columsn": "x"}},
            422,
            "columsn: there is no such argument. Did you mean 'columns'?",
        ),
        ("POST", "/v2/models/mods/train/", {"params": {"epochs": 1}}, 422, "'num_epochs'?"),
        ("POST", "/v2/models/mods/predict/", {"json": {"horizn": 1}}, 422, "mean 'horizon'?"),
        ("POST", "/v2/models/mods/predict/", {"data": {"horizn": 1}}, 422, "mean 'horizon'?"),
        (
            "POST",
            "/v2/models/mods/predict/",
            {"params": {"accept": "text/csv"}},
            422,
            "accept: it is read from a header, and nowhere else.",
        ),
        (
            "POST",
            "/v2/models/mods/predict/",
            {"params": {"keep_data": "true"}},
            422,
            "keep_data: it is read from the form, beside the file, and nowhere else.",
        ),
        (
            "POST",
            "/v2/models/mods/predict/",
            {"data": "x", "headers": {"content-type": "multipart/form-data"}},
            400,
            "cannot be read as multipart/form-data",
        ),
        ("POST", "/v2/models/mods/predict/", {"data": b"x" * (3 << 20)}, 413, "more than 2 MiB"),
    ],
)
def test_every_error_is_json_with_its_request(service, method, path, request_, status, expected):
    headers = HEADERS | {"X-Request-ID": "mine-1"} | request_.get("headers", {})
    answer = requests.request(
        method, service.url + path, **(request_ | {"headers": headers, "timeout": 30})
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["x-request-id"] == "mine-1"
    found = answer.json()
    assert found["request_id"] == "mine-1"
    assert expected in found["message"]


def test_a_request_identifier_is_made_where_none_fits(service):
    for given in ("", "a b", "x" * 65):
        headers = {"X-Request-ID": given}
        answer = requests.get(f"{service.url}/health/live", headers=headers, timeout=10)
        assert len(answer.headers["x-request-id"]) == 16


def test_metrics_tell_requests_forecasts_models_and_trainings(service):
    before = metric(service, "mods_forecasts_total")
    assert predict(service, params={"horizon": 1}).status_code == 200
    assert metric(service, "mods_forecasts_total") == before + 144 * 4
    route = 'method="POST",route="/v2/models/mods/predict/"'
    assert metric(service, f'mods_requests_total{{{route},status="200"}}') >= 1
    assert metric(service, f"mods_request_seconds_count{{{route}}}") >= 1
    assert metric(service, 'mods_model_age_seconds{model="model_default_cpu"}') > 0
    assert metric(service, "mods_ready") == 1


def test_more_than_may_wait_are_sent_away(service):
    def status(number):
        # Parts that were not asked for before: the worker keeps what it forecast last.
        part = f"<2024-03-04 {number:02}:00,2024-03-06 {number:02}:00)"
        answer = predict(service, params=LONG | {"time_range": part})
        return answer.status_code, int(answer.headers.get("retry-after", 0))

    with ThreadPoolExecutor(6) as pool:
        found = sorted(pool.map(status, range(6)))
    # One runs and two wait.
    assert [code for code, _ in found] == [200, 200, 200, 429, 429, 429]
    assert all(seconds >= 1 for code, seconds in found if code == 429)


def test_a_killed_worker_is_told_and_replaced(service, process):
    (worker,) = workers_of(process)
    with ThreadPoolExecutor(1) as pool:
        # A part that was not asked for before: the worker keeps what it forecast last.
        part = LONG | {"time_range": "<2024-03-04 07:00,2024-03-06 07:00)"}
        asked = pool.submit(predict, service, params=part)
        wait_until(lambda: unfinished(service) == 1)
        time.sleep(0.3)
        os.kill(worker, signal.SIGKILL)
        answer = asked.result()
    assert answer.status_code == 503
    assert "was killed" in answer.json()["message"]
    assert metric(service, "mods_worker_deaths_total") >= 1
    # The next one waits for the worker's successor.
    assert predict(service).status_code == 200
    until_ready(service)
    assert worker not in workers_of(process)


def test_a_worker_killed_while_idle_costs_nobody_an_answer(service, process):
    (worker,) = workers_of(process)
    os.kill(worker, signal.SIGKILL)
    assert predict(service).status_code == 200
    until_ready(service)


def test_a_training_blocks_no_forecast_and_can_be_cancelled(service, process):
    asked: dict[str, Any] = {
        "params": ENDLESS | {"model_name": "endless"},
        "headers": HEADERS,
        "timeout": 30,
    }
    started = [requests.post(f"{service.model}/train/", **asked) for _ in range(4)]
    # One runs and two wait.
    assert [answer.status_code for answer in started] == [200, 200, 200, 429]

    def latest() -> dict:
        about = requests.get(f"{service.model}/", headers=HEADERS, timeout=10).json()
        return dict((about["trainings"] or [{}])[0])

    wait_until(lambda: latest().get("epoch", {}).get("number", 0) >= 2, 120)
    begun = time.perf_counter()
    assert predict(service).status_code == 200
    assert time.perf_counter() - begun < 10
    assert metric(service, 'mods_trainings{state="running"}') == 1
    for answer in reversed(started[:3]):
        uuid = answer.json()["uuid"]
        gone = requests.delete(f"{service.model}/train/{uuid}", headers=HEADERS, timeout=30)
        assert gone.status_code == 200
        assert gone.json() == {"status": "cancelled", "uuid": uuid}
    wait_until(lambda: len(workers_of(process)) == 1)
    wait_until(lambda: latest()["state"] == "stopped")
    assert not (service.models / "endless.zip").exists()
    until_ready(service)


def test_a_training_that_is_killed_says_so(service, process):
    before = workers_of(process)
    started = requests.post(
        f"{service.model}/train/", params=ENDLESS, headers=HEADERS, timeout=30
    ).json()
    wait_until(lambda: len(workers_of(process)) > len(before))
    (worker,) = set(workers_of(process)) - set(before)
    os.kill(worker, signal.SIGKILL)

    def status() -> dict:
        url = f"{service.model}/train/{started['uuid']}"
        return dict(requests.get(url, headers=HEADERS, timeout=10).json())

    wait_until(lambda: status()["status"] != "running")
    assert status()["status"] == "error"
    assert "was killed" in status()["message"]
    assert not (service.models / "mine.zip").exists()
    about = requests.get(f"{service.model}/", headers=HEADERS, timeout=10).json()
    assert about["trainings"][0]["state"] == "stopped"


def test_logs_are_json_lines_without_what_was_uploaded(service):
    rows = "secretcolumn\n" + "secretvalue\n" * 50
    headers = {"X-Request-ID": "logged-1"}
    answer = predict(service, files={"data": ("secretname.csv", rows)}, headers=headers)
    assert answer.status_code == 422
    assert "secretvalue" in answer.json()["message"]
    (line,) = [line for line in service.logged if line.get("request_id") == "logged-1"]
    assert (line["route"], line["status"]) == ("/v2/models/mods/predict/", 422)
    assert line["seconds"] > 0
    text = service.log.read_text()
    assert "secret" not in text
    assert KEY not in text


def test_a_stop_lets_a_request_end_and_leaves_no_process(tmp_path):
    with serving(tmp_path) as (service, process):
        (worker,) = workers_of(process)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(service.predict, params=LONG)
            wait_until(lambda: unfinished(service) == 1)
            process.send_signal(signal.SIGTERM)
            assert asked.result().status_code == 200
        assert process.wait(timeout=30) == 0
        assert not Path(f"/proc/{worker}").exists()
        assert service.logged[-1]["message"] == "stopped"


def certified(folder: Path) -> tuple[Path, Path]:
    """Return a new certificate for the loopback address, and its key."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext"
    command = ["openssl", *made.split(), "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def test_with_tls_and_tensorboard_no_process_outlives_a_killed_service(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    certificate, key = certified(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("monitorPORT", str(port))
    options = ("--tensorboard", "--tls-cert", str(certificate), "--tls-key", str(key))
    with serving(tmp_path, *options, ready=False) as (service, process):
        assert service.url.startswith("https://")
        answer = requests.get(f"{service.url}/health/live", timeout=10, verify=str(certificate))
        assert answer.json() == {"status": "live"}
        wait_until(lambda: len(workers_of(process)) == 2)
        started = workers_of(process)

        def title() -> str:
            try:
                return requests.get(f"http://127.0.0.1:{port}/", timeout=10).text
            except requests.ConnectionError:
                return ""

        wait_until(lambda: "<title>TensorBoard</title>" in title())
        # What it prints is in nobody's way: each line of the log is JSON.
        assert any(line["message"] == "TensorBoard is starting" for line in service.logged)
        process.kill()
        process.wait(timeout=20)
        gone = [Path(f"/proc/{number}") for number in started]
        wait_until(lambda: not any(path.exists() for path in gone), 30)
