"""The mutation kernel, weighed a few lines at a time; single mutants are compared with themselves alone."""

import numpy as np
import pytest

from proteinx_pipelines.stages.train import kernels
from proteinx_pipelines.stages.train.additive_variance import MutationCovariance
from proteinx_pipelines.stages.train.gaussian_process import Parameters
from proteinx_pipelines.stages.train.mutations import MutationList

PARAMETERS = np.log([1.3, 0.7, 0.3, 1.2])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (10, 7), (4, 5)])
@pytest.mark.parametrize("epistasis", [True, False])
def test_a_covariance_in_pieces_is_that_of_the_formula(
    order: str, shape: tuple[int, int], epistasis: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_IN_CACHE", 20)
    rng, (n, m) = np.random.default_rng(0), shape
    same, other = (np.asarray(rng.random(shape), order=order) for _ in range(2))
    mine, theirs = rng.random((2, n, 1)), rng.random((2, 1, m))
    kernel = kernels.MutationKernel(np.zeros((1, 3), np.uint8), epistasis=epistasis)
    found = kernel.combine((same, other, *mine, *theirs) if epistasis else (same, other), PARAMETERS)
    assert found.shape == shape
    specific, shared, scale, length = np.exp(PARAMETERS)
    expected = specific * same + shared * other
    if epistasis:
        own = [specific * one + shared * two for one, two in (mine, theirs)]
        expected = expected + scale * np.exp(-np.maximum(own[0] + own[1] - 2 * expected, 0) / (2 * length))
    assert found == pytest.approx(expected, rel=1e-12)


def listed(variants: list[list[tuple[int, int]]]) -> MutationList:
    """Variants as (position from 0, residue) of one template."""
    flat = [(row, at, to) for row, each in enumerate(variants) for at, to in sorted(each)]
    row, position, residue = np.array(flat, np.int64).reshape(-1, 3).T
    return MutationList(row, np.zeros_like(row), position, residue, len(variants))


def test_single_mutants_are_compared_with_themselves_alone() -> None:
    """The variances of 6,800 singles took matrices of all pairs of them: five seconds of each simulated round."""
    rng = np.random.default_rng(0)
    template = rng.integers(0, 20, (1, 12)).astype(np.uint8)
    kernel = kernels.MutationKernel(template, epistasis=False)
    singles = [[(at, to)] for at in range(12) for to in range(0, 20, 3) if to != template[0, at]]
    known = listed([*singles[::4], [*singles[0], *singles[-1]]])
    asked = listed([*singles, [], singles[3]])
    both = kernel.combine(kernel.pieces(asked, asked), PARAMETERS)
    assert kernel.diagonal(asked, PARAMETERS) == pytest.approx(np.diag(both), rel=1e-12)
    covariance = kernel.combine(kernel.pieces(known, known), PARAMETERS)
    factor = np.linalg.cholesky(covariance + 0.1 * np.eye(len(covariance)))
    parameters = Parameters(PARAMETERS, 0.1, 0.0)
    cross = kernel.combine(kernel.pieces(asked, known), PARAMETERS)
    expected = np.diag(both - cross @ np.linalg.solve(factor @ factor.T, cross.T))
    found = MutationCovariance(kernel, parameters).variance(asked, known, factor)
    assert found == pytest.approx(np.maximum(expected, 0.0), abs=1e-12)
    with_a_double = listed([*singles, [], singles[3], [*singles[1], *singles[-2]]])
    of_all = MutationCovariance(kernel, parameters).variance(with_a_double, known, factor)
    assert of_all is not None
    assert found == pytest.approx(of_all[:-1], abs=1e-12)
