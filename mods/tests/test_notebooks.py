"""The notebooks: valid, stored without outputs, and each import of theirs leads somewhere.

`make notebooks` runs them from the first cell to the last.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.skipif(not NOTEBOOKS, reason="runs from a checkout")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
class TestNotebook:
    """What holds for each of them."""

    def test_is_valid_and_has_no_outputs(self, path):
        notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        assert notebook.metadata.kernelspec.name == "python3"
        for cell in notebook.cells:
            if cell.cell_type == "code":
                assert cell.outputs == []
                assert cell.execution_count is None

    def test_names_what_the_package_has(self, path):
        """A name that was moved is told without running the notebook."""
        notebook = nbformat.read(path, as_version=4)
        code = "\n".join(
            line
            for cell in notebook.cells
            if cell.cell_type == "code"
            for line in cell.source.splitlines()
            if not line.startswith("%")
        )
        imports = [
            node
            for node in ast.walk(ast.parse(code))
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mods.")
        ]
        assert imports
        for node in imports:
            module = importlib.import_module(str(node.module))
            for name in node.names:
                assert hasattr(module, name.name), f"{node.module}.{name.name}"


def test_pages_lead_to_each_of_them():
    listed = (ROOT / "docs" / "index.md").read_text()
    assert {path.name for path in NOTEBOOKS if path.name not in listed} == set()
