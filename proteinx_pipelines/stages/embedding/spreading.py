"""Interface by which batches of sequences are embedded elsewhere, by several workers at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Letters = tuple[np.ndarray, np.ndarray | None]
"""uint8 [B, L] letters and bool [B, L] positions: one batch, as `Embedder.embed` takes it."""


@dataclass(frozen=True)
class EngineSpec:
    """What a worker needs to make the same model."""

    flags: str
    """`embedding.*` as JSON, `precision` resolved."""
    weights: str | None
    """Path of the checkpoint on the node."""
    weights_sha256: str
    longest: int | None
    """Residues of the longest sequence, for pooling `per_residue`; None for any other."""


class BatchSpread(Protocol):
    """Embeds batches elsewhere."""

    def embed(self, spec: EngineSpec, batches: Sequence[Letters]) -> Iterator[tuple[int, np.ndarray]]:
        """Embed all batches.

        Args:
            spec: the model.
            batches: composed as one process would compose them, so that the numbers are the same.

        Yields:
            Number of a batch and its vectors, float32 [B, D], as they are finished.
        """
