"""Ways to the mean and the deviation of a Gaussian process, by what its training rows are and how many.

Exact up to `MOST_EXACT` training rows. The mutation kernel on single mutants, and the rbf kernel on a grid (a large
share of all residue combinations at a few positions), have no such limit:

| kernel | training rows | mean by | deviation by |
|---|---|---|---|
| mutation, single mutants | up to `MOST_FACTORISED` | Cholesky, all rows | the same factor |
| mutation, single mutants | more | `site_grid`, all rows | Cholesky, `MOST_EXACT` rows at most |
| the same with evidence | more than `MOST_WRITTEN` | `evidence_grid`, all rows [1] | Cholesky, `MOST_EXPLAINED` |
| rbf, sites or none given, one-hot on a grid | more than `MOST_EXACT` | `residue_grid`, all rows | Cholesky, as many |
| rbf or sites, one-hot at `FEW_SITES` or fewer | up to `MOST_EXACT` | Cholesky, then `residue_grid` | the same factor |
| any other | any | Cholesky, `MOST_EXACT` rows at most | the same factor |

[1] Where a Gaussian of what mutations change is not of low rank: Cholesky, above `MOST_EXPLAINED` rows products with
the matrix.
All grids are solved by conjugate gradients. `gp` fits, `gp_weights` solves and `gp_predictor` predicts in these ways.
"""

from typing import NamedTuple

import numpy as np

from proteinx_pipelines.stages.train.evidence_grid import EvidenceGrid
from proteinx_pipelines.stages.train.evidence_kernel import EvidenceKernel
from proteinx_pipelines.stages.train.gp_rows import GpRows, GridRows, MutationRows
from proteinx_pipelines.stages.train.kernels import MutationKernel
from proteinx_pipelines.stages.train.residue_rows import NAME as SITES

MOST_EXACT = 6000
"""Most training rows of an exact fit: 36 million covariances, 0.3 GB, and a factorisation of a few seconds."""
MOST_FACTORISED = 1000
"""Training rows of single mutants above which the mean is solved by conjugate gradients."""
MOST_EXPLAINED = 2000
"""As `MOST_EXACT`, for the deviation under a kernel with evidence, whose covariances cost more."""
MOST_WRITTEN = 500
"""Training rows under a kernel with evidence above which the covariance costs more than to solve without it."""
MOST_PIVOTS, ROWS_A_PIVOT = 600, 3
"""Pivots of a Gaussian of what mutations change, at most, and training rows for each: with fewer the covariance is as
cheap."""
FEW_SITES = 4
"""Varying positions up to which means under `rbf` and `sites` are computed on the grid of all combinations (194,481
cells)."""


def on_grid(rows: GpRows) -> GridRows | None:
    """Return the rows if they fill a grid of residues: only then are there more of them than `MOST_EXACT`."""
    return rows if not isinstance(rows, MutationRows) and len(rows.training) > MOST_EXACT else None


def at_few_sites(rows: GpRows) -> GridRows | None:
    """Return one-hot rows under `rbf` or `sites` at few positions: their mean on all combinations costs nothing.

    A product with the grid of 4 sites takes 20 ms for any number of predictions; the covariances of 149,361 variants
    and 480 training rows take 3 s.
    """
    if isinstance(rows, MutationRows) or rows.positions is None or rows.name not in ("rbf", SITES):
        return None
    return rows if 1 <= len(rows.positions) <= FEW_SITES else None


def is_explained(rows: GpRows) -> bool:
    """True under a kernel with evidence that is a sum over mutations."""
    return isinstance(rows, MutationRows) and isinstance(rows.kernel, EvidenceKernel) and rows.is_additive


def explained_grid(rows: GpRows, parameters: np.ndarray) -> EvidenceGrid | None:
    """Products without the matrix under a kernel with evidence, for more than `MOST_WRITTEN` rows; else None."""
    if not isinstance(rows, MutationRows) or not isinstance(rows.kernel, EvidenceKernel):
        return None
    few = rows.training.n_rows <= MOST_WRITTEN
    most = min(MOST_PIVOTS, rows.training.n_rows // ROWS_A_PIVOT)
    return None if few else EvidenceGrid.of(rows.kernel, rows.training, parameters, most)


class Additive(NamedTuple):
    """Rows under a kernel that is a sum over mutations."""

    rows: MutationRows
    kernel: MutationKernel


def additive_of(rows: GpRows) -> Additive | None:
    """Rows and kernel if the covariance matrix is not needed (additive kernel); None if it is."""
    if isinstance(rows, MutationRows) and isinstance(rows.kernel, MutationKernel) and rows.kernel.is_additive:
        return Additive(rows, rows.kernel)
    return None
