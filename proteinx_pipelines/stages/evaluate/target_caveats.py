"""Warnings about the measured values themselves: ranks, classes, outliers, and ties that keep a metric from 1."""

from collections.abc import Iterator, Sequence

import numpy as np

from proteinx_pipelines.numbering import as_written
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.evaluate.caveat_texts import Caveat, caveat
from proteinx_pipelines.stages.evaluate.ceilings import best_of_ties

MIN_RANKS = 30
"""Least number of evenly spaced values taken for ranks; fewer occur by rounding."""
MAX_CLASSES = 10
MIN_CLASSIFIED = 100
"""From this many rows on, at most `MAX_CLASSES` distinct values are taken for classes."""
_EVEN = 1e-6
OUTLYING = 50.0
"""Distance from the median, in median distances, of an outlier. A normal value of a million is within 8."""
_NAMED = 5
_MOST_OUTLIERS = 0.01
"""Share of the values above which a tail is meant, not an outlier."""
_TIED_SPEARMAN = 0.98
"""Best reachable Spearman below which ties are mentioned."""


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
    best = best_of_ties(tested, names)
    if best.get("spearman", 1.0) < _TIED_SPEARMAN:
        yield caveat("tied_spearman", best=best["spearman"])
    best = {name: value for name, value in best.items() if name.endswith("_recall")}
    limited = [f"{name} {value:.3f}" for name, value in best.items() if value < 1 - _EVEN]
    if limited and np.ptp(tested) > 0:
        yield caveat("tied_targets", best=", ".join(limited))


def _evenly_spaced(distinct: np.ndarray) -> bool:
    """True if ascending values are evenly spaced."""
    steps = np.diff(distinct)
    return bool(np.ptp(steps) <= _EVEN * np.ptp(distinct))


def about_outliers(variants: VariantTable, rows: np.ndarray) -> Iterator[Caveat]:
    """Warning that names the few test variants (rows int64 [P]) whose targets are far from all others."""
    target = variants.column("target")[rows].astype(np.float64)
    if len(target) < MIN_CLASSIFIED // 5:
        return
    away = np.abs(target - np.median(target))
    typical = float(np.median(away))
    far = np.flatnonzero(away > OUTLYING * typical) if typical > 0 else np.empty(0, np.int64)
    if not 0 < len(far) <= max(1, _MOST_OUTLIERS * len(target)):
        return
    first = far[np.argsort(-away[far], kind="stable")][:_NAMED]
    shown = variants.rows.select(["mutant", "source"]).take(rows[first])
    names = as_written(shown.column("mutant"), shown.column("source"), variants.offsets).to_pylist()
    listed = ", ".join(f"{name} ({target[k]:.4g})" for name, k in zip(names, first, strict=True))
    more = f" and {len(far) - _NAMED} more" if len(far) > _NAMED else ""
    yield caveat("outliers", n=len(far), factor=f"{OUTLYING:g}", names=listed + more)
