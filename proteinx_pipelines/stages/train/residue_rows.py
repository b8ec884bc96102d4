"""Training rows of a Gaussian process as residues at the few positions that vary: rows of the `sites` kernel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.kernels import Kernel
from proteinx_pipelines.stages.train.residue_grid import ResidueGrid
from proteinx_pipelines.stages.train.site_product import MOST_SITES, SiteProductKernel

NAME = "sites"


@dataclass(frozen=True)
class ResidueRows:
    """Rows as residues; the last column counts residues that differ where all training rows agree."""

    training: np.ndarray
    """uint8 [n, P + 1]; the last column is 0 here."""
    positions: np.ndarray
    """int64 [P]: positions that vary in training."""
    shared: np.ndarray
    """uint8 [L]: tokens of one training row, shared by all at the other positions."""
    kernel: Kernel
    """`sites`, the same, in the form in which all rows have theirs."""
    sites: SiteProductKernel
    name: str = NAME

    def of(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """uint8 [m, P + 1]."""
        assert embedding.tokens is not None
        tokens = embedding.tokens[rows]
        differs = tokens != self.shared
        differs[:, self.positions] = False
        elsewhere = np.minimum(differs.sum(axis=1), 255).astype(np.uint8)
        return np.column_stack([tokens[:, self.positions], elsewhere])

    def residues(self) -> np.ndarray:
        """uint8 [n, P]: residue of the training rows at each of `positions`, 20 for padding."""
        return self.training[:, :-1]

    def residues_of(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """uint8 [m, P]: residues of any rows at `positions`."""
        assert embedding.tokens is not None
        return np.asarray(embedding.tokens[rows][:, self.positions])

    def grid(self, parameters: np.ndarray, n_letters: int) -> ResidueGrid:
        """The kernel on all combinations at `positions`."""
        factor = self.sites.factor(parameters)[:n_letters, :n_letters]
        return ResidueGrid(float(np.exp(parameters[0])), factor, len(self.positions))

    def elsewhere(self, embedding: Embedding, rows: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Factor of the kernel by what differs where all training rows agree, float64 [m]; 1 where nothing does."""
        return self.sites.elsewhere(self.of(embedding, rows)[:, -1].astype(np.float64), parameters)

    def take(self, index: np.ndarray) -> np.ndarray:
        """uint8 [k, P + 1]."""
        return np.asarray(self.training[index])

    def settings(self) -> dict[str, Any]:
        """Name of the kernel."""
        return {"kernel": self.name}

    def tensors(self) -> dict[str, np.ndarray]:
        """Residues, their positions, and the shared tokens."""
        return {
            "residues": self.residues(),
            "positions": self.positions.astype(np.int64),
            "shared": self.shared,
        }


def residue_rows(embedding: Embedding, rows: np.ndarray) -> ResidueRows:
    """Prepare training rows (int64 [n]) of one-hot tokens.

    Raises:
        FlagError: they vary at no position, or at more than `MOST_SITES`.
    """
    assert embedding.tokens is not None
    seen = embedding.tokens[rows]
    positions = np.flatnonzero((seen != seen[0]).any(axis=0))
    if not 1 <= len(positions) <= MOST_SITES:
        problem = (
            f"`model.kernel` {NAME} compares variants at 1 to {MOST_SITES} positions, and these vary at "
            f"{len(positions)}. Leave `model.kernel` out, or take `mutation`."
        )
        raise FlagError([problem])
    return _rows(seen[:, positions], positions, seen[0])


def restore_residue_rows(tensors: Mapping[str, np.ndarray]) -> ResidueRows:
    """Rebuild rows from `ResidueRows.tensors`."""
    return _rows(tensors["residues"], tensors["positions"], tensors["shared"])


def _rows(residues: np.ndarray, positions: np.ndarray, shared: np.ndarray) -> ResidueRows:
    training = np.pad(residues, ((0, 0), (0, 1)))  # training rows differ nowhere else
    kernel = SiteProductKernel(len(positions))
    return ResidueRows(training, positions, shared, kernel, kernel)
