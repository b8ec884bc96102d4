"""What a protein's measured substitutions tell of its positions that were not measured.

Means by the residues exchanged, of neighbours along the chain, and of what kinds of residue they tolerate. A position's
own measurements are never part of its description. Models learned across assays read it (`new_positions`,
`site_profiles`); what sites near in a structure tell is in `near_sites`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train.amino_acids import KIND, KINDS
from proteinx_pipelines.stages.train.prior_features import exchange_features
from proteinx_pipelines.stages.train.sites import TURN, window_features

_N = len(AMINO_ACIDS)
_REACH, _NEAR = 8, 4
"""Neighbours on each side whose means are features, and those whose kinds of residue are."""
_FAR = 120
"""Distance beyond which a window ends."""
_ROWS_OF_MEANS, _ROWS_OF_A_SITE, _ROWS_OF_A_KIND, _WINDOW = 10.0, 2.0, 1.0, 0.3
"""Rows, or for a window sites, with mean 0 that each mean is drawn towards 0 by."""
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST_SURROUNDINGS = 3.0


@dataclass(frozen=True)
class Measured:
    """Training rows of one template, single substitutions."""

    template: np.ndarray
    """int64 [L], tokens of the twenty residues."""
    position: np.ndarray
    """int64 [n], from 0."""
    new: np.ndarray
    """int64 [n], tokens."""
    target: np.ndarray
    """float64 [n], with mean 0 and deviation 1."""

    def features(self, position: np.ndarray, new: np.ndarray) -> np.ndarray:
        """float64 [m, c]: features of m substitutions as if their positions were not measured.

        Those of measurements, then exchange and surroundings, which are the same for any targets.
        """
        old, of_new = self.template[position], KIND[new]
        sites, kinds = self._sites, self._kinds
        at = position + _REACH
        neighbours = [at + offset for offset in range(-_REACH, _REACH + 1) if offset]
        near = [at + offset for offset in range(-_NEAR, _NEAR + 1) if offset]
        by_old, by_new, by_kinds, by_kind_and_new = self._means
        return np.concatenate(
            [
                np.column_stack(
                    [
                        by_old[old],
                        by_new[new],
                        by_kinds[KIND[old] * len(KINDS) + of_new],
                        by_kind_and_new[KIND[old] * _N + new],
                        *(sites[place] for place in neighbours),
                        *(kinds[place, of_new] for place in near),
                    ]
                ),
                *(kinds[place] for place in near),
                self._windows[position],
                exchange_features(old, new),
                self._surroundings[position],
            ],
            axis=1,
        )

    @cached_property
    def of_protein(self) -> np.ndarray:
        """float64 [18]: how much was measured, how the values are distributed, how well surroundings tell of a site.

        What is told by the correlation of the windows' means with the sites' own ones, which are not part of them: a
        model weighs by it what it reads of a substitution.
        """
        n_sites, targets = len(np.unique(self.position)), self.target
        own = self._left - _mean(self.position, len(self.template), self._left, 0.0)[self.position]
        centred = targets - targets.mean()
        return np.array(
            [
                np.log(len(targets)), np.log(len(self.template)), len(targets) / (19.0 * n_sites),
                (own**2).sum() / max(len(targets) - n_sites, 1), self._left.var(), (centred**3).mean(),
                (centred**4).mean(), *np.quantile(targets, _QUANTILES),
                *(self.agreement(window) for window in self._windows.T),
            ]
        )  # fmt: skip

    def agreement(self, values: np.ndarray) -> float:
        """Correlation of a value of each site (float64 [L]) with the mean of what was measured there."""
        here = np.unique(self.position)
        return correlation(values[here], self.of_sites[here])

    @property
    def of_sites(self) -> np.ndarray:
        """float64 [L]: mean of what is left at each site beside the mean of the new residue; 0 if not measured."""
        return self._sites[_REACH : _REACH + len(self.template)]

    @property
    def kinds_of_sites(self) -> np.ndarray:
        """float64 [L, kinds]: what each kind of new residue does at a site beside the site's mean."""
        return self._kinds[_REACH : _REACH + len(self.template)]

    @cached_property
    def weight_of_sites(self) -> np.ndarray:
        """float64 [L]: how much each site counts among others, 0 if not measured, towards 1 with its rows."""
        counts = np.bincount(self.position, minlength=len(self.template))
        return np.asarray(counts / (counts + _ROWS_OF_A_SITE))

    @cached_property
    def _means(self) -> tuple[np.ndarray, ...]:
        """Means of targets by old residue, new residue, kinds of both, and kind of the old and the new residue."""
        old = self.template[self.position]
        n = len(KINDS)
        codes = [
            (old, _N),
            (self.new, _N),
            (KIND[old] * n + KIND[self.new], n * n),
            (KIND[old] * _N + self.new, n * _N),
        ]
        return tuple(_mean(code, size, self.target, _ROWS_OF_MEANS) for code, size in codes)

    @property
    def means_by_residue(self) -> np.ndarray:
        """float64 [20]: mean of the targets of each new residue, drawn towards 0."""
        return self._means[1]

    @cached_property
    def _left(self) -> np.ndarray:
        """float64 [n]: targets less the mean of the new residue."""
        return np.asarray(self.target - self._means[1][self.new])

    @cached_property
    def _sites(self) -> np.ndarray:
        """float64 [L + 2 reach]: mean of what is left at each site, 0 where nothing is measured."""
        return np.pad(_mean(self.position, len(self.template), self._left, _ROWS_OF_A_SITE), _REACH)

    @cached_property
    def _kinds(self) -> np.ndarray:
        """float64 [L + 2 reach, kinds]: what each kind of new residue does at a site beside the site's mean."""
        length, n = len(self.template), len(KINDS)
        own = self._left - _mean(self.position, length, self._left, 0.0)[self.position]
        code = self.position * n + KIND[self.new]
        found = _mean(code, length * n, own, _ROWS_OF_A_KIND).reshape(length, n)
        return np.pad(found, ((_REACH, _REACH), (0, 0)))

    @cached_property
    def _windows(self) -> np.ndarray:
        """float64 [L, 6]: means of sites around each but itself, of four widths, in phase of a helix, of a strand."""
        length = len(self.template)
        weight = self.weight_of_sites
        value = weight * _mean(self.position, length, self._left, 0.0)
        apart = np.abs(np.arange(-_FAR, _FAR + 1)).astype(np.float64)
        helix, strand = (1 + np.cos(2 * np.pi * apart / TURN)) / 2, (1 + np.cos(np.pi * apart)) / 2
        widths = [np.exp(-apart / width) for width in (2.0, 5.0, 15.0, 40.0)]
        columns = []
        for kernel in (*widths, np.exp(-apart / 8) * helix, np.exp(-apart / 4) * strand):
            around = kernel * (apart > 0)
            total, size = (np.convolve(each, around)[_FAR : _FAR + length] for each in (value, weight))
            columns.append(total / (size + _WINDOW))
        return np.column_stack(columns)

    @cached_property
    def _surroundings(self) -> np.ndarray:
        found = window_features(self.template)
        return np.asarray(np.clip(found, -_MOST_SURROUNDINGS, _MOST_SURROUNDINGS))


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's; 0 where a side does not vary."""
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size > 0 else 0.0


def _mean(code: np.ndarray, size: int, values: np.ndarray, rows: float) -> np.ndarray:
    """Mean of the values of each code, float64 [size], drawn towards 0 by some rows; 0 where there are none."""
    counts = np.bincount(code, minlength=size) + rows
    return np.asarray(np.bincount(code, values, size) / np.where(counts > 0, counts, 1.0))
