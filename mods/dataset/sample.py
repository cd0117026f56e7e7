"""The sample table that comes with the package: two weeks of a simulated network's features.

python -m mods.dataset.sample data/test/sample-test-w01h-s10m.tsv
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pandas as pd

from mods import config
from mods.dataset.datapool import read_datapool
from mods.dataset.make_dataset import make_dataset
from mods.dataset.simulate import simulate
from mods.files import write_aside
from mods.timerange import Window

__all__ = ["write_sample"]

SEED = 7
DAYS = 14
_ISO = "%Y-%m-%dT%H:%M:%S.000Z"


def write_sample(path: Path | str, *, days: int = DAYS) -> None:
    """Simulate logs, make features of them, and write the default columns as a table."""
    window = Window.parse(config.DEFAULT_WINDOW)
    with tempfile.TemporaryDirectory() as folder:
        logs, pool = Path(folder) / "logs", Path(folder) / "datapool"
        simulate(logs, days=days, seed=SEED)
        make_dataset([logs], pool, progress=False)
        frame = read_datapool(pool)
    # The last windows reach past the logs' end, so they are missing.
    frame = frame.loc[: frame.last_valid_index()]
    starts = pd.DatetimeIndex(frame.index)
    ends = starts + pd.Timedelta(seconds=window.length)
    frame.insert(0, "window_end", ends.strftime(_ISO))
    frame.index = pd.Index(starts.strftime(_ISO), name="window_start")
    with write_aside(path) as partial:
        frame.to_csv(partial, sep="\t", lineterminator="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m mods.dataset.sample", description=__doc__.splitlines()[0]
    )
    parser.add_argument("path", type=Path, help="where to write it")
    write_sample(parser.parse_args().path)
