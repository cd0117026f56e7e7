"""Simulated networks as Zeek logs, with labelled incidents.

`simulate` writes the logs of a site; `Network` gives the same records a day at
a time as tables, without writing.
"""

from mods.dataset.simulate.incidents import KINDS, SimulatedIncident
from mods.dataset.simulate.network import Network
from mods.dataset.simulate.simulation import SimulationSummary, simulate

__all__ = ["KINDS", "Network", "SimulatedIncident", "SimulationSummary", "simulate"]
