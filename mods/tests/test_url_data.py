"""Data from a URL: allowed hosts only, no private addresses, no redirects, limits."""

from __future__ import annotations

import ipaddress
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mods import config
from mods.errors import ConfigError, DataError
from mods.models import api, url_data
from mods.models.api_errors import ServiceError
from mods.models.url_data import AllowedHosts, check_url, url_file
from mods.tests.running_service import SAMPLE, environment


class Recorder(ThreadingHTTPServer):
    """A server that remembers what it was asked for."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.asked: list[tuple[str, str | None]] = []


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        assert isinstance(self.server, Recorder)
        self.server.asked.append((self.path, self.headers["Host"]))
        if self.path.startswith("/redirect"):
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest")
            self.end_headers()
            return
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        if self.path.startswith("/endless"):
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                return
        self.wfile.write(SAMPLE.read_bytes() if "sample" in self.path else b"abc")

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    with Recorder(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def allowed(server, monkeypatch, tmp_path):
    host = f"127.0.0.1:{server.server_port}"
    monkeypatch.setenv("MODS_URL_HOSTS", f"{host},localhost:{server.server_port}")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server.asked.clear()
    return f"http://{host}"


def test_it_is_off_by_default(monkeypatch):
    monkeypatch.delenv("MODS_URL_HOSTS", raising=False)
    with pytest.raises(DataError, match="fetches no data from URLs"):
        check_url("https://feeds.example.org/a.tsv")


def test_an_allowed_file_is_fetched_and_removed(allowed, server, tmp_path):
    with url_file(f"{allowed}/a/sample.tsv?day=1") as path:
        assert path.name == "sample.tsv"
        assert path.read_bytes() == SAMPLE.read_bytes()
    assert server.asked == [("/a/sample.tsv?day=1", allowed.removeprefix("http://"))]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/redirect", "it answered 302"), ("/missing", "404"), ("/endless", "more than 1 MiB")],
)
def test_what_cannot_be_fetched_is_told(allowed, server, monkeypatch, tmp_path, path, expected):
    monkeypatch.setattr(url_data, "MAX_BYTES", 1 << 20)
    with pytest.raises(DataError, match=expected), url_file(allowed + path):
        pass
    assert [asked for asked, _ in server.asked] == [path]
    assert list(tmp_path.iterdir()) == []


def test_a_slow_server_is_left(allowed, monkeypatch):
    monkeypatch.setattr(url_data, "SECONDS", 0.0)
    with pytest.raises(DataError, match="more than 0 seconds"), url_file(f"{allowed}/a"):
        pass


def test_a_name_with_a_private_address_is_refused(server, monkeypatch):
    monkeypatch.setenv("MODS_URL_HOSTS", f"localhost:{server.server_port}")
    server.asked.clear()
    url = f"http://localhost:{server.server_port}/a"
    with pytest.raises(DataError, match="no public address"), url_file(url):
        pass
    assert server.asked == []


def test_the_address_that_was_looked_at_is_the_one_that_is_asked(allowed, server, monkeypatch):
    """A name that means another address a moment later changes nothing."""
    real, asked = socket.getaddrinfo, []

    def resolve(host, *rest, **options):
        asked.append(host)
        return real("127.0.0.1" if asked.count("localhost") < 2 else "8.8.8.8", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with url_file(f"http://localhost:{server.server_port}/sample") as path:
        assert path.stat().st_size > 3
    assert asked.count("localhost") == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://feeds.example.org/a",
        "file:///etc/passwd",
        "feeds.example.org/a",
        "https://user:word@feeds.example.org/a",
        "https://feeds.example.org:x/a",
        "https://feeds.example.org/a b",
        "https://feeds.example.org/a\r\nX: y",
        "https://[::1/a",
        "https:///a",
        "https://evil.org/feeds.example.org",
        "https://feeds.example.org:8080/a",
        "https://feeds.example.org.evil.org/a",
        "https://feeds.example.org@evil.org/a",
        "https://127.0.0.1/a",
        "https://2130706433/a",
    ],
)
def test_any_other_url_is_refused(monkeypatch, url):
    monkeypatch.setenv("MODS_URL_HOSTS", "feeds.example.org")
    with pytest.raises(DataError):
        check_url(url)


def test_an_allowed_host_passes(monkeypatch):
    monkeypatch.setenv("MODS_URL_HOSTS", "feeds.example.org, sensor.lan:8080")
    assert check_url("https://Feeds.example.org/a")[1] == 443
    assert check_url("http://sensor.lan:8080/a")[1] == 8080


@pytest.mark.parametrize("text", ["a b", "10.0.0.0/99", "host:port", "-x"])
def test_a_bad_list_is_told(text):
    with pytest.raises(ConfigError, match="MODS_URL_HOSTS"):
        AllowedHosts.parse(text)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
    ],
)
def test_only_public_addresses_are_open(address, public):
    allowed = AllowedHosts.parse("feeds.example.org")
    assert allowed.allows(ipaddress.ip_address(address)) is public


@given(st.ip_addresses(network="10.0.0.0/8"))
def test_a_private_network_may_be_allowed(address):
    assert AllowedHosts.parse("sensor.lan,10.0.0.0/8").allows(address)
    assert not AllowedHosts.parse("sensor.lan,192.168.0.0/16").allows(address)


@pytest.mark.network
def test_the_service_forecasts_what_a_url_holds(allowed, monkeypatch, tmp_path):
    for name, value in environment(tmp_path / "service").items():
        monkeypatch.setenv(name, value)
    config.folders.cache_clear()
    answer = api.predict(url=f"{allowed}/sample.tsv")
    assert isinstance(answer, dict)
    assert answer["data"] == "upload"
    sample = api.predict()
    assert isinstance(sample, dict)
    assert answer["predictions"] == sample["predictions"]
    with pytest.raises(ServiceError) as caught:
        api.predict(url="http://169.254.169.254/latest")
    assert caught.value.status == 422
    config.folders.cache_clear()
