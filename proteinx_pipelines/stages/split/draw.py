"""Random draws that depend only on a sequence and a seed.

Every sequence gets a number from its own text and the seed. A draw therefore does not depend on the order of
the rows, on their names, or on the version of a random number generator; and rows with one sequence always go
together, so that a random split cannot leak.
"""

import hashlib

import numpy as np
import pyarrow as pa


def sequence_keys(sequences: pa.ChunkedArray, seed: int) -> np.ndarray:
    """Number each of N sequences by BLAKE2b of its text, keyed with `seed`: uint64 [N].

    Two different sequences share a number once in 10^7 libraries of a million; they are then drawn together.
    """
    key = seed.to_bytes(8, "little")
    digests = [
        hashlib.blake2b(text, digest_size=8, key=key).digest()
        for chunk in sequences.chunks
        for text in chunk.cast(pa.binary()).to_pylist()
    ]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def shuffled_ranks(keys: np.ndarray, stream: int) -> np.ndarray:
    """Put the distinct keys (uint64 [n]) in random order: int64 [n], the place of each row's key, from 0.

    Rows with one key have one place. Each stream (a whole number) is an independent order.

    Source: the finaliser of SplitMix64, Steele et al. 2014, doi:10.1145/2660193.2660195.
    """
    mixed = keys + np.uint64((stream + 1) * 0x9E3779B97F4A7C15 % 2**64)  # wraps around, as intended
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.asarray(np.unique(mixed, return_inverse=True)[1], np.int64)


def share(fraction: float, total: int) -> int:
    """The whole number nearest to a fraction of `total`; halves go up."""
    return int(fraction * total + 0.5)
