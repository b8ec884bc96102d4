"""Learning of the networks of `new_positions`, from many assays whose positions are left out.

Every assay is cut into five folds of positions twice, in turn and as stretches, as the splits `modulo` and `contiguous`
do; rows of a fold are described by the assay's other rows alone. One network of all assays, and one without each group
of families. The effects that describe an assay's rows were learned without its own group and without the group that is
left out: a network without a group has not seen its scores in any way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from proteinx_pipelines.stages.train.measured import Measured
from proteinx_pipelines.stages.train.near_sites import NearSites
from proteinx_pipelines.stages.train.new_positions import MOST, described, expected, of_protein
from proteinx_pipelines.stages.train.site_network_learning import train_without_each
from proteinx_pipelines.stages.train.targets import deviation_of

if TYPE_CHECKING:
    from proteinx_pipelines.stages.train.prior_learning import Assay

MOST_ROWS = 1200
"""Rows of one assay that are described in each way of cutting; further ones count no more."""
FEWEST_POSITIONS = 10
"""Positions below which an assay says nothing about new ones."""
FEWEST_FAMILIES = 10
"""Families below which nothing is learned."""
DROPOUT = 0.5
"""Chosen on four of ten groups of families, each left out: better than 0.3 with a structure and without."""
_FOLDS = 5


@dataclass(frozen=True)
class _Fold:
    """Described rows of one fold of an assay."""

    rows: np.ndarray
    """int64 [m], of the assay."""
    measured: Measured
    """All other rows."""
    rest: np.ndarray
    """float32 [m, c]: `described`."""
    target: np.ndarray
    """float64 [m], in the unit of the other rows."""


def learn_new_positions(
    assays: Sequence["Assay"],
    group: Mapping[str, int],
    effects: Callable[["Assay"], np.ndarray],
    tokens: Callable[[str], np.ndarray],
    seed: int,
    *,
    by_structure: bool = False,
) -> np.ndarray:
    """Networks of all assays, then without group 0, 1, ..., float16 [1 + G, `n_weights`].

    Args:
        assays: to learn from, each of `FEWEST_POSITIONS` at least.
        group: assay -> group of families, from 0, of these and other assays.
        effects: assay -> float64 [1 + G, L, 20], effects learned without the assay's group, and without group 0, 1, ...
            besides.
        tokens: template -> int64 [L].
        seed: of the draw of rows, the first weights and the order of rows.
        by_structure: read the structures, which all assays have.
    """
    by_name = {assay.name: assay for assay in assays}
    folds = {
        name: list(_left_out(assay, tokens(assay.template), seed, by_structure=by_structure))
        for name, assay in by_name.items()
    }
    values = {name: effects(assay) for name, assay in by_name.items()}

    def features(name: str, left_out: int) -> np.ndarray:
        assay, found = by_name[name], values[name][1 + left_out]
        return np.concatenate(
            [_features(fold, assay, found, by_structure=by_structure) for fold in folds[name]]
        )

    targets = {name: np.concatenate([fold.target for fold in found]) for name, found in folds.items()}
    return train_without_each(targets, group, features, seed, dropout=DROPOUT)


def _features(fold: _Fold, assay: "Assay", effects: np.ndarray, *, by_structure: bool) -> np.ndarray:
    """float32 [m, c]: as `new_positions.features_of`, with what does not depend on the effects made once."""
    columns = [expected(effects, assay.position[fold.rows], assay.new[fold.rows]), fold.rest]
    if not by_structure:
        whole = of_protein(fold.measured, effects)
        columns.append(np.broadcast_to(whole, (len(fold.rows), len(whole))))
    return np.concatenate(columns, axis=1).astype(np.float32)


def _left_out(assay: "Assay", template: np.ndarray, seed: int, *, by_structure: bool) -> Iterator[_Fold]:
    """The folds of both ways of cutting that have rows, and others to describe them by."""
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
            near = None
            if by_structure:
                assert assay.sites is not None
                near = NearSites(measured, assay.sites)
            rest = described(measured, assay.position[rows], assay.new[rows], near)
            yield _Fold(rows, measured, rest.astype(np.float32), target[rows])
