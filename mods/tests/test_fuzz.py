"""Requests at random: no failure of ours, no hang, and a right answer afterwards."""

from __future__ import annotations

import socket

import pytest
import requests

from mods.tests.fuzz import fuzz
from mods.tests.running_service import serving

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("fuzzed")) as (service, _):
        yield service


def sound(service) -> bool:
    """Return whether it answers as ever, logged no failure and kept no upload."""
    assert service.predict().json()["data"] == "sample"
    assert list(service.uploads.iterdir()) == []
    return all(line["level"] == "info" for line in service.logged)


def test_some_hundred_requests(service):
    found = fuzz(service.url, cases=30)
    assert sum(found.values()) >= 100
    assert {200, 422} <= set(found)
    assert sound(service)


@pytest.mark.ci
@pytest.mark.timeout(1800)
def test_two_thousand_requests(service):
    found = fuzz(service.url, cases=520, number=1)
    assert sum(found.values()) >= 2000
    assert sound(service)


ODD = {
    "broken utf-8 as JSON": ("application/json", b'{"horizon": "\xff"}'),
    "no JSON": ("application/json", b"{"),
    "JSON of another kind": ("application/json", b"[1, 2]"),
    "a number": ("application/json", b"1"),
    "deep JSON": ("application/json", b"[" * 100_000),
    "huge number": ("application/json", b'{"horizon": ' + b"9" * 10_000 + b"}"),
    "an unknown charset": ("application/json; charset=nope", b"{}"),
    "a form of an unknown charset": ("application/x-www-form-urlencoded; charset=nope", b"a=1"),
    "a form of broken utf-8": ("application/x-www-form-urlencoded", b"horizon=%ff&a=\xff"),
    "no boundary": ("multipart/form-data", b"--a\r\n"),
    "another boundary": ("multipart/form-data; boundary=b", b"--a\r\n\r\nx\r\n--a--\r\n"),
    "no end": (
        "multipart/form-data; boundary=a",
        b'--a\r\nContent-Disposition: form-data; name="data"; filename="x"\r\n\r\n1',
    ),
    "no name": ("multipart/form-data; boundary=a", b"--a\r\n\r\nx\r\n--a--\r\n"),
    "nested": (
        "multipart/form-data; boundary=a",
        b"--a\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n--c--\r\n--a--\r\n",
    ),
    "unknown encoding of a part": (
        "multipart/form-data; boundary=a",
        b'--a\r\nContent-Disposition: form-data; name="data"; filename="x"\r\n'
        b"Content-Transfer-Encoding: nope\r\n\r\n1\r\n--a--\r\n",
    ),
    "no such type": ("nonsense", b"x"),
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_body_is_no_failure_of_ours(service, what):
    kind, body = ODD[what]
    for action in ("predict", "train"):
        answer = requests.post(
            f"{service.model}/{action}/", data=body, headers={"content-type": kind}, timeout=60
        )
        assert answer.status_code in (200, 400, 413, 415, 422), answer.text[:500]
        if answer.status_code >= 400:
            assert {"error", "message", "request_id"} <= set(answer.json())


def test_odd_targets_are_no_failure_of_ours(service):
    host, _, port = service.url.removeprefix("http://").partition(":")
    for target in ("/%ff", "/v2/models/mods/train/%00", "//v2//", "/v2/../etc", "/?\x7f", "*"):
        with socket.create_connection((host, int(port)), 20) as connection:
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            status = int(connection.recv(4096).split()[1])
        assert status < 500, target
