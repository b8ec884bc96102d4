"""Values of substitutions at positions without a measurement, from measurements elsewhere in the same protein.

A network learned across assays (`new_positions_learning`), part of a prior's file. It reads how the protein's other
positions answered (`measured`), what the prior expects and, where a model uses the structure, what sites near in it do
(`near_sites`). A position's own measurements are never among its features, so nothing is fitted to the assay. `auto`
averages it with Gaussian processes.
"""

import numpy as np

from proteinx_pipelines.evidence.values import PRIOR_NEW_POSITIONS, PRIOR_NEW_POSITIONS_STRUCTURE
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train import site_network
from proteinx_pipelines.stages.train.measured import Measured, correlation
from proteinx_pipelines.stages.train.near_sites import N_FEATURES as N_NEAR
from proteinx_pipelines.stages.train.near_sites import NearSites
from proteinx_pipelines.stages.train.site_network import SiteNetwork
from proteinx_pipelines.stages.train.structure_effects import ProteinSites, protein_sites
from proteinx_pipelines.stages.train.substitution_table import SubstitutionTable, single_mutants
from proteinx_pipelines.stages.train.targets import deviation_of
from proteinx_pipelines.stages.train.task import FitTask

VERSION = "2"
"""Part of a prior's file; raise it when the features or the form of the network change."""
N_PRIOR = 2
"""Features that a prior gives of a substitution, the first ones."""
MOST = 4.0
"""Largest size of a target, in deviations: single outliers do not dominate."""
AGAINST = -0.1
"""Correlation of the prior's effects with the training targets below which lower scores are taken to be better."""
_N = len(AMINO_ACIDS)
_SITES_AT_ONCE = 200


def expected(effects: np.ndarray, position: np.ndarray, new: np.ndarray) -> np.ndarray:
    """float64 [m, `N_PRIOR`]: the prior's effect (float [L, 20]) of m substitutions, and of their sites on average."""
    found = [effects[position, new], effects.mean(axis=1)[position]]
    return np.asarray(np.column_stack(found), np.float64)


def described(
    measured: Measured, position: np.ndarray, new: np.ndarray, near: NearSites | None
) -> np.ndarray:
    """float64 [m, c]: what measurements and, if there is one, a structure tell of m substitutions."""
    own = measured.features(position, new)
    return own if near is None else np.concatenate([own, near.features(position, new)], axis=1)


def of_protein(measured: Measured, effects: np.ndarray) -> np.ndarray:
    """float64 [20]: numbers of the whole protein, by which a network weighs what it reads of a substitution.

    Those of the measurements, and how well the prior's effects, and their means over sites, agree with them. They are
    read without a structure alone: learned from few proteins, they are learned by heart.
    """
    agreement = correlation(effects[measured.position, measured.new], measured.target)
    return np.array([*measured.of_protein, agreement, measured.agreement(effects.mean(axis=1))])


def features_of(
    measured: Measured, effects: np.ndarray, position: np.ndarray, new: np.ndarray, near: NearSites | None
) -> np.ndarray:
    """float32 [m, `n_features`]: all features of m substitutions."""
    columns = [expected(effects, position, new), described(measured, position, new, near)]
    if near is None:
        whole = of_protein(measured, effects)
        columns.append(np.broadcast_to(whole, (len(position), len(whole))))
    return np.concatenate(columns, axis=1).astype(np.float32)


def n_features(*, by_structure: bool) -> int:
    """Number of features of the network, with those of a structure or without."""
    one = np.zeros(1, np.int64)
    measured = Measured(one, one, one + 1, np.zeros(1))
    if by_structure:
        return int(N_PRIOR + described(measured, one, one, None).shape[1] + N_NEAR)
    return int(features_of(measured, np.zeros((1, _N)), one, one, None).shape[1])


def n_weights(*, by_structure: bool) -> int:
    """Numbers of one network in a prior's file."""
    return site_network.n_weights(n_features(by_structure=by_structure))


def fit_table(task: FitTask, *, by_structure: bool = False) -> SubstitutionTable | None:
    """Predict every substitution of the task's template from its training rows, single mutants.

    None where the prior has no network of new positions or none without the protein's relatives, or where rows have
    several templates or mutations.

    Args:
        task: the fold.
        by_structure: read the protein's structure, where it has one and the prior has a network that reads it.
    """
    evidence = task.embedding.evidence
    sites = given = None
    if by_structure and evidence is not None:
        given = single_mutants(task, PRIOR_NEW_POSITIONS_STRUCTURE)
        sites = None if given is None else protein_sites(evidence, 0, len(given.template))
    if sites is None:
        given = single_mutants(task, PRIOR_NEW_POSITIONS)
    if given is None:
        return None
    unit = (given.target - given.target.mean()) / deviation_of(given.target)
    # Higher scores are better where the network learned; what the prior expects tells which ones are here.
    sign = -1.0 if correlation(given.effects[given.position, given.new], unit) < AGAINST else 1.0
    measured = Measured(given.template, given.position, given.new, np.clip(sign * unit, -MOST, MOST))
    network = SiteNetwork.of_line(given.weights, n_features(by_structure=sites is not None))
    return given.table(sign * predicted(measured, given.effects, network, sites))


def predicted(
    measured: Measured, effects: np.ndarray, network: SiteNetwork, sites: ProteinSites | None = None
) -> np.ndarray:
    """Every substitution of a template in the unit of its training rows, float32 [L, 20].

    Args:
        measured: the training rows; the higher the target, the better.
        effects: float [L, 20], of the prior, finite.
        network: learned without the protein's relatives.
        sites: in the structure, for a network that reads it.
    """
    near = None if sites is None else NearSites(measured, sites)
    length = len(measured.template)
    found = np.empty((length, _N), np.float32)
    for start in range(0, length, _SITES_AT_ONCE):
        some = np.arange(start, min(length, start + _SITES_AT_ONCE))
        position, new = np.repeat(some, _N), np.tile(np.arange(_N), len(some))
        features = features_of(measured, effects, position, new, near)
        found[some] = network.values(features).reshape(len(some), _N)
    return found
