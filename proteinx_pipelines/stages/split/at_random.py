"""`random`: every distinct sequence is drawn into a part, or into one of k folds."""

import numpy as np

from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import TEST, TRAIN, VAL, Assignment
from proteinx_pipelines.stages.split.draw import sequence_keys, share, shuffled_ranks

DEFAULT_FRACTIONS = (0.8, 0.1, 0.1)
"""Train, validation and test of a single random split when `split.fractions` is null."""
_DRAW, _FOLDS = 0, 1
"""Streams of the draw; validation rows use those from 2 on."""


def split_at_random(variants: VariantTable, flags: SplitFlags) -> Assignment:
    """Draw parts of `split.fractions`, or `split.folds` folds that are each tested once.

    Sizes count distinct sequences, rounded to the nearest. The test part does not depend on the size of the
    validation part.
    """
    keys = sequence_keys(variants.rows.column("sequence"), flags.seed)
    parts = _parts(keys, flags) if flags.folds is None else _folds(keys, flags.folds)
    return Assignment(
        parts=parts,
        rule=np.zeros(len(keys), np.int64),
        rules=(f"random draw with seed {flags.seed}",),
        advice="Select more variants, or give the part a larger fraction in `split.fractions`"
        + (f" or fewer `split.folds` than {flags.folds}." if flags.folds else "."),
    )


def _parts(keys: np.ndarray, flags: SplitFlags) -> np.ndarray:
    _, val, test = flags.fractions or DEFAULT_FRACTIONS
    place = shuffled_ranks(keys, _DRAW)
    total = int(place.max(initial=-1)) + 1
    n_test = share(test, total)
    n_val = share(val, total)
    parts = np.where(place < n_test, TEST, np.where(place < n_test + n_val, VAL, TRAIN))
    return parts.astype(np.int8)[:, None]


def _folds(keys: np.ndarray, n_folds: int) -> np.ndarray:
    fold = shuffled_ranks(keys, _FOLDS) % n_folds
    return np.where(fold[:, None] == np.arange(n_folds), np.int8(TEST), np.int8(TRAIN))
