"""How the states of residues become one vector for the sequence; runs on the device that has the states.

`mutated` looks at the positions where a variant differs from its template. The wild type differs nowhere:
its vector is the mean over all residues, as `mean` would give. So do synonymous variants.
"""

from typing import TYPE_CHECKING

import numpy as np

from proteinx_pipelines.errors import BadVariants

if TYPE_CHECKING:
    from torch import Tensor


def differing_positions(letters: np.ndarray, template: np.ndarray, source: str) -> np.ndarray:
    """Where sequences differ from their template.

    Args:
        letters: uint8 [n, L], sequences of one source.
        template: uint8 [L'], that source's template.
        source: its name, for the message.

    Returns:
        bool [n, L]; rows that differ nowhere are True everywhere (see the module's text).

    Raises:
        BadVariants: L is not L'. Positions of insertions and deletions cannot be told; use
            `embedding.pooling` mean or bos.
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
