"""Scales chosen by what the split promises, and deviations that left-out rows bear out."""

import numpy as np
import pytest

from proteinx_pipelines.stages.train import gp
from proteinx_pipelines.stages.train.gaussian_process import Parameters
from proteinx_pipelines.stages.train.gp_rows import MutationRows
from proteinx_pipelines.stages.train.gp_weights import solved
from proteinx_pipelines.stages.train.kernels import MutationKernel
from proteinx_pipelines.stages.train.left_out import Weighed, left_out
from proteinx_pipelines.stages.train.mutations import MutationList
from proteinx_pipelines.stages.train.promise import Promise
from proteinx_pipelines.stages.train.replicate_noise import RowNoise
from proteinx_pipelines.stages.train.scales import choose_scales, deviation_factor
from proteinx_pipelines_tests.evidence.proteins import sequence_of

SITES, EACH = 60, 5
TEMPLATE = np.array(["ACDEFGHIKLMNPQRSTVWY".index(letter) for letter in sequence_of(SITES, 2)], np.uint8)[
    None
]


def rows_of() -> MutationRows:
    """Five single mutants of each site."""
    random, site = np.random.default_rng(0), np.repeat(np.arange(SITES), EACH)
    new = np.concatenate(
        [random.choice(np.delete(np.arange(20), TEMPLATE[0, at]), EACH, replace=False) for at in range(SITES)]
    )
    n = len(site)
    training = MutationList(np.arange(n), np.zeros(n, np.int64), site, new, n)
    return MutationRows(TEMPLATE, training, MutationKernel(TEMPLATE, epistasis=False))


def targets_of(rows: MutationRows, of_site: float) -> np.ndarray:
    random = np.random.default_rng(1)
    values = of_site * random.normal(size=SITES)[rows.training.position] + random.normal(
        size=rows.training.n_rows
    )
    return np.asarray((values - values.mean()) / values.std())


@pytest.mark.parametrize("smaller", [1.0, 2.0, 4.0])
def test_deviations_that_are_too_small_are_enlarged_by_what_left_out_rows_say(smaller):
    """Noise of variance 1 that a model believes to be a fraction of it: the factor makes up for it."""
    targets = np.random.default_rng(0).normal(size=400)
    weighed = Weighed(np.log([1e-6]), 1 / smaller**2, 0.0)
    rows = np.arange(400)
    factor = deviation_factor([np.eye(400)], targets, weighed, rows % 5, rows)
    assert factor == pytest.approx(min(3.0, smaller ** (400 / 450)), rel=0.1)
    few = deviation_factor([np.eye(400)], targets, weighed, rows % 5, rows // 100)
    assert abs(np.log(few)) < 0.1 + 0.1 * np.log(smaller)  # four blocks prove little
    assert deviation_factor([np.eye(20)], targets[:20], weighed, rows[:20] % 5, rows[:20]) == 1.0


def test_the_factor_changes_deviations_and_no_mean():
    rows = rows_of()
    unit = targets_of(rows, 1.0)
    scales = choose_scales(rows, np.arange(len(unit)), unit, Promise("positions"))
    plain = Parameters(scales.weighed.parameters, scales.weighed.noise, 0.0)
    doubled = Parameters(plain.kernel + 2 * np.log(2.0), plain.noise * 4, 0.0)
    one, two = (solved(rows, each, unit, 0.0, 1.0) for each in (plain, doubled))
    known = rows.training
    cross = rows.kernel.pieces(known, known)
    means = [rows.kernel.combine(cross, p.parameters.kernel) @ p.weights for p in (one, two)]
    np.testing.assert_allclose(means[0], means[1], atol=1e-4)
    np.testing.assert_allclose(two.typical_deviation(), 2 * one.typical_deviation(), rtol=1e-4)


def test_whole_positions_are_left_out_where_the_split_asks_for_new_ones():
    """Sites that share nothing: single left-out rows are predicted by their site, whole positions by nothing."""
    rows = rows_of()
    unit = targets_of(rows, 1.5)
    few = np.arange(len(unit))
    by_variant, by_position = (
        choose_scales(rows, few, unit, Promise(name)) for name in ("variants", "positions")
    )
    specific, shared = by_position.weighed.parameters
    assert np.isfinite([specific, shared]).all()
    assert by_position.weighed.log_likelihood != by_variant.weighed.log_likelihood
    # At new positions nothing is known: what is left unexplained is larger, and deviations cover it.
    spread = np.sqrt(by_position.parameters.noise + np.exp(by_position.parameters.kernel).sum())
    assert spread > 0.8


def test_rows_measured_more_often_count_more():
    """Half of the rows are means of 16 measurements, half single ones: the fit that knows predicts better."""
    rows, random = rows_of(), np.random.default_rng(3)
    n = rows.training.n_rows
    truth = targets_of(rows, 2.0)
    merged = np.where(random.random(n) < 0.5, 16, 1)
    unit = truth + 1.5 * random.normal(size=n) / np.sqrt(merged)
    few, promise = np.arange(n), Promise("variants")
    scales = choose_scales(rows, few, unit, promise, RowNoise(1.5**2 / merged))
    assert scales.relative is not None
    assert scales.relative[merged == 1].mean() > 2 * scales.relative[merged == 16].mean()
    assert scales.relative.mean() == pytest.approx(1.0)
    plain = choose_scales(rows, few, unit, promise)
    assert plain.relative is None
    groups = promise.groups(rows.training)
    errors = [
        ((truth - left_out(each.terms, unit, each.weighed, groups, each.relative)) ** 2).mean()
        for each in (scales, plain)
    ]
    assert errors[0] < 0.97 * errors[1]
    # The same number of replicates everywhere is no difference between rows.
    assert choose_scales(rows, few, unit, promise, RowNoise(np.full(n, 0.3))).relative is None


def test_the_noise_of_each_row_is_kept_in_the_model():
    rows = rows_of()
    unit = targets_of(rows, 1.0)
    relative = np.where(np.arange(len(unit)) % 2, 0.5, 1.5)
    parameters = Parameters(np.zeros(2), 0.5, 0.0)
    one = solved(rows, parameters, unit, 0.0, 1.0, relative)
    two = gp.restore(one.settings(), one.tensors())
    np.testing.assert_allclose(one.factor, two.factor)
    assert not np.allclose(one.weights, solved(rows, parameters, unit, 0.0, 1.0).weights)
