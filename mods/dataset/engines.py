"""Which engines there are, and opening the facts of one; each is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path

from mods.dataset.engine import Facts
from mods.dataset.plan import Plan
from mods.errors import ConfigError, did_you_mean

__all__ = ["ENGINES", "open_facts"]

ENGINES = ("polars", "duckdb", "spark")


def open_facts(engine: str, plan: Plan, folder: Path, master: str | None = None) -> Facts:
    """Return the facts of an engine, still empty.

    Parameters
    ----------
    engine
        One of `ENGINES`.
    plan
        What is to be made.
    folder
        Where an engine keeps what is too much for the memory.
    master
        The Spark cluster.

    Raises
    ------
    ConfigError
        Where there is no such engine, or it is not installed.
    """
    if engine == "polars":
        from mods.dataset.engine_polars import PolarsFacts

        return PolarsFacts(plan, folder)
    if engine == "duckdb":
        from mods.dataset.engine_duckdb import DuckDBFacts

        return DuckDBFacts(plan, folder)
    if engine == "spark":
        from mods.dataset.engine_spark import SparkFacts

        return SparkFacts(plan, master)
    raise ConfigError(
        f"engine {engine!r}", f"one of {', '.join(ENGINES)}", did_you_mean(engine, ENGINES)
    )
