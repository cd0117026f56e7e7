"""Honest figures: a forecast made at origin t for step k is compared with row t + k, nothing else.

One function, `score`, computes every figure that is reported anywhere.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

__all__ = ["METRICS", "FloatArray", "Scores", "score"]

FloatArray = npt.NDArray[np.float64]
Scores = dict[str, FloatArray]

METRICS = ("smape", "mase", "r2", "rmse", "cosine", "mape", "pinball", "coverage", "width")


def score(
    point: FloatArray,
    actual: FloatArray,
    naive: FloatArray,
    lower: FloatArray | None = None,
    upper: FloatArray | None = None,
    *,
    coverage: float = 0.9,
) -> Scores:
    """Compute every figure for each step and column.

    Rows where `point`, `actual` or `naive` is missing are left out.

    Parameters
    ----------
    point, actual, naive
        `(origins, steps, columns)`, the columns' unit: forecast, what came, and persistence.
    lower, upper
        Interval bounds of the same shape, None where there are none.
    coverage
        What the interval states; it sets the quantiles of the pinball loss.

    Returns
    -------
    dict
        By name an array `(steps, columns)`, NaN where not defined (no rows, no interval):

        - `smape`: `100 mean(2 |f - a| / (|a| + |f|))`, a term 0 where both are zero;
        - `mase`: mean `|f - a|` over the mean of persistence at the same step on the same rows;
          1 where both are zero, not defined where only persistence is (Hyndman, Koehler, 2006,
          scaled out of sample);
        - `r2`: 1 - sum (f - a)^2 / sum (a - mean a)^2; for a constant column 1 where the
          forecast is exact, else not defined;
        - `rmse`, in the column's unit; `cosine` of forecasts and actual values, 1 where both
          are all zero, 0 where one is;
        - `mape`: `100 mean(|f - a| / |a|)` over rows where a is not zero;
        - `pinball`: mean pinball loss of lower bound, forecast and upper bound, at their
          quantiles, in the column's unit;
        - `coverage`: share of actual values within [lower, upper]; `width`: mean width.

    Examples
    --------
    >>> shape = (2, 1, 1)
    >>> actual, point = np.reshape([2.0, 4.0], shape), np.reshape([2.0, 5.0], shape)
    >>> figures = score(point, actual, naive=np.reshape([1.0, 2.0], shape))
    >>> round(figures["smape"].item(), 2), round(figures["mase"].item(), 3)
    (11.11, 0.333)
    """
    known = np.isfinite(point) & np.isfinite(actual) & np.isfinite(naive)
    f, a, p = (np.where(known, values, np.nan) for values in (point, actual, naive))
    error = np.abs(f - a)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # means over no rows are NaN, as said
        size = np.abs(a) + np.abs(f)
        terms = np.where(size > 0, 2 * error / np.where(size > 0, size, 1), 0.0)
        mae, naive_mae = np.nanmean(error, axis=0), np.nanmean(np.abs(p - a), axis=0)
        squares = np.nansum(error**2, axis=0)
        spread = np.nansum((a - np.nanmean(a, axis=0)) ** 2, axis=0)
        scores = {
            "smape": 100 * np.nanmean(np.where(known, terms, np.nan), axis=0),
            "mase": _ratio(mae, naive_mae, both_zero=1.0),
            "r2": 1 - _ratio(squares, spread, both_zero=0.0),
            "rmse": np.sqrt(np.nanmean(error**2, axis=0)),
            "cosine": _cosine(f, a),
            "mape": 100 * np.nanmean(np.where(a != 0, error / np.abs(a), np.nan), axis=0),
        }
        scores |= _interval_scores(f, a, lower, upper, coverage)
    empty = ~known.any(axis=0)
    return {name: np.where(empty, np.nan, scores[name]) for name in METRICS}


def _interval_scores(
    f: FloatArray,
    a: FloatArray,
    lower: FloatArray | None,
    upper: FloatArray | None,
    coverage: float,
) -> Scores:
    if lower is None or upper is None:
        nothing = np.full(f.shape[1:], np.nan)
        return {"pinball": nothing, "coverage": nothing, "width": nothing}
    known = np.isfinite(a) & np.isfinite(f) & np.isfinite(lower) & np.isfinite(upper)
    low, high = np.where(known, lower, np.nan), np.where(known, upper, np.nan)
    tail = (1 - coverage) / 2
    loss = _pinball(a, low, tail) + _pinball(a, f, 0.5) + _pinball(a, high, 1 - tail)
    inside = np.where(known, (low <= a) & (a <= high), np.nan)
    return {
        "pinball": np.nanmean(loss, axis=0) / 3,
        "coverage": np.nanmean(inside, axis=0),
        "width": np.nanmean(high - low, axis=0),
    }


def _pinball(a: FloatArray, quantile: FloatArray, level: float) -> FloatArray:
    beyond = a - quantile
    return np.maximum(level * beyond, (level - 1) * beyond)


def _cosine(f: FloatArray, a: FloatArray) -> FloatArray:
    # Scaled by the largest value first: the squares of byte sums would lose digits.
    f = np.nan_to_num(f) / np.maximum(np.nanmax(np.abs(f), axis=0, initial=0), 1e-300)
    a = np.nan_to_num(a) / np.maximum(np.nanmax(np.abs(a), axis=0, initial=0), 1e-300)
    length_f, length_a = np.sqrt((f**2).sum(axis=0)), np.sqrt((a**2).sum(axis=0))
    nothing = (length_f == 0) & (length_a == 0)
    return np.where(nothing, 1.0, (f * a).sum(axis=0) / np.maximum(length_f * length_a, 1e-300))


def _ratio(above: FloatArray, below: FloatArray, *, both_zero: float) -> FloatArray:
    """Divide; a division by zero is `both_zero` where both are zero, else not defined."""
    undefined = np.where(above == 0, both_zero, np.nan)
    return np.where(below > 0, above / np.where(below > 0, below, 1), undefined)
