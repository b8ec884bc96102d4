"""Learning of the network of `known_positions`, from many assays whose rows are left out singly.

The rows of every assay are cut into five parts, each described by the others as in cross-validation; a few rows are
described by a half and by a fifth of the others, as where little was measured. One network of all assays, and one
without each group of families. As for `new_positions_learning`, the effects that describe an assay's rows were learned
without its own group and without the group that is left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from proteinx_pipelines.stages.train.measured import Measured
from proteinx_pipelines.stages.train.site_network_learning import train_without_each
from proteinx_pipelines.stages.train.site_profiles import Expected, SiteProfiles
from proteinx_pipelines.stages.train.targets import fit_scaling

if TYPE_CHECKING:
    from proteinx_pipelines.stages.train.prior_learning import Assay

PARTS, MOST_ROWS = 5, 400
"""Parts of an assay's rows, and most rows of a part that are described; further ones count no more."""
FEW = (0.5, 0.2)
"""Smaller shares of the rows that describe others."""
MOST_OF_FEW = 100
"""Rows that are described by such a share."""
DROPOUT = 0.1
"""Chosen on 25 assays of families that were left out."""


@dataclass(frozen=True)
class _Described:
    """The described rows of one assay."""

    position: np.ndarray
    new: np.ndarray
    target: np.ndarray
    """float32 [n], normal scores among the rows that describe."""
    rest: np.ndarray
    """float32 [n, c - `N_EXPECTED`]: features without those of a prior."""
    pieces: Sequence[tuple[SiteProfiles, slice]]

    def features(self, effects: np.ndarray, exchange: np.ndarray) -> np.ndarray:
        """float32 [n, c]: all features, as `known_positions.described` gives them."""
        ours = [
            Expected(profiles, effects, exchange).features(self.position[rows], self.new[rows])
            for profiles, rows in self.pieces
        ]
        return np.concatenate([np.concatenate(ours), self.rest], axis=1)


def learn_known_positions(
    assays: Sequence["Assay"],
    group: Mapping[str, int],
    effects: Callable[["Assay"], np.ndarray],
    exchange: np.ndarray,
    tokens: Callable[[str], np.ndarray],
    seed: int,
) -> np.ndarray:
    """Networks of all assays, then without group 0, 1, ..., float16 [1 + G, `n_weights(c)`].

    Args:
        assays: to learn from.
        group: assay -> group of families, from 0.
        effects: assay -> float64 [1 + G, L, 20], effects learned without the assay's group, and without group 0, 1, ...
            besides.
        exchange: float [1 + G, 20, 20], covariance of residues at one site, of all assays and without group 0, 1, ...
        tokens: template -> int64 [L].
        seed: of the shares, the first weights and the order of rows.
    """
    described = {assay.name: _describe(assay, tokens(assay.template), seed) for assay in assays}
    by_assay = {assay.name: effects(assay) for assay in assays}

    def features(name: str, left_out: int) -> np.ndarray:
        return described[name].features(by_assay[name][1 + left_out], exchange[1 + left_out])

    targets = {name: rows.target for name, rows in described.items()}
    return train_without_each(targets, group, features, seed, dropout=DROPOUT)


def _describe(assay: "Assay", template: np.ndarray, seed: int) -> _Described:
    positions, residues, targets, rest, pieces, start = [], [], [], [], [], 0
    for training, rows in _left_out(len(assay.score), seed):
        unit = fit_scaling("rank", assay.score[training]).scale
        here = unit(assay.score[training])
        profiles = SiteProfiles(Measured(template, assay.position[training], assay.new[training], here))
        positions.append(assay.position[rows])
        residues.append(assay.new[rows])
        targets.append(unit(assay.score[rows]))
        rest.append(profiles.features(positions[-1], residues[-1]))
        pieces.append((profiles, slice(start, start + len(rows))))
        start += len(rows)
    return _Described(
        np.concatenate(positions),
        np.concatenate(residues),
        np.concatenate(targets).astype(np.float32),
        np.concatenate(rest),
        pieces,
    )


def _left_out(n: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows that describe, and rows that are described: int64 each."""
    random = np.random.default_rng([seed, n])
    for part in np.array_split(random.permutation(n), PARTS):
        yield np.setdiff1d(np.arange(n), part), part[:MOST_ROWS]
    for share in FEW:
        order, size = random.permutation(n), max(2, int(share * n))
        yield order[:size], order[size : size + MOST_OF_FEW]
