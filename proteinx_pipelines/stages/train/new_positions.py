"""Values of substitutions at positions without a measurement, from measurements elsewhere in the same protein.

A linear model whose weights were learned across assays (`new_positions_learning`) and are part of a prior's file. It
reads how the protein's other positions answered: means by the residues exchanged, neighbours along the chain and what
kinds of residue they tolerate; and what the prior expects. A position's own measurements are never among its features,
so nothing is fitted to the assay. `auto` averages it with Gaussian processes.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from proteinx_pipelines.evidence.values import PRIOR_NEW_POSITIONS
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train.amino_acids import KIND, KINDS
from proteinx_pipelines.stages.train.prior_features import exchange_features
from proteinx_pipelines.stages.train.sites import TURN, window_features
from proteinx_pipelines.stages.train.substitution_table import SubstitutionTable, single_mutants
from proteinx_pipelines.stages.train.targets import deviation_of
from proteinx_pipelines.stages.train.task import FitTask

VERSION = "1"
"""Part of a prior's file; raise it when the features change."""
N_PRIOR = 2
"""Features that a prior gives, the first ones: the effect of the substitution, and of its site on average."""
N_CONSTANT = 50
"""Features that neither a prior nor measurements give, the last ones: exchange, surroundings, the constant."""
MOST = 4.0
"""Largest size of a target, in deviations: single outliers do not dominate."""
_N = len(AMINO_ACIDS)
_REACH, _NEAR = 8, 4
"""Neighbours on each side whose means are features, and those whose kinds of residue are."""
_FAR = 120
"""Distance beyond which a window ends."""
_ROWS_OF_MEANS, _ROWS_OF_A_SITE, _ROWS_OF_A_KIND, _WINDOW = 10.0, 2.0, 1.0, 0.3
"""Rows, or for a window sites, with mean 0 that each mean is drawn towards 0 by."""
AGAINST = -0.1
"""Correlation with the training targets below which what does not come from measurements is turned."""
_SITES_AT_ONCE = 200
_MOST_SURROUNDINGS = 3.0


def n_features() -> int:
    """Number of features, the constant last."""
    here = Measured(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return int(N_PRIOR + here.features(np.zeros(1, np.int64), np.zeros(1, np.int64)).shape[1])


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
        """float64 [m, c]: features of m substitutions but those of the prior, as if their positions were not measured.

        Those of measurements, which are linear in the targets, then `N_CONSTANT` that are the same for any targets.
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
                np.ones((len(position), 1)),
            ],
            axis=1,
        )

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
        counts = np.bincount(self.position, minlength=length)
        weight = counts / (counts + _ROWS_OF_A_SITE)
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


def expected(effects: np.ndarray, position: np.ndarray, new: np.ndarray) -> np.ndarray:
    """float64 [m, `N_PRIOR`]: features of m substitutions that a prior's effects (float [L, 20]) give."""
    found = [effects[position, new], effects.mean(axis=1)[position]]
    return np.asarray(np.column_stack(found), np.float64)


def fit_table(task: FitTask) -> SubstitutionTable | None:
    """Predict every substitution of the task's template from its training rows, single mutants.

    None where the prior has no weights for new positions or none without the protein's relatives, or where rows have
    several templates or mutations.
    """
    given = single_mutants(task, PRIOR_NEW_POSITIONS)
    if given is None:
        return None
    unit = (given.target - given.target.mean()) / deviation_of(given.target)
    measured = Measured(given.template, given.position, given.new, np.clip(unit, -MOST, MOST))
    return given.table(predicted(measured, given.effects, given.weights.astype(np.float64)))


def predicted(measured: Measured, effects: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Every substitution of a template in the unit of its training rows, float32 [L, 20].

    What does not come from measurements is turned where it clearly goes against them: lower scores may be better.

    Args:
        measured: the training rows.
        effects: float [L, 20], of the prior, finite.
        weights: float64 [`n_features()`], learned without the protein's relatives.
    """
    by_measurement = np.zeros(len(weights), bool)
    by_measurement[N_PRIOR : len(weights) - N_CONSTANT] = True
    constant = np.where(by_measurement, 0.0, weights)
    values = _described(measured, effects, measured.position, measured.new)
    if correlation(values @ constant, measured.target) < AGAINST:
        weights = np.where(by_measurement, weights, -weights)
    length = len(measured.template)
    found = np.empty((length, _N), np.float32)
    for start in range(0, length, _SITES_AT_ONCE):
        sites = np.arange(start, min(length, start + _SITES_AT_ONCE))
        position, new = np.repeat(sites, _N), np.tile(np.arange(_N), len(sites))
        values = _described(measured, effects, position, new)
        found[sites] = (values @ weights).reshape(len(sites), _N)
    return found


def _described(measured: Measured, effects: np.ndarray, position: np.ndarray, new: np.ndarray) -> np.ndarray:
    """float64 [m, `n_features()`]."""
    return np.hstack([expected(effects, position, new), measured.features(position, new)])


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's; 0 where a side does not vary."""
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size > 0 else 0.0


def _mean(code: np.ndarray, size: int, values: np.ndarray, rows: float) -> np.ndarray:
    """Mean of the values of each code, float64 [size], drawn towards 0 by some rows; 0 where there are none."""
    counts = np.bincount(code, minlength=size) + rows
    return np.asarray(np.bincount(code, values, size) / np.where(counts > 0, counts, 1.0))
