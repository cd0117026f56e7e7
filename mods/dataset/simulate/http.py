"""The HTTP log: one or several requests a connection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from mods.dataset.simulate.conn import complete, pick, random_text
from mods.dataset.simulate.flows import Flows
from mods.dataset.simulate.names import Names
from mods.dataset.simulate.spread import Spread
from mods.dataset.simulate.streams import Stream

__all__ = ["http_records"]

_METHODS = pl.Series(["GET", "POST", "HEAD"])
_STATUS = pl.Series([200, 304, 301, 404, 500])
_MESSAGE = pl.Series(["OK", "Not Modified", "Moved Permanently", "Not Found", "Server Error"])
_STATUS_SHARES = np.cumsum([0.8, 0.08, 0.05, 0.06, 0.01])
_PATHS = pl.Series(
    ["/", "/index.html", "/favicon.ico", "/style.css", "/news", "/metrics", "/api/v1/items"]
    + [f"/page/{number}" for number in range(200)]
    + [f"/static/{number:03d}.js" for number in range(60)]
)
_BROWSER = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
_AGENTS = pl.Series(
    [
        _BROWSER.format(system, number)
        for system in ("X11; Linux x86_64", "Windows NT 10.0; Win64; x64")
        for number in (120, 121, 122)
    ]
    + ["curl/8.5.0", "python-requests/2.31.0", "APT-HTTP/1.3", "Go-http-client/1.1"]
)
_TYPES = pl.Series(
    [["text/html"], ["text/plain"], ["application/javascript"], ["image/png"]],
    dtype=pl.List(pl.String),
)


def http_records(
    rng: Generator, names: Names, streams: Sequence[Stream], flows: Flows, spread: Spread
) -> pl.DataFrame:
    """Return the HTTP log of a day."""
    flow = spread.flow
    count = len(flow)
    host = names.of_hosts(flows.resp[flow], flows.stream[flow], streams)
    method = np.searchsorted([0.86, 0.97], rng.random(count))
    status = np.searchsorted(_STATUS_SHARES[:-1], rng.random(count))
    path = (len(_PATHS) * rng.random(count) ** 3).astype(np.int64)
    body = (rng.lognormal(7.5, 1.6, count) * (status == 0) * (method != 2)).astype(np.int64)
    has_body = body > 0
    referred = (rng.random(count) < 0.4) & (spread.depth > 1)
    referrer = pl.DataFrame({"host": pick(names.names, np.where(referred, host, -1))}).select(
        "http://" + pl.col("host") + "/"
    )
    return complete(
        "http",
        {
            **spread.connection("http"),
            "trans_depth": pl.Series(spread.depth),
            "method": pick(_METHODS, method),
            "host": pick(names.names, host),
            "uri": pick(_PATHS, path),
            "referrer": referrer.to_series(),
            "version": pl.Series(["1.1"]).new_from_index(0, count),
            "user_agent": pick(_AGENTS, flows.orig[flow] % len(_AGENTS)),
            "request_body_len": pl.Series(np.where(method == 1, rng.integers(10, 4000, count), 0)),
            "response_body_len": pl.Series(body),
            "status_code": pick(_STATUS, status),
            "status_msg": pick(_MESSAGE, status),
            "tags": pl.Series([[]], dtype=pl.List(pl.String)).new_from_index(0, count),
            "resp_fuids": _one_each(random_text(rng, count, 18, "F"), has_body),
            "resp_mime_types": pick(_TYPES, np.where(has_body, path % len(_TYPES), -1)),
        },
    )


def _one_each(values: pl.Series, given: NDArray[np.bool_]) -> pl.Series:
    """Return each value as a list of its own, missing where none is given."""
    lists = pl.DataFrame({"value": values, "times": given.astype(np.int64)}).select(
        pl.col("value").repeat_by("times").alias("list")
    )
    return pl.select(pl.when(pl.Series(given)).then(lists.to_series())).to_series()
