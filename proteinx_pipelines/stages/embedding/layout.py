"""Which columns a representation has: what an experiment's rows decide, and new sequences must follow.

One-hot columns reach as far as the longest sequence, the others stand for the positions that vary. A model that was
trained on them can be asked about new sequences only in the same layout.
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
        """The layout that `document` wrote down."""
        return cls(int(document["length"]), tuple(int(position) for position in document["positions"]))


def layout_of(variants: VariantTable) -> Layout:
    """The layout of an experiment's N rows."""
    tokens = residue_tokens(checked_sequences(variants))
    return Layout(tokens.shape[1], tuple(varying_positions(tokens).tolist()))


def laid_out(tokens: np.ndarray, layout: Layout | None) -> np.ndarray:
    """Tokens (uint8 [n, l]) padded to the layout's length; as they are without one.

    Raises:
        BadVariants: a sequence is longer than every one that the model knows.
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
