"""Limits on time and size, and the workers, without a network: a task takes what the test says."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from mods.cli import main
from mods.models.api_errors import ServiceError
from mods.serve.metrics import Metrics
from mods.serve.middleware import MODEL, accounted, limited
from mods.serve.options import ServeOptions
from mods.serve.workers import PredictionPool


def warm() -> bool:
    return True


def not_portable():
    raise type("Strange", (Exception,), {})("secret")


def refused():
    raise ServiceError(422, "not like this", "DataError")


def test_a_pool_answers_and_hands_on_errors():
    async def told():
        pool = PredictionPool(1, warm)
        try:
            found = await pool.apply(os.getpid)
            assert pool.ready
            with pytest.raises(ServiceError, match="not like this"):
                await pool.apply(refused)
            with pytest.raises(ServiceError) as caught:
                await pool.apply(not_portable)
            assert (await pool.apply(os.getpid))["output"] == found["output"] != os.getpid()
            return caught.value
        finally:
            pool.shutdown()

    error = asyncio.run(told())
    assert error.status == 500
    assert error.message == "a failure of ours: Strange"


def test_a_cancelled_task_is_killed_and_its_worker_replaced():
    deaths = []

    async def told():
        pool = PredictionPool(1, warm, lambda: deaths.append(1))
        try:
            first = (await pool.apply(os.getpid))["output"]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await pool.apply(functools.partial(time.sleep, 1000))
            assert not pool.ready
            second = (await pool.apply(os.getpid))["output"]
            assert not Path(f"/proc/{first}").exists() or first != second
            return pool.ready
        finally:
            pool.shutdown()

    assert asyncio.run(told())
    assert deaths == [1]


def service(handler, **options):
    """Return a client of an application that has our limits before a handler."""
    metrics = Metrics()
    ours: Any = [accounted(metrics), limited(ServeOptions(**options), metrics)]
    app = web.Application(
        middlewares=ours,
        client_max_size=options.get("max_size", 1 << 20),
    )
    app[MODEL] = cast(Any, SimpleNamespace(trainings=SimpleNamespace(unfinished=0)))
    app.router.add_post("/predict/", handler)
    return TestClient(TestServer(app))


async def slow(request):
    from mods.serve.state import current

    state = current.get()
    assert state is not None
    state.begun = True
    await asyncio.sleep(1000)


async def reading(request):
    return web.json_response({"size": len(await request.read())})


async def endless():
    yield b"some"
    await asyncio.sleep(1000)


async def long():
    for _ in range(40):
        yield b"x" * 100


def test_an_answer_that_takes_too_long_is_told():
    async def told():
        async with service(slow, timeout=0.2) as client:
            answer = await client.post("/predict/")
            return answer.status, answer.headers["Retry-After"], await answer.json()

    status, after, found = asyncio.run(told())
    assert (status, after, found["error"]) == (503, "1", "Timeout")


def test_a_request_that_does_not_arrive_is_told():
    async def told():
        async with service(reading, timeout=0.2) as client:
            answer = await client.post("/predict/", data=endless())
            return answer.status, await answer.json()

    status, found = asyncio.run(told())
    assert status == 408
    assert "did not arrive within 0.2 seconds" in found["message"]


def test_a_body_of_unknown_size_is_bounded():
    async def told():
        async with service(reading, max_size=1000) as client:
            answer = await client.post("/predict/", data=long())
            small = await client.post("/predict/", data=b"x" * 1000)
            return answer.status, await small.json()

    assert asyncio.run(told()) == (413, {"size": 1000})


def test_a_failure_of_ours_is_json_and_tells_nothing():
    async def failing(request):
        raise RuntimeError("secret")

    async def told():
        async with service(failing) as client:
            answer = await client.post("/predict/")
            return answer.status, await answer.text()

    status, text = asyncio.run(told())
    assert status == 500
    assert '"InternalError"' in text
    assert "secret" not in text


BAD_OPTIONS = [
    (["--port", "70000"], "expected a number from 0 to 65535"),
    (["--workers", "0"], "expected a number from 1"),
    (["--api-key-file", "nowhere"], "cannot read the keys in 'nowhere': No such file"),
    (["--api-key-file", "short"], "at least 16 characters"),
    (["--tls-cert", "short"], "both of them, or neither"),
    (["--tls-cert", "short", "--tls-key", "short"], "in PEM files"),
]


def test_tensorboard_leaves_a_port_that_is_taken_to_who_has_it(monkeypatch, capsys):
    pytest.importorskip("tensorboard")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setenv("monitorPORT", str(other.getsockname()[1]))
        assert main(["serve", "--port", "0", "--tensorboard"]) == 2
        assert "Address already in use; expected a port that nobody" in capsys.readouterr().err
        other.settimeout(1)
        socket.create_connection(other.getsockname(), 1).close()
        other.accept()[0].close()
    monkeypatch.setenv("monitorPORT", "http")
    assert main(["serve", "--port", "0", "--tensorboard"]) == 2
    assert "monitorPORT is 'http'; expected a port" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "expected"), BAD_OPTIONS)
def test_a_bad_option_is_one_line(options, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("short").write_text("abc\n")
    try:
        status: Any = main(["serve", *options])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    text = capsys.readouterr().err
    assert expected in text
    assert text.count("\n") == 1
