"""Joint draws have the mean and covariance of the posterior, whichever way they are made."""

import building
import numpy as np
import pytest
from test_residue_grid import combinations, trained

from proteinx_pipelines.stages.train import gp_structure, joint


@pytest.mark.parametrize(
    ("kernel", "most_joint"), [("rbf", 0), ("sites", 0), ("linear", 0), ("rbf", 4096), (None, 4096)]
)
def test_draws_have_the_posteriors_mean_and_covariance(kernel, most_joint, tmp_path, monkeypatch) -> None:
    """With `most_joint` 0 no covariance matrix may be used: by the grid, or by the weights."""
    sequences, targets = combinations(90)
    model, _, embedding, _ = trained(tmp_path, sequences, targets, kernel=kernel)
    asked = np.arange(0, 90, 5)
    expected = model.predict_covariance(embedding, asked)
    monkeypatch.setattr(joint, "MOST_JOINT", most_joint)
    if kernel == "rbf" and most_joint:  # the dense way is for rows beside the grid
        monkeypatch.setattr(joint, "_on_grid", lambda *_: None)
    drawn = np.stack(list(model.predict_draws(embedding, asked, 4000, (1,))))
    size = np.sqrt(np.diag(expected))
    assert np.abs(drawn.mean(axis=0) - model.predict(embedding, asked)).max() < 5 * size.max() / np.sqrt(4000)
    found = np.cov(drawn.T) / np.outer(size, size)
    assert np.abs(found - expected / np.outer(size, size)).max() < 0.1
    # Rows share what is not known: marginal draws would have a diagonal covariance.
    assert np.abs(expected - np.diag(np.diag(expected))).max() > 0.01 * expected.max()


def test_the_covariances_diagonal_is_the_deviation_without_noise(tmp_path) -> None:
    sequences, targets = combinations(90)
    model, _, embedding, test = trained(tmp_path, sequences, targets)
    noise = model.predictor.parameters.noise * model.predictor.scale**2
    found = np.diag(model.predict_covariance(embedding, test)) + noise
    assert np.sqrt(found) == pytest.approx(model.predict_deviation(embedding, test), rel=1e-6)


def test_a_draw_depends_on_its_seed_and_number_alone(tmp_path) -> None:
    sequences, targets = combinations(90)
    model, _, embedding, test = trained(tmp_path, sequences, targets, kernel="rbf")
    three = list(model.predict_draws(embedding, test, 3, (5,)))
    again = list(model.predict_draws(embedding, test, 2, (5,)))
    assert all(np.array_equal(a, b) for a, b in zip(three, again, strict=False))
    assert not np.array_equal(three[0], three[1])
    assert not np.array_equal(three[0], next(model.predict_draws(embedding, test, 1, (6,))))


def test_a_grid_of_more_rows_than_are_factorised_draws_alike(tmp_path, monkeypatch) -> None:
    sequences, targets = combinations(330)
    dense, _, embedding, test = trained(tmp_path / "dense", sequences, targets, kernel="rbf")
    expected = dense.predict_covariance(embedding, test[:10])
    monkeypatch.setattr(gp_structure, "MOST_EXACT", 200)
    many, _, _, _ = trained(tmp_path / "many", sequences, targets, kernel="rbf")
    found = np.cov(np.stack(list(many.predict_draws(embedding, test[:10], 1500))).T)
    size = np.sqrt(np.diag(expected))
    assert np.abs((found - expected) / np.outer(size, size)).max() < 0.15


def test_rows_beside_the_grid_are_drawn_by_their_covariance_and_too_many_not_at_all(tmp_path, monkeypatch):
    sequences, targets = combinations(90)
    model, _, _, _ = trained(tmp_path, sequences, targets, kernel="rbf")
    beside = building.one_hot(building.variant_table(["AR" + each[2:] for each in sequences], targets))
    rows = np.arange(30)
    assert len(next(model.predict_draws(beside, rows, 1))) == 30
    monkeypatch.setattr(joint, "MOST_JOINT", 29)
    assert model.predict_draws(beside, rows, 1) is None
    trees, *_ = trained(tmp_path / "trees", sequences, targets, model="boosting")
    assert trees.predict_draws(beside, rows, 1) is None
    assert trees.predict_covariance(beside, rows) is None
