"""Real Chromium, headless, for tests."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-dev-shm-usage
    --disable-background-networking --disable-component-update --disable-sync
    --virtual-time-budget=20000
"""

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


def page_after_scripts(url: str, profile: Path) -> str:
    """Return the page's HTML once its scripts have run; the profile is a new folder."""
    finished = subprocess.run(
        [str(CHROMIUM), *FLAGS.split(), f"--user-data-dir={profile}", "--dump-dom", url],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished.stdout


def text_of(page: str) -> str:
    """Return what a page says, without its scripts and styles, runs of blanks as one."""
    visible = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", visible)).split())
