"""Learning of the linear model of `new_positions`, from many assays whose positions are left out.

Every assay is cut into five folds of positions twice, in turn and as stretches, as the splits `modulo` and `contiguous`
do; rows of a fold are described by the assay's other rows alone. One ridge regression of all assays, and one without
each group of families. The effects that describe an assay's rows were learned without its own group and without the
group that is left out: weights without a group have not seen its scores in any way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from proteinx_pipelines.stages.train.new_positions import MOST, N_PRIOR, Measured, expected, n_features
from proteinx_pipelines.stages.train.targets import deviation_of

if TYPE_CHECKING:
    from proteinx_pipelines.stages.train.prior_learning import Assay

PENALTY = 10000.0
"""Of the squared weights of standardised features, in rows."""
MOST_ROWS = 1200
"""Rows of one assay that are described in each way of cutting; further ones count no more."""
FEWEST_POSITIONS = 10
"""Positions below which an assay says nothing about new ones."""
FEWEST_FAMILIES = 10
"""Families below which nothing is learned."""
_FOLDS = 5


def learn_new_positions(
    assays: Sequence["Assay"],
    group: Mapping[str, int],
    effects: Callable[["Assay"], np.ndarray],
    tokens: Callable[[str], np.ndarray],
    seed: int,
) -> np.ndarray:
    """Weights of all assays, then without group 0, 1, ..., float32 [1 + G, `n_features()`].

    Args:
        assays: to learn from.
        group: assay -> group of families, from 0.
        effects: assay -> float64 [1 + G, L, 20], effects learned without the assay's group, and without group 0, 1, ...
            besides.
        tokens: template -> int64 [L].
        seed: of the draw of rows.
    """
    width, n_sets = n_features(), 2 + max(group.values())
    grams, totals = np.zeros((n_sets, width, width)), np.zeros((n_sets, width))
    for assay in assays:
        if len(np.unique(assay.position)) < FEWEST_POSITIONS:
            continue
        template, own = tokens(assay.template), group[assay.name]
        pieces = list(_left_out(assay, template, seed))
        rest, target = (np.concatenate(column) for column in list(zip(*pieces, strict=True))[1:])
        rows = np.concatenate([piece[0] for piece in pieces])
        inner, outer = rest.T @ rest, rest.T @ target
        for left_out, found in enumerate(effects(assay), -1):
            if left_out == own:
                continue
            ours = expected(found, assay.position[rows], assay.new[rows])
            gram, total = grams[left_out + 1], totals[left_out + 1]
            gram[N_PRIOR:, N_PRIOR:] += inner
            gram[:N_PRIOR, :N_PRIOR] += ours.T @ ours
            gram[:N_PRIOR, N_PRIOR:] += (across := ours.T @ rest)
            gram[N_PRIOR:, :N_PRIOR] += across.T
            total += np.concatenate([ours.T @ target, outer])
    return np.stack([_solved(gram, total) for gram, total in zip(grams, totals, strict=True)])


def _left_out(
    assay: "Assay", template: np.ndarray, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows of each fold (int64 [m]), their features from all other rows, and their targets in the others' unit."""
    number = np.unique(assay.position, return_inverse=True)[1]
    n = len(number)
    drawn = np.zeros(n, bool)
    drawn[np.random.default_rng([seed, n]).choice(n, min(n, MOST_ROWS), replace=False)] = True
    for folds in (number % _FOLDS, number * _FOLDS // (int(number.max()) + 1)):
        for fold in range(_FOLDS):
            training, rows = np.flatnonzero(folds != fold), np.flatnonzero(drawn & (folds == fold))
            scores = assay.score[training]
            target = np.clip((assay.score - scores.mean()) / deviation_of(scores), -MOST, MOST)
            measured = Measured(template, assay.position[training], assay.new[training], target[training])
            yield rows, measured.features(assay.position[rows], assay.new[rows]), target[rows]


def _solved(gram: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Ridge regression on standardised features, in the unit of the raw ones; the last one, the constant, is free."""
    from scipy import linalg

    n = max(gram[-1, -1], 1.0)
    mean = gram[-1] / n
    variance = np.maximum(np.diag(gram) / n - mean**2, 0.0)
    variance[variance < 1e-9] = 1.0  # a feature that does not vary keeps no weight
    variance[-1] = 1e-9
    return np.asarray(linalg.solve(gram + PENALTY * np.diag(variance), total, assume_a="pos"), np.float32)
