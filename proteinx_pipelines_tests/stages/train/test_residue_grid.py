import building
import numpy as np
import pytest
from scipy.stats import spearmanr

from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train import gp_structure, residue_grid
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.residue_grid import ResidueGrid, cells_of, fills_grid, gaussian_factor
from proteinx_pipelines.stages.train.train import train_models


def combinations(n_rows, *, length=2, seed=0):
    """Rows of all combinations of 20 residues at `length` positions, drawn; the target has interactions."""
    rng = np.random.default_rng(seed)
    cells = np.sort(rng.permutation(20**length)[:n_rows])
    residues = np.stack(np.unravel_index(cells, (20,) * length), axis=1)
    effects, pairs = rng.normal(size=(length, 20)), rng.normal(size=(20, 20))
    targets = effects[np.arange(length), residues].sum(axis=1) + pairs[residues[:, 0], residues[:, -1]]
    sequences = ["MK" + "".join(AMINO_ACIDS[i] for i in row) + "V" for row in residues]
    return sequences, targets + rng.normal(0, 0.2, n_rows)


def trained(folder, sequences, targets, *, model="gp", kernel=None):
    variants = building.variant_table(sequences, targets)
    embedding = building.one_hot(variants)
    order = np.random.default_rng(1).permutation(len(targets))
    cut = len(order) * 4 // 5
    split = building.split_of(variants, (np.sort(order[:cut]), [], np.sort(order[cut:])))
    flags = building.flags(model={"name": model, "kernel": kernel})
    directory = building.ToyExperiment(folder).directory
    training = train_models(
        variants, embedding, split, flags, directory=directory, monitor=building.Notebook()
    )
    fitted = load_model(training.model_dirs[0])
    return fitted, training.info["folds"][0], embedding, split.folds[0].test


@pytest.mark.parametrize(
    ("length", "n_rows", "padded", "kernel"),
    [(2, 400, False, "rbf"), (2, 330, True, "rbf"), (3, 2000, False, "rbf"), (2, 330, True, "sites")],
)
def test_the_process_on_the_grid_equals_the_dense_one(length, n_rows, padded, kernel, tmp_path, monkeypatch):
    sequences, targets = combinations(n_rows, length=length)
    if padded:  # a shorter sequence is padded at its end
        sequences = [sequence[: 3 if i in {5, 50, 100, 150} else 4] for i, sequence in enumerate(sequences)]
    dense, _, embedding, test = trained(tmp_path / "dense", sequences, targets, kernel=kernel)
    monkeypatch.setattr(gp_structure, "MOST_EXACT", 200)
    called = []
    solve = ResidueGrid.solve
    monkeypatch.setattr(ResidueGrid, "solve", lambda self, *rest: called.append(1) or solve(self, *rest))
    fills = fills_grid(embedding.tokens)
    grid, info, _, _ = trained(tmp_path / "grid", sequences, targets, kernel=kernel)
    assert fills
    assert called
    assert info["n_rows"] == n_rows * 4 // 5
    np.testing.assert_allclose(grid.predict(embedding, test), dense.predict(embedding, test), atol=1e-6)
    wider = grid.predict_deviation(embedding, test) - dense.predict_deviation(embedding, test)
    assert wider.min() > -1e-6
    # Beside the grid: a residue that all training rows share is another one.
    beside = ["AR" + sequence[2:] for sequence in sequences]
    changed = building.one_hot(building.variant_table(beside, targets))
    np.testing.assert_allclose(grid.predict(changed, test), dense.predict(changed, test), atol=1e-6)
    assert np.ptp(grid.predict(changed, test)) < np.ptp(grid.predict(embedding, test))


def test_the_solution_equals_that_with_the_dense_matrix_to_a_millionth():
    rng = np.random.default_rng(0)
    residues = np.stack(np.unravel_index(np.sort(rng.permutation(400)[:330]), (20, 20)), axis=1).astype(
        np.uint8
    )
    targets, noise = rng.normal(size=330), 0.05
    squared = 2.0 * (residues[:, None] != residues[None]).sum(axis=2)
    covariance = 0.8 * np.exp(-squared / (2 * 1.7)) + noise * np.eye(330)
    grid, cells = ResidueGrid(0.8, gaussian_factor(1.7, 20), 2), cells_of(residues, 20)
    solved, converged = grid.solve(cells, targets, noise)
    assert converged
    np.testing.assert_allclose(solved, np.linalg.solve(covariance, targets), atol=1e-6)
    np.testing.assert_allclose(
        grid.times(cells, targets, cells), (covariance - noise * np.eye(330)) @ targets, atol=1e-9
    )


def test_more_rows_of_a_grid_than_can_be_factorised_are_all_used_without_being_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(gp_structure, "MOST_EXACT", 150)
    sequences, targets = combinations(380)
    for name in ("gp", "auto"):
        model, info, embedding, test = trained(tmp_path / name, sequences, targets, model=name)
        assert info["kernel"] == "rbf"
        assert info.get("parts", ["gp"]) == ["gp"]
        assert spearmanr(model.predict(embedding, test), targets[test]).statistic > 0.5


def test_what_is_not_a_grid_is_not_taken_for_one():
    sequences, _ = combinations(300)
    tokens = building.one_hot(building.variant_table(sequences, np.zeros(300))).tokens
    assert fills_grid(tokens)
    assert not fills_grid(tokens[:30])  # mostly empty
    assert not fills_grid(tokens[np.append(np.arange(299), 0)])  # a row twice
    many = building.random_sequences(500, 30, np.random.default_rng(0))
    assert not fills_grid(building.one_hot(building.variant_table(many, np.zeros(500))).tokens)
    assert residue_grid.MOST_CELLS >= 21**5
