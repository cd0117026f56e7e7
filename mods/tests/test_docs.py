"""What the documentation says can be done: its commands are run as they stand there.

A block of shell commands is fenced as `bash` and run, all blocks of a page in order in
one shell, in a folder of its own with small simulated logs (`$LOGS`) and the sample.
One that cannot be run has a comment above it, `<!-- not run: the reason -->`.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mods import cli
from mods.dataset import protocols
from mods.dataset.protocols import Feature

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("**/*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))])
FENCED = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SHELL = {"bash", "sh", "shell", "console"}
#: Letters that a block of code on a page shows without being moved.
WIDTH = 88
#: Commands of the README: `make` runs in CI itself, `curl` in test_service_datapool.py.
RUN_ELSEWHERE = re.compile(r"^(make |curl |uuid=\$\(curl )")

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="runs from a checkout")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[str]:
    """Return the shell commands of a page that are run."""
    return [
        match["code"]
        for match in FENCED.finditer(page.read_text())
        if match["language"] in SHELL
        and not match["reason"]
        and not RUN_ELSEWHERE.match(match["code"])
    ]


RUNNABLE = [page for page in PAGES if blocks(page)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_fenced_and_those_not_run_have_a_reason(page):
    """No command hides in an indented block, which this test would not see."""
    text = page.read_text()
    plain = FENCED.sub("", text)
    assert not re.search(r"^(    |\t)(mods|pip|make|docker|curl) ", plain, re.MULTILINE)
    assert text.count("<!-- not run") == sum(bool(m["reason"]) for m in FENCED.finditer(text))


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs") / "zeek"
    words = ["simulate", "--days", "4", "--rate", "20000", "--no-incidents", "--rotate", "day"]
    assert cli.main([*words, "--out", str(folder)]) == 0
    return folder


def write_what_the_original_left(work, logs):
    """A bundle in its layout, and a datapool."""
    from mods.tests.original_maker import original

    (work / "model_2019.zip").write_bytes(original())
    pool = work / "data" / "features" / "datapools"
    assert cli.main(["features", str(logs), "--out", str(pool)]) == 0


@pytest.mark.ci
@pytest.mark.network
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_the_commands_of_a_page_do_what_it_says(page, logs, tmp_path):
    """Nothing but the port is changed."""
    binaries, work = tmp_path / "bin", tmp_path / "work"
    binaries.mkdir()
    (work / "data").mkdir(parents=True)
    (work / "data" / "test").symlink_to(ROOT / "data" / "test")
    if page.name == "original.md":
        write_what_the_original_left(work, logs)
    program = binaries / "mods"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mods.cli "$@"\n')
    program.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = "\n".join(blocks(page)).replace("5000", str(port))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MODS_", "APP_"))}
    with (tmp_path / "said").open("w+") as said:
        process = subprocess.Popen(
            [
                "bash",
                "-euo",
                "pipefail",
                "-c",
                f"trap 'echo \"failed: $BASH_COMMAND\"' ERR\n{script}",
            ],
            cwd=work,
            env=kept
            | {
                "PATH": f"{binaries}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "PYTHONWARNINGS": "ignore",
                "APP_INPUT_OUTPUT_BASE_DIR": str(work),
                "LOGS": str(logs),
            },
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout=500)
        finally:
            # A service that the page has started does not outlive it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        said.seek(0)
        assert status == 0, said.read()[-3000:]
    for name in re.findall(r"(?:--out|-o) ([\w./-]+\.\w+)", script):
        assert list(work.glob(f"**/{name}")), f"{name} was not written"


@pytest.mark.ci
@pytest.mark.network
@pytest.mark.parametrize(
    "page", [ROOT / "README.md", DOCS / "reference" / "python.md"], ids=name_of
)
def test_the_python_of_a_page_runs(page):
    code = [m["code"] for m in FENCED.finditer(page.read_text()) if m["language"] == "python"]
    assert code
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join(code)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def test_one_line_makes_a_feature_as_the_page_says(logs, tmp_path, monkeypatch, capsys):
    page = (DOCS / "howto" / "feature.md").read_text()
    name, of, field, empty = re.findall(
        r'Feature\("(\w+)", "(\w+)", "(\w+)", empty="(\w+)"\)', page
    )[0]
    kind = re.findall(rf'"{field}": "(\w+)"', page)[0]
    conn = protocols.PROTOCOLS["conn"]
    more = replace(conn, features=(*conn.features, Feature(name, of, field, empty)))
    monkeypatch.setitem(protocols.FIELDS, field, kind)
    monkeypatch.setitem(protocols.PROTOCOLS, "conn", more)
    pool = tmp_path / "pool"
    assert cli.main(["features", str(logs), "--out", str(pool), "--protocol", "conn"]) == 0
    days = [pd.read_csv(day, sep="\t") for day in pool.glob("conn/**/*.tsv")]
    assert len(days) == 4
    # Each connection has a packet at least.
    known = pd.concat(days)[[f"in_{name}", "in_count_uid"]].apply(pd.to_numeric).dropna()
    assert (known[f"in_{name}"] >= known["in_count_uid"]).all()
    assert known["in_count_uid"].sum() > 0
    assert capsys.readouterr().out


@pytest.mark.network
def test_a_network_is_one_function_as_the_page_says(monkeypatch):
    from mods.models import architectures, hyperparameters

    page = (DOCS / "howto" / "model.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    name = re.findall(r'_architecture\("(\w+)"\)', code)[0]
    registry = dict(architectures.ARCHITECTURES)
    monkeypatch.setattr(architectures, "ARCHITECTURES", registry)
    types = (*hyperparameters.MODEL_TYPES, name)
    monkeypatch.setattr(hyperparameters, "MODEL_TYPES", types)
    exec(code, vars(architectures) | {"__name__": "page"})
    settings = hyperparameters.Hyperparameters(model_type=name)
    network = architectures.build_network(settings, channels=4, context=20, columns=1, told=12)
    assert network.output_shape[1] == settings.horizon


def test_the_rules_of_the_page_are_read(tmp_path):
    from mods.anomaly.suppression import read_rules

    page = (DOCS / "alarms.md").read_text()
    file = tmp_path / "rules.toml"
    file.write_text(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0])
    rules = read_rules(file)
    assert len(rules.maintenance) == len(rules.jobs) == 1


@pytest.mark.parametrize("page", sorted(DOCS.glob("**/*.md")), ids=name_of)
def test_commands_are_no_wider_than_the_page(page):
    """Those that are would be cut at the right."""
    lines = [
        line
        for match in FENCED.finditer(page.read_text())
        if match["language"] in SHELL
        for line in match["code"].splitlines()
    ]
    assert [line for line in lines if len(line) > WIDTH] == []


def test_the_table_of_dependencies_has_each_of_them():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    wanted = parser["options"]["install_requires"].splitlines()
    for lines in parser["options.extras_require"].values():
        wanted += lines.splitlines()
    names = {re.split(r"[\s\[<>=;]", line)[0] for line in wanted if line and line[0] != "#"}
    page = (DOCS / "dependencies.md").read_text()
    assert {name for name in names if not re.search(rf"\b{re.escape(name)}\b", page)} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_to_files_lead_somewhere(page):
    """Sphinx checks those between pages; the README is read where the files are."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target
