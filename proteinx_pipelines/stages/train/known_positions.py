"""Values of substitutions at positions with measurements, by a network learned across assays (`prior_learning`).

It reads `site_profiles` and the effects that the prior expects; nothing of it is fitted to the assay but the line from
its unit, normal scores, to the targets. Its weights are part of a prior's file (`known_positions_learning`). `auto`
averages it with a Gaussian process.
"""

from collections.abc import Iterator

import numpy as np

from proteinx_pipelines.evidence.values import PRIOR_KNOWN_POSITIONS
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train import site_network
from proteinx_pipelines.stages.train.measured import Measured, correlation
from proteinx_pipelines.stages.train.new_positions import AGAINST
from proteinx_pipelines.stages.train.site_network import SiteNetwork
from proteinx_pipelines.stages.train.site_profiles import N_EXPECTED, Expected, SiteProfiles
from proteinx_pipelines.stages.train.substitution_table import SubstitutionTable, single_mutants
from proteinx_pipelines.stages.train.targets import deviation_of, fit_scaling
from proteinx_pipelines.stages.train.task import FitTask

_PARTS = 5
"""Parts of the training rows, each predicted from the others."""
_SITES_AT_ONCE = 200
_STEEPEST = 2.0
"""Largest slope of the line from the network's values to the targets."""


def n_features() -> int:
    """Number of features of the network."""
    one = SiteProfiles(
        Measured(np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1, np.int64), np.zeros(1))
    )
    return int(N_EXPECTED + one.features(np.zeros(1, np.int64), np.zeros(1, np.int64)).shape[1])


def n_weights() -> int:
    """Numbers of one network in a prior's file."""
    return site_network.n_weights(n_features())


def fit_table(task: FitTask) -> SubstitutionTable | None:
    """Predict every substitution of the task's template from its training rows, single mutants.

    None where the prior has no network or none without the protein's relatives, or where rows have several templates
    or mutations.
    """
    given = single_mutants(task, PRIOR_KNOWN_POSITIONS)
    if given is None:
        return None
    network = SiteNetwork.of_line(given.weights, n_features())
    # Higher scores are better where the network learned; what the prior expects tells which ones are here.
    here = given.effects[given.position, given.new]
    sign = -1.0 if correlation(here, given.target) < AGAINST else 1.0
    unit = sign * fit_scaling("rank", given.target).scale(given.target)
    measured = Measured(given.template, given.position, given.new, unit)
    table, left_out = predicted(measured, given.effects, given.exchange, network)
    targets = sign * (given.target - given.target.mean()) / deviation_of(given.target)
    return given.table(sign * _in_unit(table, left_out, targets))


def predicted(
    measured: Measured, effects: np.ndarray, exchange: np.ndarray, network: SiteNetwork
) -> tuple[np.ndarray, np.ndarray]:
    """Every substitution of a template, float32 [L, 20], and the measured ones again, float32 [n].

    Values are normal scores. A measured substitution is predicted from four fifths of the rows, without its own; it
    has that value in the table, too.

    Args:
        measured: the training rows; targets are normal scores, the higher the better.
        effects: float [L, 20], of the prior, finite.
        exchange: float [20, 20], of the prior: covariance of residues at one site.
        network: learned without the protein's relatives.
    """
    length, n = len(measured.template), len(AMINO_ACIDS)
    table, whole = np.empty((length, n), np.float32), SiteProfiles(measured)
    expected = Expected(whole, effects, exchange)
    for start in range(0, length, _SITES_AT_ONCE):
        sites = np.arange(start, min(length, start + _SITES_AT_ONCE))
        position, new = np.repeat(sites, n), np.tile(np.arange(n), len(sites))
        table[sites] = network.values(described(expected, position, new)).reshape(len(sites), n)
    left_out = np.zeros(len(measured.target), np.float32)
    for rows, others in _parts(len(measured.target)):
        rest = SiteProfiles(
            Measured(
                measured.template, measured.position[others], measured.new[others], measured.target[others]
            )
        )
        features = described(Expected(rest, effects, exchange), measured.position[rows], measured.new[rows])
        left_out[rows] = network.values(features)
    table[measured.position, measured.new] = left_out
    return table, left_out


def described(expected: Expected, position: np.ndarray, new: np.ndarray) -> np.ndarray:
    """float32 [m, `n_features()`]: features of m substitutions that are not measured."""
    return np.concatenate(
        [expected.features(position, new), expected.profiles.features(position, new)], axis=1
    )


def _parts(n: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of each part, and all others: int64 each."""
    order = np.random.default_rng(n).permutation(n)
    for part in np.array_split(order, min(_PARTS, n)):
        others = np.ones(n, bool)
        others[part] = False
        if others.any():
            yield np.sort(part), np.flatnonzero(others)


def _in_unit(table: np.ndarray, left_out: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """The table in units of the targets' deviation, float32 [L, 20], by the line of least squares of the left-out rows.

    A network that knows nothing of this protein gets no slope: its table says the mean everywhere.
    """
    centre = float(left_out.mean())
    apart = left_out - centre
    size = float(apart @ apart)
    slope = float(np.clip(apart @ unit / size, 0.0, _STEEPEST)) if size > 0 else 0.0
    return np.asarray(slope * (table - centre), np.float32)
