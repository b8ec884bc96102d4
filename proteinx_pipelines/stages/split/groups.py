"""Dealing of groups that must stay together out to folds; shared by `clusters` and `by_source`.

Groups are dealt in descending order of size, each to the fold with the fewest rows; the seed orders groups of equal
size. The largest fold exceeds the smallest by at most the last group dealt to it, and folds never share a group.
"""

import numpy as np

from proteinx_pipelines.errors import EmptySplit
from proteinx_pipelines.stages.split.assignment import TEST, TRAIN
from proteinx_pipelines.stages.split.draw import shuffled_ranks

DEFAULT_FOLDS = 5
"""Folds that are cut when `split.folds` is null; one of them is then the test part."""

_DEALT, _TESTED = 0, 1
"""Streams of the draws."""


def deal_groups(group: np.ndarray, keys: np.ndarray, n_folds: int, what: str) -> np.ndarray:
    """Assign each group to a fold.

    Args:
        group: int64 [N], the group of each row, from 0 without gaps.
        keys: uint64 [N] of `draw.sequence_keys`; they order groups of equal size.
        n_folds: K.
        what: description of the groups for the message: "clusters at identity 0.9".

    Returns:
        int64 [N]: the fold of each row.

    Raises:
        EmptySplit: there are fewer groups than folds.
    """
    sizes = np.bincount(group)
    if len(sizes) < n_folds:
        raise EmptySplit(
            f"The {len(group)} variants are {len(sizes)} {what}, and {n_folds} folds are wanted. "
            "Set `split.folds` to at most that number, select more variants, or take another `split.method`."
        )
    least = np.full(len(sizes), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, group, keys)
    order = np.lexsort((shuffled_ranks(least, _DEALT), -sizes))
    load, fold_of_group = np.zeros(n_folds, np.int64), np.zeros(len(sizes), np.int64)
    for place in order:
        lightest = int(load.argmin())
        fold_of_group[place] = lightest
        load[lightest] += sizes[place]
    return np.asarray(fold_of_group[group])


def tested_fold(fold: np.ndarray, keys: np.ndarray, n_folds: int) -> int:
    """Fold tested by a single split: drawn by the seed among folds whose size is within half of N / K.

    The largest group always goes to fold 0. Always testing that fold would test the same rows for every seed, and
    nearly all rows if one group holds most of them.

    Args:
        fold: int64 [N] of `deal_groups`.
        keys: uint64 [N] of `draw.sequence_keys`.
        n_folds: K, each of them with at least one row.
    """
    off = np.abs(np.bincount(fold, minlength=n_folds) - len(fold) / n_folds)
    near = np.flatnonzero(off <= max(len(fold) / n_folds / 2, off.min()))
    least = np.full(n_folds, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, fold, keys)
    return int(near[shuffled_ranks(least, _TESTED)[near].argmin()])


def fold_parts(fold: np.ndarray, n_folds: int) -> np.ndarray:
    """int8 [N, K] of part codes: each row is tested in its fold and trained on in the others."""
    return np.where(fold[:, None] == np.arange(n_folds), np.int8(TEST), np.int8(TRAIN))
