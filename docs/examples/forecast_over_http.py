"""Forecast through the DEEPaaS service over HTTP, with nothing but the standard library.

Against a service that runs already:

    python docs/examples/forecast_over_http.py --url http://127.0.0.1:5000 --out forecast.png

With `--serve` the real `deepaas-run` is started on a free port first, and stopped at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

PREDICT = "/v2/models/mods/predict/"


@contextlib.contextmanager
def serve(seconds: float = 120) -> Iterator[str]:
    """Run `deepaas-run` on a free loopback port; yield its address once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("deepaas-run")), "--listen-port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with Path("deepaas.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + seconds
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("deepaas-run did not start; deepaas.log says why")
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/v2/models/", timeout=5).close()
                break
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def predict(url: str, accept: str, **arguments: str) -> bytes:
    """POST one request to `predict` and return the body of its answer."""
    query = urllib.parse.urlencode({k: v for k, v in arguments.items() if v})
    request = urllib.request.Request(
        f"{url}{PREDICT}?{query}", method="POST", headers={"accept": accept}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise SystemExit(f"the service answered {error.code}: {error.read().decode()}") from None


def main() -> None:
    """Forecast as asked, save the picture and say what the service answered."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:5000", help="a running service")
    parser.add_argument("--serve", action="store_true", help="start the service first")
    parser.add_argument("--model", default="default", help="the model's name")
    parser.add_argument("--range", default="", help="the time range, '<start,end)'")
    parser.add_argument("--out", type=Path, default=Path("forecast.png"), help="the picture")
    options = parser.parse_args()
    with serve() if options.serve else contextlib.nullcontext(options.url) as url:
        arguments = {"model_name": options.model, "time_range": options.range}
        document = json.loads(predict(url, "application/json", **arguments))
        picture = predict(url, "image/png", **arguments)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(picture)
    print(f"{url}{PREDICT} answered with {', '.join(document)}")
    print(f"{options.out}: {len(picture):,} bytes")


if __name__ == "__main__":
    main()
