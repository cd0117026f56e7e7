"""Real Chromium, driven through its own protocol: clicks, files, pictures of the page."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from mods.tests.chromium import CHROMIUM

__all__ = ["Page", "open_page"]

FLAGS = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-dev-shm-usage --disable-background-networking --disable-component-update
    --disable-sync --remote-debugging-port=0 --hide-scrollbars
"""
#: Seconds for anything that a page is waited for.
PATIENCE = 60.0


class Page:
    """A page in Chromium.

    Parameters
    ----------
    socket
        The connection to it.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._sent = socket, 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol; return its result."""
        self._sent += 1
        await self._socket.send_json({"id": self._sent, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=PATIENCE)
            if message.get("id") == self._sent:
                assert "error" not in message, message
                return dict(message["result"])

    async def value(self, script: str) -> Any:
        """Return the value of an expression on the page."""
        found = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression is true; return its value."""
        deadline = time.monotonic() + PATIENCE
        while not (found := await self.value(script)):
            assert time.monotonic() < deadline, script
            await asyncio.sleep(0.1)
        return found

    async def click(self, selector: str) -> None:
        """Click on the first element that fits, once it is there."""
        await self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        await self.value(f"document.querySelector({json.dumps(selector)}).click()")

    async def choose(self, selector: str, value: str) -> None:
        """Choose an entry of a list."""
        await self.value(
            f"(() => {{const list = document.querySelector({json.dumps(selector)});"
            f"Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, 'value')"
            f".set.call(list, {json.dumps(value)});"
            "list.dispatchEvent(new Event('change', {bubbles: true}))})()"
        )

    async def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file, as in the dialogue that a click opens."""
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        found = await self.call("DOM.querySelector", nodeId=root, selector=selector)
        await self.call("DOM.setFileInputFiles", files=[str(path)], nodeId=found["nodeId"])

    async def picture(self, path: Path, selector: str = "") -> None:
        """Save what is seen, or only an element of it, as a PNG."""
        clip: dict[str, Any] = {}
        if selector:
            box = await self.value(
                f"(() => {{const b = document.querySelector({json.dumps(selector)})"
                ".getBoundingClientRect();"
                "return {x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height}})()"
            )
            clip = {"clip": box | {"scale": 1}, "captureBeyondViewport": True}
        found = await self.call("Page.captureScreenshot", format="png", **clip)
        path.write_bytes(base64.b64decode(found["data"]))


@asynccontextmanager
async def open_page(url: str, profile: Path) -> AsyncIterator[Page]:
    """Open a page in a Chromium of its own, whose profile is a new folder."""
    profile.mkdir(parents=True)
    process = subprocess.Popen(
        [str(CHROMIUM), *FLAGS.split(), "--window-size=1280,1000", f"--user-data-dir={profile}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        told = profile / "DevToolsActivePort"
        deadline = time.monotonic() + PATIENCE
        while not (told.exists() and len(told.read_text().split()) == 2):
            assert time.monotonic() < deadline and process.poll() is None
            await asyncio.sleep(0.1)
        address = f"http://127.0.0.1:{told.read_text().split()[0]}"
        async with aiohttp.ClientSession() as session:
            async with session.put(f"{address}/json/new?{url}") as answer:
                place = (await answer.json())["webSocketDebuggerUrl"]
            async with session.ws_connect(place, max_msg_size=1 << 26) as socket:
                yield Page(socket)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
        process.wait(timeout=10)
        shutil.rmtree(profile, ignore_errors=True)
