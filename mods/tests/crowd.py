"""Many clients at once, each of which knows the right answer to what it asks."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from mods.tests.running_service import Service

__all__ = ["Crowd", "Question", "crowd"]


@dataclass(frozen=True)
class Question:
    """A request, and what it is to be answered with."""

    request: dict[str, Any]
    status: int
    answer: bytes = b""

    @classmethod
    def of(cls, service: Service, **request: Any) -> Question:
        """Ask it once, with nobody else about; what comes is what is to come."""
        answer = service.predict(**request)
        return cls(request, answer.status_code, answer.content)

    def fits(self, answer: requests.Response) -> bool:
        """Return whether an answer is the right one; an error names its own request."""
        if answer.status_code != self.status:
            return False
        return self.status != 200 or answer.content == self.answer


@dataclass
class Crowd:
    """What the clients met: seconds of each right answer, statuses, and wrong answers."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the good answers, seconds."""
        return statistics.median(self.seconds)


def crowd(
    service: Service, questions: Sequence[Question], *, clients: int, seconds: float
) -> Crowd:
    """Let so many clients ask for so long, each one after the other; return what they met.

    A 429 is right where it says when to come again; the client does, after a tenth of a second.
    """
    found, lock = Crowd(), threading.Lock()
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        with requests.Session() as session:
            while time.monotonic() < end:
                question = questions[number % len(questions)]
                number += 1
                begun = time.perf_counter()
                answer = session.post(f"{service.model}/predict/", timeout=120, **question.request)
                took = time.perf_counter() - begun
                busy = answer.status_code == 429 and "Retry-After" in answer.headers
                with lock:
                    found.statuses[answer.status_code] += 1
                    if question.fits(answer):
                        if answer.status_code == 200:
                            found.seconds.append(took)
                    elif not busy:
                        found.wrong.append(f"{answer.status_code} {answer.text[:300]}")
                if busy:
                    time.sleep(0.1)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
