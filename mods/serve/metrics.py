"""What the service counts, for Prometheus."""

from __future__ import annotations

import time
from collections import Counter as Count
from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from mods.config import version
from mods.models.registry import list_models
from mods.models.trainings import list_trainings

__all__ = ["Metrics"]

#: Upper ends of the latency's classes, seconds.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The service's metrics; a registry of its own, so that tests do not share them."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        # When each series began would be as many series again, and nobody asks for it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "mods_requests",
            "Requests answered, by route and status; 4xx and 5xx are the errors.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "mods_request_seconds",
            "Time from a request's head to its answer.",
            ["method", "route"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.forecasts = Counter(
            "mods_forecasts",
            "Forecasts made: origins by steps by columns.",
            registry=self._registry,
        )
        self.predictions = Gauge(
            "mods_predictions_unfinished",
            "Predictions that run or wait for a worker.",
            registry=self._registry,
        )
        self.worker_deaths = Counter(
            "mods_worker_deaths", "Workers that had to be replaced.", registry=self._registry
        )
        self.ready = Gauge(
            "mods_ready",
            "1 while every worker has the default model loaded.",
            registry=self._registry,
        )
        self._registry.register(_OnDisk())

    def text(self) -> bytes:
        """Return all of them as Prometheus reads them; reads the disk."""
        return generate_latest(self._registry)


class _OnDisk(Collector):
    """What is read when it is asked for: the models, the trainings and the version."""

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        about = GaugeMetricFamily("mods_info", "The version.", labels=["version"])
        about.add_metric([version()], 1)
        yield about
        ages = GaugeMetricFamily(
            "mods_model_age_seconds", "Time since the model was written.", labels=["model"]
        )
        for entry in list_models():
            try:
                written = entry.path.stat().st_mtime
            except OSError:
                continue  # it was removed just now
            ages.add_metric([entry.name], max(0.0, time.time() - written))
        yield ages
        states = Count(str(record["state"]) for record in list_trainings())
        trainings = GaugeMetricFamily(
            "mods_trainings", "Trainings on record, by state.", labels=["state"]
        )
        for state in ("running", "done", "error", "stopped"):
            trainings.add_metric([state], states[state])
        yield trainings
