"""What a user of the shell meets before any stage has begun."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mods import cli
from mods.commands import Report
from mods.errors import DataError, ModsWarning


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mods.cli", *words], capture_output=True, text=True, check=False
    )


def test_help_names_every_command(capsys):
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    for name, line in cli.COMMANDS.items():
        assert name in shown
        assert line.split(",")[0][:30] in shown


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_has_help_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert "example:" in shown
    assert f"mods {name}" in shown.split("example:")[1]
    assert "--json" in shown


def test_version_is_the_package_s(capsys):
    import mods

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == mods.__version__


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["frobnicate"], "mods: argument COMMAND: invalid choice: 'frobnicate'"),
        (["models", "--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_a_wrong_word_is_one_line_and_status_2(words, line):
    finished = _run(*words)
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert finished.stderr.count("\n") == 1
    assert line in finished.stderr


class _Command:
    """A command that does as it is told, in place of a stage."""

    HELP = "A command for a test."
    EXAMPLE = "mods models"

    def __init__(self, outcome):
        self.outcome = outcome

    def add_arguments(self, parser):
        pass

    def run(self, arguments):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.fixture
def command(monkeypatch):
    def install(outcome):
        monkeypatch.setattr("mods.cli.importlib.import_module", lambda name: _Command(outcome))

    return install


def test_the_report_is_text_or_one_json_document(command, capsys):
    command(Report("three models", {"models": 3}))
    assert cli.main(["models"]) == 0
    assert capsys.readouterr().out == "three models\n"
    assert cli.main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"models": 3}


def test_bad_input_is_one_line_and_status_2(command, capsys):
    command(DataError("no file 'a.tsv'", "a table", "Check the path."))
    assert cli.main(["models"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "mods models: no file 'a.tsv'; expected a table. Check the path.\n"


def test_a_failure_of_ours_is_told_as_such_without_a_traceback(command, capsys):
    command(ZeroDivisionError("division by zero"))
    assert cli.main(["models"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("mods models: a failure of ours: ZeroDivisionError: division by zero")
    assert "Traceback" not in shown
    with pytest.raises(ZeroDivisionError):
        cli.main(["--debug", "models"])


def test_ctrl_c_is_told_as_such(command, capsys):
    command(KeyboardInterrupt())
    assert cli.main(["models"]) == 130
    assert capsys.readouterr().err == "mods models: interrupted\n"


def test_a_warning_is_a_line_on_stderr(monkeypatch, capsys):
    import warnings

    class Warns(_Command):
        def run(self, arguments):
            warnings.warn("line 3 was mended", ModsWarning, stacklevel=1)
            return Report("done")

    monkeypatch.setattr("mods.cli.importlib.import_module", lambda name: Warns(None))
    assert cli.main(["models"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "mods: warning: line 3 was mended\n"
    assert shown.out == "done\n"
