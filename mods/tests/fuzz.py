"""Requests made at random from the service's own OpenAPI document, by schemathesis."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings

#: No answer takes longer, seconds.
PATIENCE = 60


def fuzz(url: str, cases: int, number: int = 0) -> Counter[int]:
    """Send so many requests to each operation; return how often each status came.

    Raises
    ------
    AssertionError
        Where an answer is a 5xx, an error that is no JSON, or takes too long.
    """
    found: Counter[int] = Counter()
    schema = schemathesis.openapi.from_url(f"{url}/swagger.json")
    results: Any = schema.get_all_operations()
    for result in results:
        operation = result.ok()

        @seed(number)
        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def send(case: Any) -> None:
            try:
                answer = case.call(base_url=url, timeout=PATIENCE)
            except (requests.exceptions.InvalidHeader, UnicodeEncodeError, ValueError):
                return  # what no client can send
            found[answer.status_code] += 1
            told = f"{case.as_curl_command()[:500]}\n{answer.status_code}\n{answer.content[:500]!r}"
            assert answer.status_code < 500, told
            if answer.status_code >= 400:
                document = json.loads(answer.content)
                assert {"error", "message", "request_id"} <= set(document), told

        send()
    return found
