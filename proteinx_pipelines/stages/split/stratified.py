"""`stratified`: random draw in which every part has its share of low, middle and high targets.

The distinct sequences, in order of their targets, are cut into `split.bins` bins of equal size and shuffled
within each; parts are then taken from that order at even distances, so that a small test part cannot have only low
targets by chance. Targets influence the assignment of rows, not what a model learns.
"""

import numpy as np

from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import TEST, TRAIN, VAL, Assignment
from proteinx_pipelines.stages.split.at_random import DEFAULT_FRACTIONS
from proteinx_pipelines.stages.split.draw import sequence_keys, shuffled_ranks
from proteinx_pipelines.stages.split.groups import fold_parts

_WITHIN_BINS = 1_000_003
"""Stream of the draw; far from those of `at_random` and of validation rows."""


def split_by_strata(variants: VariantTable, flags: SplitFlags) -> Assignment:
    """Draw parts of `split.fractions`, or `split.folds` folds, evenly from each bin of the target."""
    keys = sequence_keys(variants.rows.column("sequence"), flags.seed)
    place, stratum, n_bins = _places(variants.column("target").astype(np.float64), keys, flags.bins)
    parts = _parts(place, flags) if flags.folds is None else fold_parts(place % flags.folds, flags.folds)
    return Assignment(
        parts=parts,
        rule=stratum,
        rules=tuple(
            f"random draw with seed {flags.seed} within bin {k + 1} of {n_bins} of the target"
            for k in range(n_bins)
        ),
        advice="Select more variants, or give the part a larger fraction in `split.fractions`.",
        info={"bins": n_bins},
    )


def _places(target: np.ndarray, keys: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Place of each row's sequence in the order of the draw (int64 [N]), its bin, and the number of bins."""
    shuffled = shuffled_ranks(keys, _WITHIN_BINS)
    n = int(shuffled.max(initial=-1)) + 1
    mean = np.bincount(shuffled, weights=target, minlength=n) / np.maximum(
        np.bincount(shuffled, minlength=n), 1
    )
    n_bins = max(1, min(bins, n))
    rank = np.empty(n, np.int64)
    rank[np.lexsort((np.arange(n), mean))] = np.arange(n)
    stratum = rank * n_bins // max(n, 1)
    place = np.empty(n, np.int64)
    place[np.lexsort((np.arange(n), stratum))] = np.arange(n)
    return place[shuffled], stratum[shuffled], n_bins


def _parts(place: np.ndarray, flags: SplitFlags) -> np.ndarray:
    """Walk along the order and take a row whenever the part's share reaches the next whole row."""
    _, val, test = flags.fractions or DEFAULT_FRACTIONS
    parts = np.full(len(place), TRAIN, np.int8)
    is_test = _is_due(place, test)
    parts[is_test] = TEST
    distinct, index = np.unique(place[~is_test], return_inverse=True)
    share = val / (1 - test) if test < 1 else 0.0
    parts[np.flatnonzero(~is_test)[_is_due(np.arange(len(distinct)), share)[index]]] = VAL
    return parts[:, None]


def _is_due(place: np.ndarray, share: float) -> np.ndarray:
    """True if `round(share * places)` grows at this place; halves go up."""
    return np.asarray(
        np.floor((place + 1) * share + 0.5 + 1e-9) > np.floor(place * share + 0.5 + 1e-9), dtype=bool
    )
