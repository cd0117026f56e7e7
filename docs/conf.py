"""How Sphinx builds the documentation: `make docs`."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "extensions")]

from mods.config import version as package_version  # noqa: E402

project = "MODS"
author = "The MODS developers"
project_copyright = "the MODS developers, Apache-2.0"
version = release = package_version()

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "parsers"]
exclude_patterns = ["examples", "extensions"]

# Markdown: every heading can be linked to.
myst_heading_anchors = 3

# Docstrings write code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"MODS {version}"
html_copy_source = False
html_show_sphinx = False

# What `make docs-links` asks. A local address is that of a service that the reader starts.
linkcheck_ignore = [r"http://127\.0\.0\.1.*", r"http://localhost.*"]
linkcheck_timeout = 20
