"""Whether a release is whole: `make release-check` builds it and calls this with the folder.

python .ci/release_check.py FOLDER
"""

from __future__ import annotations

import configparser
import re
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What users get beside the code, by its path in the checkout.
SHIPPED = (
    "models/model_default_cpu.zip",
    "models/model_default_gpu.zip",
    "data/test/sample-test-w01h-s10m.tsv",
)
TYPED = ("mods/py.typed", "mods/visualization/page.html")
TEXTS = ("LICENSE", "README.md", "CHANGELOG.md", "requirements.txt", "setup.cfg")


def main(folder: Path) -> int:
    """Print what is wrong; return the exit status."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    version = settings["metadata"]["version"]
    problems = [*_texts(version)]
    wheels, archives = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    if len(wheels) != 1 or len(archives) != 1:
        problems.append(
            f"{folder} has {len(wheels)} wheels and {len(archives)} sdists, not one each"
        )
    else:
        problems += [*_wheel(wheels[0], version), *_archive(archives[0], version)]
    for problem in problems:
        print(f"release-check: {problem}", file=sys.stderr)
    if not problems:
        sizes = ", ".join(
            f"{path.name} {path.stat().st_size:,} bytes" for path in wheels + archives
        )
        print(f"release-check: {version} is whole: {sizes}")
    return 1 if problems else 0


def _texts(version: str) -> list[str]:
    """setup.cfg has the version; what repeats it has to agree."""
    found = []
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    if cited is None or cited[1].strip() != version:
        found.append(f"CITATION.cff does not have version {version} of setup.cfg")
    changes = (ROOT / "CHANGELOG.md").read_text()
    if not re.search(rf"^## {re.escape(version)}\b", changes, re.MULTILINE):
        found.append(f"CHANGELOG.md has no section for version {version}")
    code = [path for path in (ROOT / "mods").rglob("*.py") if version in path.read_text()]
    found += [f"{path.relative_to(ROOT)} repeats the version" for path in code]
    return found


def _wheel(path: Path, version: str) -> list[str]:
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        information = f"mods-{version}.dist-info"
        headers = HeaderParser().parsestr(wheel.read(f"{information}/METADATA").decode())
        scripts = wheel.read(f"{information}/entry_points.txt").decode()
    shared = {f"mods-{version}.data/data/share/mods/{name}" for name in SHIPPED}
    found = [f"the wheel lacks {name}" for name in sorted({*TYPED, *shared} - names)]
    models = {name for name in names if name.endswith(".zip")}
    found += [f"the wheel has {name}, which is not ours" for name in sorted(models - shared)]
    if headers["Version"] != version:
        found.append(f"the wheel says version {headers['Version']}")
    found += [
        f"the wheel has no entry point '{line}'"
        for line in ("mods = mods.cli:main", "mods = mods.models.api")
        if line not in scripts
    ]
    return found


def _archive(path: Path, version: str) -> list[str]:
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    found = [f"the sdist lacks {name}" for name in sorted({*SHIPPED, *TYPED, *TEXTS} - names)]
    strangers = {name for name in names if name.endswith(".zip")} - set(SHIPPED)
    return found + [f"the sdist has {name}, which is not ours" for name in sorted(strangers)]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
