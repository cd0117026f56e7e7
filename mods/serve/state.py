"""What belongs to one request and has to reach the process that works for it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["RequestState", "current"]


@dataclass
class RequestState:
    """The request that is being answered.

    Attributes
    ----------
    identifier
        Its `X-Request-ID`.
    begun
        Whether it was read and handed on to the model.
    forecasts
        Forecasts that were made for it.
    """

    identifier: str
    begun: bool = False
    forecasts: int = 0


#: None outside of a request.
current: ContextVar[RequestState | None] = ContextVar("current", default=None)
