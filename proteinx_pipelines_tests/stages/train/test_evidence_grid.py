"""Products without the matrix: what the covariance with evidence gives, at a fraction of its operations."""

import numpy as np
import pytest

from proteinx_pipelines.records import AMINO_ACIDS, Evidence
from proteinx_pipelines.stages.train import gp_structure
from proteinx_pipelines.stages.train.evidence_grid import EvidenceGrid
from proteinx_pipelines.stages.train.evidence_kernel import EvidenceKernel
from proteinx_pipelines.stages.train.evidence_sites import sites_of
from proteinx_pipelines.stages.train.mutations import MutationList
from proteinx_pipelines_tests.stages.train.test_evidence import (
    ALIGNMENT,
    SITES,
    STRUCTURE,
    TEMPLATE,
    evidence_of,
    prior_evidence,
    trained,
    variants,
)

LINE = np.array([[AMINO_ACIDS.index(letter) for letter in TEMPLATE]], np.uint8)


def prior() -> Evidence:
    found = prior_evidence(np.random.default_rng(1).normal(size=(SITES, 20)))
    found.arrays["prior_modes"][:] = np.random.default_rng(2).normal(size=(1, SITES, 60))
    return found


def kernel_of(evidence: Evidence, *, epistasis: bool = False) -> EvidenceKernel:
    sites = sites_of(evidence, LINE)
    assert sites is not None
    return EvidenceKernel(LINE, sites, epistasis=epistasis)


def mutations(n: int, seed: int, *, most: int = 1) -> MutationList:
    """Rows of one to `most` mutations, some rows twice."""
    random = np.random.default_rng(seed)
    rows, places, residues = [], [], []
    for row in range(n):
        for place in sorted(random.choice(SITES, random.integers(1, most + 1), replace=False)):
            rows.append(row)
            places.append(place)
            residues.append(random.choice([a for a in range(20) if a != LINE[0, place]]))
    zeros = np.zeros(len(rows), np.int64)
    return MutationList(np.array(rows), zeros, np.array(places), np.array(residues), n)


@pytest.mark.parametrize("kind", ["prior", "structure", "alignment"])
@pytest.mark.parametrize("most", [1, 3])
def test_products_are_those_of_the_covariance(kind, most):
    files = {"structure": STRUCTURE, "alignment": ALIGNMENT}
    kernel = kernel_of(prior() if kind == "prior" else evidence_of(**{kind: files[kind]}))
    parameters = kernel.start + 0.5 * np.random.default_rng(0).normal(size=len(kernel.start))
    training, asked = mutations(200, 1, most=most), mutations(70, 2, most=most)
    vector = np.random.default_rng(3).normal(size=200)
    grid = EvidenceGrid.of(kernel, training, parameters, 600)
    assert grid is not None
    for rows, found in ((training, grid.times(vector)), (asked, grid.times(vector, asked))):
        expected = kernel.combine(kernel.pieces(rows, training), parameters) @ vector
        np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_training_rows_of_which_the_evidence_knows_none_have_products_too():
    found = prior()
    found.arrays["prior"][:, SITES // 2 :] = np.nan
    kernel, every = kernel_of(found), mutations(400, 1)
    late = every.take(np.flatnonzero(every.position >= SITES // 2))
    vector = np.random.default_rng(3).normal(size=late.n_rows)
    grid = EvidenceGrid.of(kernel, late, kernel.start, 600)
    assert grid is not None
    for rows in (late, every):
        expected = kernel.combine(kernel.pieces(rows, late), kernel.start) @ vector
        np.testing.assert_allclose(grid.times(vector, rows), expected, atol=1e-9 * np.abs(expected).max())


def test_what_is_no_sum_or_not_smooth_enough_is_left_to_the_matrix():
    training = mutations(200, 1)
    with_epistasis, kernel = kernel_of(prior(), epistasis=True), kernel_of(prior())
    assert EvidenceGrid.of(with_epistasis, training, with_epistasis.start, 600) is None
    assert EvidenceGrid.of(kernel, training, kernel.start, 600) is not None
    assert EvidenceGrid.of(kernel, training, kernel.start, 10) is None


def test_a_model_of_many_rows_predicts_by_products_what_it_predicts_by_its_matrix(tmp_path, monkeypatch):
    evidence, table = prior(), variants()
    monkeypatch.setattr(gp_structure, "MOST_WRITTEN", 150)  # of 192 training rows
    monkeypatch.setattr(gp_structure, "ROWS_A_PIVOT", 1)
    _, facts, by_products = trained(tmp_path / "products", table, evidence, model="gp")
    assert facts[0]["converged"]
    monkeypatch.setattr(gp_structure, "MOST_PIVOTS", 1)
    _, _, by_matrix = trained(tmp_path / "matrix", table, evidence, model="gp")
    np.testing.assert_allclose(by_products, by_matrix, atol=1e-3 * np.std(by_matrix))
