"""Interface of a store of vectors; `stream` queries it before the model, so that no sequence is embedded twice.

A vector is identified by its key (the sequence, and for pooling `mutated` the positions) under a policy: the
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
            policy: everything besides the key that the vectors depend on; plain JSON types.
            keys: uint8 [n, KEY_BYTES], from `sequence_keys`.
            out: float32 [n, D]; rows of unknown keys are left as they are.

        Returns:
            bool [n]: True for the keys that were found.
        """
        ...

    def put_many(self, policy: Mapping[str, Any], keys: np.ndarray, vectors: np.ndarray) -> None:
        """Keep `vectors`, float32 [n, D], under `keys`, uint8 [n, KEY_BYTES]; called after every batch."""
        ...


def sequence_keys(letters: np.ndarray, positions: np.ndarray | None) -> np.ndarray:
    """Hash each sequence together with the positions that pooling reads (SHA-256).

    Args:
        letters: uint8 [n, L], one-letter codes in ASCII.
        positions: bool [n, L], or None when pooling does not depend on positions.

    Returns:
        uint8 [n, KEY_BYTES]; equal rows have equal keys whatever batch they are in.
    """
    content = letters if positions is None else np.hstack([letters, positions.astype(np.uint8)])
    content = np.ascontiguousarray(content)
    digests = b"".join(hashlib.sha256(row.data).digest() for row in content)
    return np.frombuffer(digests, dtype=np.uint8).reshape(len(letters), KEY_BYTES)
