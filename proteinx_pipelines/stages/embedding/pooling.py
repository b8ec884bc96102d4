"""Pooling of residue states to one vector per sequence, on the device that holds the states.

`mutated` averages over the positions where a variant differs from its template. The wild type and synonymous
variants differ nowhere: their vector is the mean over all residues, as for `mean`.
`per_residue` keeps the states of all residues one after another, so that a network over residues can read them.
"""

from typing import TYPE_CHECKING, Protocol

import numpy as np

from proteinx_pipelines.errors import BadVariants

if TYPE_CHECKING:
    from torch import Tensor


class StatesEngine(Protocol):
    """A model that gives the states of residues."""

    width: int
    sequences_embedded: int

    def residue_states(self, letters: np.ndarray) -> np.ndarray:
        """uint8 [B, L] letters to float32 [B, L, D]."""
        ...


def differing_positions(letters: np.ndarray, template: np.ndarray, source: str) -> np.ndarray:
    """Mark the positions where sequences differ from their template.

    Args:
        letters: uint8 [n, L], sequences of one source.
        template: uint8 [L'], that source's template.
        source: its name, for the message.

    Returns:
        bool [n, L]; rows that differ nowhere are True everywhere (see the module's text).

    Raises:
        BadVariants: L is not L'. Positions of insertions and deletions are ambiguous; use `embedding.pooling` mean
        or bos.
    """
    if letters.shape[1] != len(template):
        raise BadVariants(
            f"{len(letters)} variants of {source!r} have {letters.shape[1]} residues and its template has "
            f"{len(template)}; `embedding.pooling` mutated needs equal lengths. Use mean or bos."
        )
    differs = letters != template
    differs[~differs.any(axis=1)] = True
    return np.asarray(differs)


def pooled(states: "Tensor", pooling: str, positions: "Tensor | None") -> "Tensor":
    """Reduce residue states to one vector for each sequence.

    Args:
        states: float [B, T, D], T = L + 2: BOS, residues, EOS.
        pooling: `mean` (over the L residues), `bos`, or `mutated` (mean over `positions`).
        positions: bool [B, L], at least one True in each row; read by `mutated` only.

    Returns:
        float32 [B, D]. Sums are taken in float32 whatever `states` is.
    """
    if pooling == "bos":
        return states[:, 0].float()
    residues = states[:, 1:-1].float()
    if pooling == "mean" or positions is None:
        return residues.mean(dim=1)
    chosen = positions.float()
    total = (chosen.unsqueeze(1) @ residues).squeeze(1)
    return total / chosen.sum(dim=1, keepdim=True)


class PerResidue:
    """An embedder without pooling: L states of D numbers as one row, zeros behind the end of a shorter sequence."""

    def __init__(self, engine: "StatesEngine", n_residues: int) -> None:
        """`n_residues`: of the longest sequence."""
        self._engine = engine
        self.longest = n_residues
        self.width = n_residues * engine.width

    def embed(self, letters: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:  # noqa: ARG002
        """uint8 [B, L] letters to float32 [B, n_residues * D]."""
        states = self._engine.residue_states(letters)
        self._engine.sequences_embedded += len(letters)
        found = np.zeros((len(letters), self.width), np.float32)
        found[:, : states.shape[1] * states.shape[2]] = states.reshape(len(letters), -1)
        return found
