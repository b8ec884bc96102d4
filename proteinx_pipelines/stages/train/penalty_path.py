"""Ridge weights for many penalties at once.

Vectors: one eigendecomposition of the Gram matrix gives all penalties. One-hot columns: few of them likewise; of
many, conjugate gradients, all penalties side by side. Residues of one position exclude each other and mutations seldom
meet, so that the Gram matrix is nearly one block for each position, and those blocks are the preconditioner: 20
penalties on 2,000 columns take 35 products with the matrix instead of a decomposition.
"""

from typing import Any

import numpy as np

from proteinx_pipelines.stages.train.moments import Moments

MOST_DECOMPOSED = 400
"""One-hot columns: a decomposition takes 30 ms."""
MOST_DENSE = 5000
"""One-hot columns up to which the Gram matrix is made dense (0.2 GB): a product is then several times faster."""
TOLERANCE = 1e-10
"""Of conjugate gradients: size of the preconditioned residual over that of the right side."""
MOST_STEPS = 500
"""Of conjugate gradients; where that is not enough, a matrix of up to `MOST_DENSE` columns is decomposed, and a penalty
on more of them stays unsolved."""


def ridge_path(
    train: Moments, alphas: np.ndarray, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of each penalty (float64 [p, k]), and whether each is solved (bool [k]) or as near as the steps led.

    Args:
        train: Moments of the training rows, p columns.
        alphas: float64 [k], > 0.
        groups: int64 [p], ascending: the position of each column of a one-hot matrix; None for vectors.
    """
    p = len(train.sums)
    if groups is None or p <= MOST_DECOMPOSED:
        return by_decomposition(train, alphas), np.ones(len(alphas), bool)
    if p <= MOST_DENSE:
        train = Moments(**{**vars(train), "gram": train.gram.toarray()})
    weights, is_solved = by_conjugate_gradients(train, alphas, groups)
    if not is_solved.all() and p <= MOST_DENSE:
        weights[:, ~is_solved] = by_decomposition(train, alphas[~is_solved])
        is_solved[:] = True
    return weights, is_solved


def by_decomposition(train: Moments, alphas: np.ndarray) -> np.ndarray:
    """Weights of each penalty (float64 [p, k]) by the eigenvectors of the Gram matrix."""
    from scipy import linalg  # deferred: SciPy is not needed to load definitions

    if not len(train.sums):
        return np.zeros((0, len(alphas)))
    values, vectors = linalg.eigh(_centred(train, slice(None)), driver="evd", check_finite=False)
    along = vectors.T @ train.projection()
    return np.asarray(vectors @ (along[:, None] / (np.maximum(values, 0.0)[:, None] + alphas)))


def by_conjugate_gradients(
    train: Moments, alphas: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of each penalty (float64 [p, k]), and whether each reached `TOLERANCE` (bool [k]).

    Source:
        Saad 2003, "Iterative Methods for Sparse Linear Systems", algorithm 9.1, for one penalty.
    """
    rotation, values = _blocks(train, groups)
    back = rotation.T.tocsr()
    right = train.projection()
    weights = np.zeros((len(right), len(alphas)))
    active = np.arange(len(alphas))
    residual = np.repeat(right[:, None], len(alphas), axis=1)
    direction = rotation @ ((back @ residual) / (values[:, None] + alphas))
    size = (residual * direction).sum(axis=0)
    limit = TOLERANCE**2 * size
    for _ in range(MOST_STEPS):
        unsolved = size > limit[active]
        if not unsolved.all():
            active, size = active[unsolved], size[unsolved]
            residual, direction = residual[:, unsolved], direction[:, unsolved]
        if not len(active):
            break
        image = train.times(direction) + direction * alphas[active]
        step = size / (direction * image).sum(axis=0)
        weights[:, active] += step * direction
        residual = residual - step * image
        improved = rotation @ ((back @ residual) / (values[:, None] + alphas[active]))
        before, size = size, (residual * improved).sum(axis=0)
        direction = improved + (size / before) * direction
    return weights, ~np.isin(np.arange(len(alphas)), active)


def _blocks(train: Moments, groups: np.ndarray) -> tuple[Any, np.ndarray]:
    """Eigenvectors of each position's block of the Gram matrix (sparse [p, p]), and their eigenvalues [p]."""
    from scipy import sparse

    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    found = [
        np.linalg.eigh(_centred(train, slice(*pair)))
        for pair in zip(starts, [*starts[1:], len(groups)], strict=True)
    ]
    rotation = sparse.block_diag([vectors for _, vectors in found], format="csr")
    return rotation, np.maximum(np.concatenate([values for values, _ in found]), 0.0)


def _centred(train: Moments, part: slice) -> np.ndarray:
    """Gram matrix of some centred columns, dense."""
    block = train.gram[part, part]
    dense = block if isinstance(block, np.ndarray) else block.toarray()
    return np.asarray(dense - np.outer(train.sums[part], train.means[part]))
