"""Column layout of a representation: decided by an experiment's rows, reused for new sequences.

One-hot columns cover the length of the longest sequence, the others the positions that vary. A trained model can
predict new sequences only in the layout it was trained on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.embedding.columns import varying_positions
from proteinx_pipelines.stages.embedding.letters import checked_sequences
from proteinx_pipelines.stages.embedding.onehot import PADDING, residue_tokens


@dataclass(frozen=True)
class Layout:
    """The columns of representations that are made from residues."""

    length: int
    """L: residues of the longest sequence."""
    positions: tuple[int, ...]
    """Positions that vary, from 0, ascending."""

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"length": self.length, "positions": list(self.positions)}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Layout":
        """Read back the output of `document`."""
        return cls(int(document["length"]), tuple(int(position) for position in document["positions"]))


def layout_of(variants: VariantTable) -> Layout:
    """The layout of an experiment's N rows."""
    tokens = residue_tokens(checked_sequences(variants))
    return Layout(tokens.shape[1], tuple(varying_positions(tokens).tolist()))


def laid_out(tokens: np.ndarray, layout: Layout | None) -> np.ndarray:
    """Pad tokens (uint8 [n, l]) to the layout's length; unchanged without a layout.

    Raises:
        BadVariants: a sequence is longer than all that the model was trained on.
    """
    if layout is None or tokens.shape[1] == layout.length:
        return tokens
    if tokens.shape[1] > layout.length:
        raise BadVariants(
            f"A sequence of {tokens.shape[1]:,} residues is longer than all that the model was trained on "
            f"({layout.length:,}). Leave it out, or use a representation that does not depend on the length."
        )
    padded = np.full((len(tokens), layout.length), PADDING, np.uint8)
    padded[:, : tokens.shape[1]] = tokens
    return padded
