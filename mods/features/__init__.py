"""Which columns are worth forecasting: statistics of a frame, one verdict a column."""

from __future__ import annotations
