"""Warnings about the measured values themselves: ranks, classes, and ties that keep a metric from reaching 1."""

from collections.abc import Iterator, Sequence

import numpy as np

from proteinx_pipelines import metrics
from proteinx_pipelines.stages.evaluate.caveat_texts import Caveat, caveat

MIN_RANKS = 30
"""Least number of evenly spaced values taken for ranks; fewer occur by rounding."""
MAX_CLASSES = 10
MIN_CLASSIFIED = 100
"""From this many rows on, at most `MAX_CLASSES` distinct values are taken for classes."""
_EVEN = 1e-6


def about_targets(target: np.ndarray, tested: np.ndarray, names: Sequence[str]) -> Iterator[Caveat]:
    """Warnings about the targets of all rows (float64 [N]) and of the test rows (float64 [P]).

    Args:
        target: of the whole table.
        tested: of the test rows.
        names: metrics; the message gives the best possible value of the recalls among them.
    """
    distinct = np.unique(target)
    if len(target) >= MIN_RANKS and len(distinct) > 0.9 * len(target) and _evenly_spaced(distinct):
        yield caveat("ranked_targets", n=len(target))
    if len(target) >= MIN_CLASSIFIED and 1 < len(distinct) <= MAX_CLASSES:
        shown = ", ".join(f"{value:.4g}" for value in distinct)
        yield caveat("classes_as_targets", n=len(target), count=len(distinct), values=shown)
    best = {name: metrics.compute(name, tested, tested) for name in names if name.endswith("_recall")}
    limited = [f"{name} {value:.3f}" for name, value in best.items() if value < 1 - _EVEN]
    if limited and np.ptp(tested) > 0:
        yield caveat("tied_targets", best=", ".join(limited))


def _evenly_spaced(distinct: np.ndarray) -> bool:
    """True if ascending values are evenly spaced."""
    steps = np.diff(distinct)
    return bool(np.ptp(steps) <= _EVEN * np.ptp(distinct))
