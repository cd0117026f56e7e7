"""One verdict a column, in plain words with its reason, and how the columns rank."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mods.features.autocorrelation import Autocorrelation
from mods.features.demand import Demand
from mods.features.drift import Drift
from mods.features.information import MOST_ROWS
from mods.features.stationarity import Stationarity

__all__ = ["CARE", "KEEP", "LEAVE", "Measured", "Verdict", "judge", "rank"]

KEEP, CARE, LEAVE = "keep", "keep with care", "leave out"
_ORDER = (KEEP, CARE, LEAVE)
#: Over the root of the pairs: the most that the estimate finds in noise, in nats. Of 240 runs
#: of noise with two targets, at 100 to 2,000 pairs, none was above it; a twentieth is above 2.
_NOISE = 3.0


@dataclass
class Measured:
    """What was measured of a column; None for what it was too short or too flat for."""

    column: str
    known: int
    missing: float
    #: why nothing more could be measured
    empty: str = ""
    demand: Demand | None = None
    autocorrelation: Autocorrelation | None = None
    stationarity: Stationarity | None = None
    #: `(steps, targets)`, in nats
    information: np.ndarray | None = None
    drift: Drift | None = None
    #: the columns that make it up, if any do
    depends_on: tuple[str, ...] = ()
    #: the columns that say nearly the same
    group: tuple[str, ...] = ()

    @property
    def best_information(self) -> float:
        """The most information at any step with any target; 0 where none is known."""
        if self.information is None or np.isnan(self.information).all():
            return 0.0
        return float(np.nanmax(self.information))


@dataclass(frozen=True)
class Verdict:
    """The verdict of a column, why, and all that was measured."""

    verdict: str
    reason: str
    measured: Measured = field(compare=False)

    @property
    def column(self) -> str:
        """The column's name."""
        return self.measured.column


def judge(measured: Measured, *, stands_in: str = "", target: bool = False) -> Verdict:
    """Return the verdict; `stands_in` is the column kept in its place, a target stays."""
    if measured.empty:
        return Verdict(LEAVE, measured.empty, measured)
    if not target:
        reason = _needless(measured, stands_in)
        if reason:
            return Verdict(LEAVE, reason, measured)
    doubts = list(_doubts(measured))
    if doubts:
        return Verdict(CARE, "; ".join(doubts), measured)
    return Verdict(KEEP, _merit(measured), measured)


def _needless(measured: Measured, stands_in: str) -> str:
    if measured.depends_on:
        return f"a linear combination of {', '.join(measured.depends_on)}"
    return f"says nearly the same as {stands_in}" if stands_in else ""


def _doubts(measured: Measured) -> list[str]:
    doubts = []
    demand, drift, level = measured.demand, measured.drift, measured.stationarity
    if demand is not None and demand.kind in ("intermittent", "lumpy"):
        doubts.append(f"{demand.kind}: {100 * demand.zeros:.0f} % of its windows are zero")
    if drift is not None and drift.kind == "much":
        doubts.append(f"distributed otherwise in the other range (PSI {drift.index:.2f})")
    if level is not None and level.kind == "difference":
        doubts.append("not stationary: its level wanders")
    if measured.missing > 0.5:
        doubts.append(f"{100 * measured.missing:.0f} % of its windows are missing")
    if not _foretells(measured):
        doubts.append("nothing in its past tells of what comes")
    return doubts


def _foretells(measured: Measured) -> bool:
    found = measured.autocorrelation
    noise = _NOISE / np.sqrt(min(measured.known, MOST_ROWS))
    periodic = found is not None and bool(found.periods or np.abs(found.first) > 2 * found.bound)
    return periodic or measured.best_information > noise


def _merit(measured: Measured) -> str:
    found = measured.autocorrelation
    if found is not None and found.periods:
        period = found.periods[0]
        return f"repeats every {period} windows (autocorrelation {found.full[period]:.2f})"
    if found is not None and abs(found.first) > 2 * found.bound:
        return f"neighbouring windows are alike (autocorrelation {found.first:.2f})"
    return f"its past tells of what comes ({measured.best_information:.2f} nats)"


def rank(verdicts: list[Verdict]) -> list[Verdict]:
    """Return them by verdict, then by what they tell of the targets, then by name."""
    return sorted(
        verdicts,
        key=lambda one: (
            _ORDER.index(one.verdict),
            -round(one.measured.best_information, 6),
            one.column,
        ),
    )
