"""Ridge weights for many penalties at once.

Vectors, and few one-hot columns: one eigendecomposition of the Gram matrix gives all penalties. Many one-hot columns:
conjugate gradients for all penalties side by side. Residues at one position exclude each other and two mutations are
seldom in the same variant, so the Gram matrix is nearly block diagonal with one block per position, and those blocks
are the preconditioner: 20 penalties on 2,000 columns take 35 products with the matrix instead of a decomposition.
"""

from typing import Any

import numpy as np

from proteinx_pipelines.stages.train.moments import Moments

MOST_DECOMPOSED = 400
"""Most one-hot columns to decompose, which takes 30 ms."""
MOST_DENSE = 5000
"""Most one-hot columns of a dense Gram matrix (0.2 GB), whose products are several times faster."""
TOLERANCE = 1e-10
"""Tolerance of conjugate gradients: size of the preconditioned residual relative to that of the right side."""
MOST_STEPS = 500
"""Step limit of conjugate gradients. Penalties that exceed it are solved by decomposition for up to `MOST_DENSE`
columns, and stay unsolved for more."""


def ridge_path(
    train: Moments, alphas: np.ndarray, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute ridge weights for each penalty, float64 [p, k], and a mask of solved penalties, bool [k].

    Args:
        train: moments of the training rows, p columns.
        alphas: float64 [k], > 0.
        groups: int64 [p], ascending: position of each one-hot column; None for vectors.
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
    """Compute weights of each penalty, float64 [p, k], from the eigenvectors of the Gram matrix."""
    from scipy import linalg  # deferred: SciPy is not needed to load definitions

    if not len(train.sums):
        return np.zeros((0, len(alphas)))
    values, vectors = linalg.eigh(_centred(train, slice(None)), driver="evd", check_finite=False)
    # Gram = V diag(s) V', so w = V (V'r / (s + alpha)): further penalties cost one product each.
    along = vectors.T @ train.projection()  # [p] = [p, p] @ [p]
    # [p, k] = [p, p] @ [p, k]; eigenvalues below 0 are rounding
    return np.asarray(vectors @ (along[:, None] / (np.maximum(values, 0.0)[:, None] + alphas)))


def by_conjugate_gradients(
    train: Moments, alphas: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute weights of each penalty, float64 [p, k], and a mask of those that reached `TOLERANCE`, bool [k].

    Source:
        Saad 2003, "Iterative Methods for Sparse Linear Systems", algorithm 9.1, for one penalty.
    """
    # Arrays [p, k] hold one system per column, (Gram + alpha_j I) w_j = right; all share each product with Gram.
    # The preconditioner inverts the blocks of the positions: V diag(1 / (s + alpha_j)) V'.
    rotation, values = _blocks(train, groups)  # V sparse [p, p], s [p]
    back = rotation.T.tocsr()
    right = train.projection()  # [p]
    weights = np.zeros((len(right), len(alphas)))
    active = np.arange(len(alphas))
    residual = np.repeat(right[:, None], len(alphas), axis=1)
    direction = rotation @ ((back @ residual) / (values[:, None] + alphas))
    size = (residual * direction).sum(axis=0)  # [k]: squared residual in the norm of the preconditioner
    limit = TOLERANCE**2 * size
    for _ in range(MOST_STEPS):
        unsolved = size > limit[active]
        # Drop solved columns: later products have fewer of them.
        if not unsolved.all():
            active, size = active[unsolved], size[unsolved]
            residual, direction = residual[:, unsolved], direction[:, unsolved]
        if not len(active):
            break
        image = train.times(direction) + direction * alphas[active]  # [p, k] = (Gram + alpha I) @ [p, k]
        step = size / (direction * image).sum(axis=0)
        weights[:, active] += step * direction
        residual = residual - step * image
        improved = rotation @ ((back @ residual) / (values[:, None] + alphas[active]))
        before, size = size, (residual * improved).sum(axis=0)
        direction = improved + (size / before) * direction
    return weights, ~np.isin(np.arange(len(alphas)), active)


def _blocks(train: Moments, groups: np.ndarray) -> tuple[Any, np.ndarray]:
    """Eigenvectors of each position's block of the Gram matrix, sparse [p, p], and their eigenvalues, [p]."""
    from scipy import sparse

    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    found = [
        np.linalg.eigh(_centred(train, slice(*pair)))
        for pair in zip(starts, [*starts[1:], len(groups)], strict=True)
    ]
    rotation = sparse.block_diag([vectors for _, vectors in found], format="csr")
    return rotation, np.maximum(np.concatenate([values for values, _ in found]), 0.0)


def _centred(train: Moments, part: slice) -> np.ndarray:
    """Dense Gram matrix of a range of centred columns."""
    block = train.gram[part, part]
    dense = block if isinstance(block, np.ndarray) else block.toarray()
    # X'X of centred columns = X'X - s m', with sums s and means m
    return np.asarray(dense - np.outer(train.sums[part], train.means[part]))
