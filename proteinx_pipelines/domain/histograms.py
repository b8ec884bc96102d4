"""Histogram bins for any finite numbers, including equal values and values where floats are coarsely spaced."""

import contextlib

import numpy as np

_LEAST_WIDTH = 2.0**-40
"""Width of a bin relative to the largest number, where the numbers themselves allow none."""


def bin_edges(values: np.ndarray, bins: int) -> np.ndarray:
    """`numpy.histogram_bin_edges` if it can make bins, otherwise as many bins slightly wider than the values.

    Args:
        values: finite numbers, at least one.
        bins: how many.

    Returns:
        float64 [bins + 1], ascending.
    """
    values = np.asarray(values, np.float64)
    low, high = float(values.min()) / 2, float(values.max()) / 2
    if np.isfinite(2 * (high - low)):
        with contextlib.suppress(ValueError):  # equal values of 1e300 leave no room for bins
            return np.histogram_bin_edges(values, bins)
    room = max(abs(low), abs(high)) * _LEAST_WIDTH * bins
    largest = float(np.finfo(np.float64).max) / 2
    return np.asarray(2 * np.linspace(max(low - room, -largest), min(high + room, largest), bins + 1))


def histogram(values: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts (int64 [bins]) and edges (float64 [bins + 1]) of finite numbers, at least one."""
    edges = bin_edges(values, bins)
    return np.histogram(values, edges)[0], edges
