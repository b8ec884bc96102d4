import building
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from proteinx_pipelines.stages.train.blocks import find_blocks
from proteinx_pipelines.stages.train.one_hot import contrast_matrix
from proteinx_pipelines.stages.train.ridge import fit_ridge


def agree(embedding, rows, targets, alpha, tolerance=1e-8):
    ours = fit_ridge(embedding, rows, targets, alpha=alpha)
    matrix = embedding.dense(rows).astype(np.float64)
    theirs = Ridge(alpha=alpha, solver="cholesky").fit(matrix, targets)
    np.testing.assert_allclose(ours.weights, theirs.coef_, atol=tolerance)
    assert ours.intercept == pytest.approx(theirs.intercept_, abs=tolerance * embedding.width)
    everything = np.arange(embedding.n_variants)
    expected = theirs.predict(embedding.dense().astype(np.float64))
    np.testing.assert_allclose(ours.mean(embedding, everything), expected, atol=tolerance)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 60),
    length=st.integers(2, 15),
    alpha=st.sampled_from([0.01, 1.0, 30.0]),
)
def test_one_hot_ridge_equals_scikit_learn_on_the_dense_matrix(seed, n, length, alpha):
    rng = np.random.default_rng(seed)
    sequences = building.random_sequences(n, length, rng)
    shorter = [sequence[: rng.integers(1, length + 1)] for sequence in sequences]  # padded ends
    variants = building.variant_table(shorter, np.zeros(n))
    rows = np.sort(rng.choice(n, rng.integers(1, n + 1), replace=False))
    agree(building.one_hot(variants), rows, rng.normal(3, 2, len(rows)), alpha)


@pytest.mark.parametrize(("n", "width"), [(80, 12), (12, 80), (30, 30)])
@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_ridge_on_vectors_equals_scikit_learn_in_both_shapes(n, width, alpha):
    rng = np.random.default_rng(n)
    variants = building.variant_table(["AC"] * n, np.zeros(n))
    embedding = building.dense(variants, rng.normal(5, 1, (n, width)))
    agree(embedding, np.arange(n - 2), rng.normal(size=n - 2), alpha)


def test_without_a_penalty_the_shortest_solution_is_taken():
    rng = np.random.default_rng(1)
    variants = building.variant_table(building.random_sequences(40, 5, rng), np.zeros(40))
    embedding, targets = building.one_hot(variants), rng.normal(size=40)
    ours = fit_ridge(embedding, np.arange(40), targets, alpha=0.0)
    matrix = embedding.dense().astype(np.float64)
    shortest = np.linalg.lstsq(matrix - matrix.mean(axis=0), targets - targets.mean(), rcond=1e-10)[0]
    np.testing.assert_allclose(ours.weights, shortest, atol=1e-8)


def test_identical_training_sequences_give_their_mean():
    variants = building.variant_table(["ACD", "ACD", "AAD"], np.zeros(3))
    embedding = building.one_hot(variants)
    fitted = fit_ridge(embedding, np.array([0, 1]), np.array([1.0, 2.0]), alpha=1.0)
    assert fitted.mean(embedding, np.arange(3)).tolist() == [1.5, 1.5, 1.5]


def test_the_contrast_holds_only_what_differs():
    variants = building.variant_table(["A" * 500, "A" * 499 + "C", "A" * 499 + "C"], np.zeros(3))
    contrast = contrast_matrix(building.one_hot(variants).tokens, np.arange(3), 20)
    assert contrast.matrix.toarray().tolist() == [[1, -1], [0, 0], [0, 0]]
    assert contrast.columns.tolist() == [499 * 20, 499 * 20 + 1]
    assert contrast.reference.tolist() == [0, 1]


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 100.0])
def test_single_mutants_are_solved_in_blocks_and_equal_scikit_learn(alpha):
    rng = np.random.default_rng(2)
    sequences = ["A" * at + letter + "A" * (29 - at) for at in range(30) for letter in "CDEFGHIKL"]
    variants = building.variant_table([*sequences, "A" * 30], np.zeros(271))
    embedding, rows = building.one_hot(variants), np.sort(rng.choice(271, 200, replace=False))
    blocks = find_blocks((m := contrast_matrix(embedding.tokens, rows, 20).matrix).T @ m)
    assert blocks.size.max() <= 10
    agree(embedding, rows, rng.normal(3, 2, 200), alpha)


@pytest.mark.parametrize("alpha", [1e-12, 1e-16, 1e-17])
def test_a_penalty_below_the_rounding_is_as_none(alpha):
    """Block by block it was lost in the rounding: weights were NaN, or a LinAlgError had no word of what to do."""
    rng = np.random.default_rng(2)
    sequences = ["A" * at + letter + "A" * (29 - at) for at in range(30) for letter in "CDEFGHIKL"]
    embedding = building.one_hot(building.variant_table(sequences, np.zeros(270)))
    targets, rows = rng.normal(3, 2, 270), np.sort(rng.choice(270, 200, replace=False))
    ours, without = (fit_ridge(embedding, rows, targets[rows], alpha=each) for each in (alpha, 0.0))
    np.testing.assert_allclose(ours.mean(embedding, rows), without.mean(embedding, rows), atol=1e-10)
