"""The mutation kernel is weighed a few lines at a time: by rows or columns, with and without a remainder, the same."""

import numpy as np
import pytest

from proteinx_pipelines.stages.train import kernels

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
