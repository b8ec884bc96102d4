import building
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from proteinx_pipelines.stages.train import moments, penalty_path, ridge_cv
from proteinx_pipelines.stages.train.moments import moments_by_fold
from proteinx_pipelines.stages.train.penalty_path import by_conjugate_gradients, by_decomposition
from proteinx_pipelines.stages.train.ridge import fit_ridge
from proteinx_pipelines.stages.train.ridge_cv import fit_by_folds, fold_errors

ALPHAS = np.logspace(-2, 3, 6)


def library(n=400, length=30, mutations=3):
    rng = np.random.default_rng(n)
    variants = building.variant_table(
        building.random_sequences(n, length, rng, mutations=mutations), np.zeros(n)
    )
    embedding = building.one_hot(variants)
    return embedding, rng.normal(3, 2, n)


def vectors(n=300, width=25):
    rng = np.random.default_rng(n)
    variants = building.variant_table(["AC"] * n, np.zeros(n))
    return building.dense(variants, rng.normal(30, 1, (n, width))), rng.normal(size=n)


def by_scikit_learn(embedding, rows, targets, fold):
    """Mean squared error of each penalty, with the dense matrix and a fit for each fold."""
    matrix, errors = embedding.dense(rows).astype(np.float64), np.zeros(len(ALPHAS))
    for i, alpha in enumerate(ALPHAS):
        for k in range(fold.max() + 1):
            fitted = Ridge(alpha).fit(matrix[fold != k], targets[fold != k])
            errors[i] += ((targets[fold == k] - fitted.predict(matrix[fold == k])) ** 2).sum()
    return errors / len(rows)


@pytest.mark.parametrize("chunk", [64, 8192])
@pytest.mark.parametrize("make", [library, vectors, lambda: library(300, 4, 4)])
def test_the_errors_from_sums_equal_those_of_fits_without_each_fold(make, chunk, monkeypatch):
    monkeypatch.setattr(moments, "_CHUNK_ROWS", chunk)
    embedding, targets = make()
    rows = np.arange(7, len(targets))
    fold = np.random.default_rng(1).permutation(len(rows)) % 5
    found = moments_by_fold(embedding, rows, targets[rows], fold)
    expected = by_scikit_learn(embedding, rows, targets[rows], fold)
    np.testing.assert_allclose(fold_errors(found, ALPHAS), expected, rtol=1e-8)


def test_conjugate_gradients_equal_the_decomposition_on_dense_and_sparse_sums(monkeypatch):
    monkeypatch.setattr(penalty_path, "MOST_DECOMPOSED", 0)
    embedding, targets = library(900)
    found = moments_by_fold(embedding, np.arange(900), targets, np.arange(900) % 5)
    expected = by_decomposition(found.total, ALPHAS)
    for most_dense in (0, 5000):
        monkeypatch.setattr(penalty_path, "MOST_DENSE", most_dense)
        weights, is_solved = penalty_path.ridge_path(found.total, ALPHAS, found.groups)
        assert is_solved.all()
        np.testing.assert_allclose(weights, expected, atol=1e-8)


def test_single_mutants_need_few_products_with_the_matrix(monkeypatch):
    sequences = ["A" * at + letter + "A" * (29 - at) for at in range(30) for letter in "CDEFGHIKL"]
    variants = building.variant_table(sequences, np.zeros(270))
    targets = np.random.default_rng(0).normal(size=270)
    found = moments_by_fold(building.one_hot(variants), np.arange(270), targets, np.arange(270) % 5)
    monkeypatch.setattr(penalty_path, "MOST_STEPS", 12)
    weights, is_solved = by_conjugate_gradients(found.total, ALPHAS, found.groups)
    assert is_solved.all()
    np.testing.assert_allclose(weights, by_decomposition(found.total, ALPHAS), atol=1e-8)


def test_what_conjugate_gradients_leave_unsolved_is_decomposed(monkeypatch):
    monkeypatch.setattr(penalty_path, "MOST_DECOMPOSED", 0)
    monkeypatch.setattr(penalty_path, "MOST_STEPS", 2)
    embedding, targets = library()
    found = moments_by_fold(embedding, np.arange(400), targets, np.arange(400) % 5)
    assert not by_conjugate_gradients(found.total, ALPHAS, found.groups)[1].all()
    weights, is_solved = penalty_path.ridge_path(found.total, ALPHAS, found.groups)
    assert is_solved.all()
    np.testing.assert_allclose(weights, by_decomposition(found.total, ALPHAS), atol=1e-8)


@pytest.mark.parametrize("steps", [1, 8])
def test_a_penalty_that_is_not_solved_is_not_judged_and_a_model_that_is_not_says_so(steps, monkeypatch):
    """Of more columns than are decomposed, whatever the steps had led to was used in silence."""
    monkeypatch.setattr(penalty_path, "MOST_DECOMPOSED", 0)
    monkeypatch.setattr(penalty_path, "MOST_DENSE", 0)
    embedding, targets = library()
    fold = np.random.default_rng(0).permutation(400) % 5
    expected = fold_errors(moments_by_fold(embedding, np.arange(400), targets, fold), ALPHAS)
    monkeypatch.setattr(penalty_path, "MOST_STEPS", steps)
    errors = fold_errors(moments_by_fold(embedding, np.arange(400), targets, fold), ALPHAS)
    is_judged = np.isfinite(errors)
    assert is_judged.tolist() == sorted(is_judged)  # the larger the penalty, the fewer steps
    assert is_judged.any() == (steps == 8)
    assert not is_judged.all()
    np.testing.assert_allclose(errors[is_judged], expected[is_judged], rtol=1e-8)
    model, alpha = fit_by_folds(embedding, np.arange(400), targets, ALPHAS, seed=0)
    assert model.converged == (steps == 8)
    assert steps == 8 or alpha == ALPHAS[-1] * 1.25


@pytest.mark.parametrize("make", [library, vectors])
def test_the_model_of_the_chosen_penalty_is_the_ridge_with_that_penalty(make):
    embedding, targets = make()
    rows = np.arange(3, len(targets))
    ours, alpha = fit_by_folds(embedding, rows, targets[rows], ALPHAS, seed=4)
    plain = fit_ridge(embedding, rows, targets[rows], alpha=alpha)
    everything = np.arange(len(targets))
    np.testing.assert_allclose(ours.mean(embedding, everything), plain.mean(embedding, everything), atol=1e-8)
    assert alpha * 0.8 == pytest.approx(ALPHAS[np.abs(ALPHAS - alpha * 0.8).argmin()])


def test_more_rows_than_one_decomposition_takes_are_judged_by_folds(tmp_path, monkeypatch):
    experiment = building.ToyExperiment(tmp_path, n=240)
    whole = experiment.train(model={"name": "ridge_cv"}).info["folds"][0]["alpha"]
    monkeypatch.setattr(ridge_cv, "MOST_ROWS", 80)
    folds = experiment.train(model={"name": "ridge_cv"}).info["folds"][0]["alpha"]
    assert np.isclose(folds, ridge_cv.ALPHAS * 1.25).any()
    assert abs(np.log10(folds / whole)) < 1.5


def test_the_penalty_of_noise_is_large_and_that_of_an_exact_law_small():
    embedding, noise = library(600)
    law = embedding.dense().astype(np.float64) @ np.random.default_rng(2).normal(size=embedding.width)
    rows = np.arange(600)
    small, large = (fit_by_folds(embedding, rows, y, ALPHAS, seed=0)[1] for y in (law, noise))
    assert small < 1 < large
