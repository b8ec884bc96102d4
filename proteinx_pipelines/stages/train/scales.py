"""Scales of an additive kernel by what the split promises, and deviations checked on rows left out likewise.

Where test positions were measured in training, scales maximise the marginal likelihood; where they were not, the
likelihood of whole positions given all others. The deviations are then judged on rows left out as the split leaves out
its test rows: scaling the covariance and the noise by one factor changes every deviation and no mean.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.stages.train.error_share import ends, share_of_errors, told_of_errors
from proteinx_pipelines.stages.train.evidence_kernel import EvidenceKernel
from proteinx_pipelines.stages.train.gaussian_process import Parameters
from proteinx_pipelines.stages.train.gp_rows import MutationRows
from proteinx_pipelines.stages.train.kernels import MutationKernel
from proteinx_pipelines.stages.train.left_out import (
    Criterion,
    Weighed,
    by_groups,
    left_out_with_deviation,
    likelihood,
    marginal,
    weigh,
)
from proteinx_pipelines.stages.train.promise import Promise
from proteinx_pipelines.stages.train.replicate_noise import RowNoise, noise_by_share, relative_noise

_LEVEL, _NORMAL = 0.95, 1.959964
_PRIOR_BLOCKS = 50
"""Blocks that a factor of 1 counts for: few left-out blocks change little."""
_LARGEST = 3.0
FEWEST_TO_CHECK = 50
"""Rows below which deviations are left as they are."""


@dataclass(frozen=True)
class Scales:
    """Scales of the kernel's terms, and the factor of its deviations."""

    weighed: Weighed
    terms: np.ndarray
    """Of the judged rows, float64 [k, f, f]."""
    factor: float
    """By which deviations were multiplied; 1 where nothing was checked."""
    relative: np.ndarray | None = None
    """float64 [n]: noise of each training row over the mean noise; None where all are alike."""
    n_errors: int = 0
    """Number of training rows with a standard error."""
    share: float = 0.0
    """Share of the noise that standard errors explain."""

    def about_noise(self) -> dict[str, Any]:
        """What was chosen about the noise of rows, for `training.json`."""
        if self.n_errors:
            return self.about_errors()
        return {} if self.relative is None else {"noise_by_replicates": ends(self.relative)}

    def about_errors(self) -> dict[str, Any]:
        """What was chosen about standard errors; nothing where none are known."""
        return told_of_errors(self.n_errors, self.share, self.relative)

    @property
    def parameters(self) -> Parameters:
        """Parameters of the kernel with the factor in them."""
        add = 2 * np.log(self.factor)
        found = self.weighed
        return Parameters(found.parameters + add, float(found.noise * self.factor**2), found.log_likelihood)


def choose_scales(
    rows: MutationRows,
    few: np.ndarray,
    unit: np.ndarray,
    promise: Promise,
    noise: RowNoise | None = None,
) -> Scales:
    """Choose the scales of a kernel that is a sum of weighted terms.

    Args:
        rows: training rows under an additive kernel.
        few: int64 [f], rows to judge on, as indices.
        unit: float64 [f], their targets with mean 0 and deviation 1 over the training rows.
        promise: what the split asks.
        noise: of each training row's measurement in units of `unit`, where it is known.
    """
    chosen, kernel = rows.take(few), rows.kernel
    terms = each_term(kernel, chosen)
    criterion: Criterion = by_groups(promise.positions(chosen)) if promise.by_position else marginal
    start, relative, share = kernel.start[: len(terms)], None, 0.0
    weighed = weigh(terms, unit, start, criterion)
    if noise is not None and noise.n_errors:
        plain = weighed
        share = share_of_errors(
            noise.variance,
            few,
            plain.log_likelihood,
            lambda factor, ratio: likelihood(
                terms, unit, plain._replace(noise=plain.noise * factor), criterion, ratio
            ),
        )
        found = noise_by_share(noise.variance, share)
    else:
        found = relative_noise(None if noise is None else noise.variance, weighed.noise)
    if found is not None:
        relative = found
        weighed = weigh(terms, unit, start, criterion, relative[few])
    own = None if relative is None else relative[few]
    factor = deviation_factor(terms, unit, weighed, promise.groups(chosen), promise.blocks(chosen), own)
    return Scales(weighed, terms, factor, relative, 0 if noise is None else noise.n_errors, share)


def each_term(kernel: Any, rows: Any) -> np.ndarray:
    """Terms of a kernel between all rows, float64 [k, n, n], in the order of its parameters."""
    if isinstance(kernel, EvidenceKernel):
        return kernel.each_term(rows)
    assert isinstance(kernel, MutationKernel)
    return np.array(kernel.pieces(rows, rows)[:2])


def deviation_factor(
    terms: np.ndarray,
    targets: np.ndarray,
    weighed: Weighed,
    groups: np.ndarray,
    blocks: np.ndarray,
    relative: np.ndarray | None = None,
) -> float:
    """Factor by which deviations must be multiplied for 95 % of the left-out rows to be inside of their intervals.

    Args:
        terms: parts of the covariance, [k, n, n].
        targets: float64 [n].
        weighed: their weights.
        groups: int64 [n], left out together, as the split leaves out its folds.
        blocks: int64 [n]; errors are independent between blocks, and few of them prove little.
        relative: float64 [n], noise of each row over the mean noise; alike when None.
    """
    if len(targets) < FEWEST_TO_CHECK or len(np.unique(groups)) < 2:
        return 1.0
    predicted, deviation = left_out_with_deviation(terms, targets, weighed, groups, relative)
    needed = float(np.quantile(np.abs(targets - predicted) / deviation, _LEVEL)) / _NORMAL
    n_blocks = len(np.unique(blocks))
    shrunk = np.log(max(needed, 1e-3)) * n_blocks / (n_blocks + _PRIOR_BLOCKS)
    return float(np.exp(np.clip(shrunk, -np.log(_LARGEST), np.log(_LARGEST))))
