import building
import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from proteinx_pipelines.stages.train.ridge_cv import ALPHAS, generalised_cross_validation


def by_definition(matrix, targets, alpha):
    n = len(targets)
    residual = targets - Ridge(alpha=alpha).fit(matrix, targets).predict(matrix)
    hat = matrix @ np.linalg.solve(matrix.T @ matrix + alpha * np.eye(matrix.shape[1]), matrix.T)
    return n * (residual**2).sum() / (n - 1 - np.trace(hat)) ** 2


@pytest.mark.parametrize(("n", "p"), [(60, 10), (20, 45)])
def test_every_penalty_is_judged_as_the_definition_says(n, p):
    rng = np.random.default_rng(n)
    matrix = rng.normal(size=(n, p))
    matrix -= matrix.mean(axis=0)
    targets = matrix[:, 0] + rng.normal(size=n)
    found = generalised_cross_validation(matrix, targets, np.array([0.1, 1.0, 50.0]))
    expected = [by_definition(matrix, targets, alpha) for alpha in (0.1, 1.0, 50.0)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_choice_is_near_that_of_leaving_one_out():
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(150, 40))
    matrix -= matrix.mean(axis=0)
    targets = matrix[:, :5].sum(axis=1) + rng.normal(0, 3, size=150)
    ours = ALPHAS[np.argmin(generalised_cross_validation(matrix, targets, ALPHAS))]
    theirs = RidgeCV(ALPHAS).fit(matrix, targets).alpha_
    assert abs(np.log10(ours / theirs)) < 0.6


def test_noise_gets_a_large_penalty_and_an_exact_law_a_small_one(tmp_path):
    alphas = []
    for noise in (0.0, 50.0):
        experiment = building.ToyExperiment(tmp_path / str(noise), n=240)
        targets = experiment.variants.column("target") + np.random.default_rng(0).normal(0, noise, 240)
        rows = experiment.variants.rows
        sequences = rows.column("sequence").to_pylist()
        experiment.variants = building.variant_table(sequences, targets)
        alphas.append(experiment.train(model={"name": "ridge_cv"}).info["folds"][0]["alpha"])
    assert alphas[0] < 0.1 < 10 < alphas[1]
