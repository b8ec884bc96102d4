"""Kernel of a few sites: a product over positions, which has interactions of every order between them.

k(x, y) = variance * product over positions p of s(x_p, y_p),

with s(a, b) = share * exp(-d(a, b) / (2 * length)) + (1 - share) * [a = b], and d the squared distance of two amino
acids by weighted physical properties (`amino_acids.properties`), scaled to a median of 1. The share says how much alike
residues behave alike. Used by `gp` as `model.kernel=sites`, for combinations at a few positions.

On GB1's four sites, 480 of 149,361 variants chosen in five plates, a weight for each position, as
1 + w_p s(x_p, y_p), was no better than the plain product: three parameters are enough for so few rows.
"""

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train.amino_acids import squared_distances
from proteinx_pipelines.stages.train.kernels import Pieces

_RESIDUES = len(AMINO_ACIDS)
N_LETTERS = _RESIDUES + 1
"""Residues, and padding as a letter of its own."""
MOST_SITES = 8
"""Most varying positions: rows are alike at too few of more positions."""


class SiteProductKernel:
    """Product over P positions. Parameters: log variance, log length, logit of the share."""

    start = np.array([0.0, np.log(0.5), 0.0])

    def __init__(self, n_positions: int) -> None:
        self.n_positions = n_positions

    def factor(self, parameters: np.ndarray) -> np.ndarray:
        """Factor of a position, float64 [21, 21]; 20 is padding, alike to itself alone."""
        share = 1 / (1 + np.exp(-parameters[2]))
        alike = np.eye(N_LETTERS)
        alike[:_RESIDUES, :_RESIDUES] *= 1 - share
        alike[:_RESIDUES, :_RESIDUES] += share * np.exp(-squared_distances() / (2 * np.exp(parameters[1])))
        return alike

    def elsewhere(self, apart: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Factor of rows that differ at positions where all training rows agree; `apart` as `pieces` has it, [...]."""
        factor = self.factor(parameters)[:_RESIDUES, :_RESIDUES]
        typical = (factor.sum() - _RESIDUES) / (_RESIDUES**2 - _RESIDUES)  # mean of two different residues
        return np.asarray(max(float(typical), 1e-6) ** apart)

    def pieces(self, one: np.ndarray, other: np.ndarray) -> Pieces:
        """Compare uint8 [n, P + 1] and [m, P + 1]: pairs of residues as int16 [n, m], one array a position.

        The last column counts residues that differ where all training rows agree. Its piece, float64 [n, m], is the
        squared difference of the roots of the counts, so that a row is as like itself as any other.
        """
        pairs = tuple(
            one[:, p].astype(np.int16)[:, None] * N_LETTERS + other[:, p].astype(np.int16)[None]
            for p in range(self.n_positions)
        )
        counts, others = np.sqrt(one[:, -1].astype(np.float64)), np.sqrt(other[:, -1].astype(np.float64))
        return (*pairs, (counts[:, None] - others[None]) ** 2)

    def combine(self, pieces: Pieces, parameters: np.ndarray) -> np.ndarray:
        """Look each pair up in its position's factor and multiply, float64 [n, m]."""
        *pairs, apart = pieces
        found = np.exp(parameters[0]) * self.elsewhere(apart, parameters)
        factor = self.factor(parameters).ravel()
        for pair in pairs:
            found *= factor[pair]
        return np.asarray(found)

    def diagonal(self, rows: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """The variance, repeated, [n]."""
        return np.full(len(rows), np.exp(parameters[0]))
