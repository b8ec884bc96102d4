"""What a store of vectors offers so that no sequence is embedded twice; `stream` asks it before the model.

A vector is known by its key (the sequence, and for pooling `mutated` the positions) under a policy: the
embedder's `info`, which names model, weights' digest, layer, pooling, precision and code version.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

KEY_BYTES = 32


class EmbeddingStore(Protocol):
    """Vectors by policy and key. Two writers at once must be safe; so must a kill at any moment."""

    def get_many(self, policy: Mapping[str, Any], keys: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Copy the known vectors into their rows of `out`.

        Args:
            policy: what makes equal keys have equal vectors; plain JSON types.
            keys: uint8 [n, KEY_BYTES], from `sequence_keys`.
            out: float32 [n, D]; rows of unknown keys are left as they are.

        Returns:
            bool [n]: which keys were known.
        """
        ...

    def put_many(self, policy: Mapping[str, Any], keys: np.ndarray, vectors: np.ndarray) -> None:
        """Keep `vectors`, float32 [n, D], under `keys`, uint8 [n, KEY_BYTES]; called after every batch."""
        ...


def sequence_keys(letters: np.ndarray, positions: np.ndarray | None) -> np.ndarray:
    """SHA-256 of each sequence, and of the positions that pooling looks at.

    Args:
        letters: uint8 [n, L], one-letter codes in ASCII.
        positions: bool [n, L], or None when pooling looks at none in particular.

    Returns:
        uint8 [n, KEY_BYTES]; equal rows have equal keys whatever batch they are in.
    """
    content = letters if positions is None else np.hstack([letters, positions.astype(np.uint8)])
    content = np.ascontiguousarray(content)
    digests = b"".join(hashlib.sha256(row.data).digest() for row in content)
    return np.frombuffer(digests, dtype=np.uint8).reshape(len(letters), KEY_BYTES)
