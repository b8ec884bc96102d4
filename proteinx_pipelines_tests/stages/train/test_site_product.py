"""The kernel of a few sites, and the root scale of targets that are never negative."""

import building
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train import root_scale
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.site_product import SiteProductKernel
from proteinx_pipelines.stages.train.train import train_models

RNG = np.random.default_rng(0)
RESIDUES = RNG.integers(0, 20, (260, 3))
SEQUENCES = [f"M{AMINO_ACIDS[a]}K{AMINO_ACIDS[b]}{AMINO_ACIDS[c]}V" for a, b, c in RESIDUES]
_EFFECTS = RNG.normal(size=(3, 20))
LATENT = (
    _EFFECTS[np.arange(3), RESIDUES].sum(axis=1) + RNG.normal(size=(20, 20))[RESIDUES[:, 0], RESIDUES[:, 2]]
)
COUNTS = np.exp(LATENT)
"""Never negative, most of them small: as ratios of counts are."""


def fitted(folder, targets, sequences=SEQUENCES, *, kernel="sites"):
    variants = building.variant_table(sequences, targets)
    split = building.split_of(variants, (np.arange(200), [], np.arange(200, 260)))
    flags = building.flags(model={"name": "gp", "kernel": kernel})
    directory = building.ToyExperiment(folder).directory
    embedding = building.one_hot(variants)
    training = train_models(
        variants, embedding, split, flags, directory=directory, monitor=building.Notebook()
    )
    return load_model(training.model_dirs[0]), training.info["folds"][0], embedding


@given(st.integers(1, 4), st.lists(st.floats(-4, 4), min_size=3, max_size=3), st.integers(0, 1000))
def test_the_kernel_is_a_covariance_with_the_variance_on_its_diagonal(n_positions, parameters, seed) -> None:
    random = np.random.default_rng(seed)
    rows = random.integers(0, 21, (30, n_positions + 1)).astype(np.uint8)
    kernel, values = SiteProductKernel(n_positions), np.array(parameters)
    found = kernel.combine(kernel.pieces(rows, rows), values)
    np.testing.assert_allclose(np.diag(found), kernel.diagonal(rows, values))
    np.testing.assert_allclose(found, found.T)
    assert np.linalg.eigvalsh(found / np.exp(values[0])).min() > -1e-8


def test_targets_that_are_never_negative_are_learned_as_roots_and_predicted_in_their_own_unit(tmp_path):
    model, told, embedding = fitted(tmp_path / "counts", COUNTS)
    rows = np.arange(260)
    assert told["scale_of_targets"] == "root"
    mean, deviation = model.predict_both(embedding, rows)
    np.testing.assert_array_equal(mean, model.predict(embedding, rows))
    np.testing.assert_array_equal(deviation, model.predict_deviation(embedding, rows))
    assert np.corrcoef(mean[:200], COUNTS[:200])[0, 1] > 0.9
    low, high = model.deviation_bounds(embedding, rows)
    assert (low <= deviation + 1e-9).all()
    assert (deviation <= high + 1e-9).all()
    other, told, _ = fitted(tmp_path / "logarithms", LATENT)
    assert "scale_of_targets" not in told
    assert other.predict(embedding, rows).min() < 0


def test_draws_agree_with_the_covariance_and_the_mean(tmp_path):
    model, _, embedding = fitted(tmp_path, COUNTS)
    rows = np.arange(200, 240)
    drawn = np.array(list(model.predict_draws(embedding, rows, 400, [3])))
    mean = model.predict(embedding, rows)
    deviation = np.sqrt(np.diag(model.predict_covariance(embedding, rows)))
    assert np.corrcoef(np.median(drawn, axis=0), mean)[0, 1] > 0.95
    assert np.corrcoef(drawn.std(axis=0), deviation)[0, 1] > 0.9


@given(st.floats(-3, 3), st.floats(0, 3), st.floats(0, 3))
def test_a_spread_grows_with_its_deviation_and_reaches_the_upper_end(mean, one, other) -> None:
    low, high = (root_scale.spread(np.array(mean), np.array(each)) for each in sorted((one, other)))
    assert 0 <= low <= high + 1e-12
    assert root_scale.from_latent(np.array(mean)) + 2 * high == pytest.approx(
        root_scale.from_latent(np.array(mean + 2 * max(one, other)))
    )


def test_more_positions_than_a_few_are_refused_by_name(tmp_path):
    many = ["".join(RNG.choice(list(AMINO_ACIDS), 12)) for _ in range(260)]
    with pytest.raises(FlagError, match="these vary at 12"):
        fitted(tmp_path, COUNTS, many)
