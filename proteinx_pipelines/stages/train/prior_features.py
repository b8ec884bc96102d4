"""Description of every substitution of a template, for a prior learned from other assays.

Linear in products: what is exchanged (pair of residues; properties of both, their differences, BLOSUM62) times where
(surroundings of the site along the chain). Independent of measurements and of the length of the protein.
"""

import numpy as np

from proteinx_pipelines.blosum62 import blosum62
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train.amino_acids import properties
from proteinx_pipelines.stages.train.sites import window_features

FEATURES_VERSION = "1"
"""Part of a prior's file; raise it when the columns change."""
_N = len(AMINO_ACIDS)
_NEIGHBOURS = (-4, -3, -2, -1, 1, 2, 3, 4)
_MOST = 3.0
"""Largest size of a surroundings' feature: ends of the chain and repeats do not dominate."""


def n_features() -> int:
    """Number of columns."""
    n_exchange, n_site = exchange_features(np.zeros(1, np.int64), np.zeros(1, np.int64)).shape[1], 18
    n_around = 3 * len(_NEIGHBOURS)
    return int(1 + _N * _N + n_exchange + n_site + n_around + n_exchange * n_site + _N * n_site)


def prior_features(template: np.ndarray, position: np.ndarray, new: np.ndarray) -> np.ndarray:
    """float32 [M, p]: features of M substitutions of one template.

    Args:
        template: int64 [L], tokens of the twenty residues.
        position: int64 [M], from 0.
        new: int64 [M], tokens of the new residues.
    """
    n, old = len(position), template[position]
    sites = np.clip(window_features(template), -_MOST, _MOST)
    here = sites[position]
    pair = np.zeros((n, _N * _N), np.float32)
    pair[np.arange(n), old * _N + new] = 1.0
    exchange = exchange_features(old, new)
    kinds = np.eye(_N)[old]
    return np.concatenate(
        [
            np.ones((n, 1)), pair, exchange, here, _around(template)[position],
            (exchange[:, :, None] * here[:, None, :]).reshape(n, -1),
            (kinds[:, :, None] * here[:, None, :]).reshape(n, -1),
        ],
        axis=1, dtype=np.float32,
    )  # fmt: skip


def changes_of(template: str) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of a template, int64 [L], and bool [L, 20], which substitutions are changes.

    A letter outside the twenty counts as alanine for its neighbours; nothing at its place is a change.
    """
    tokens = np.array([AMINO_ACIDS.find(letter) for letter in template], np.int64)
    safe = np.maximum(tokens, 0)
    return safe, (tokens >= 0)[:, None] & (np.arange(_N) != safe[:, None])


def exchange_features(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """float64 [M, 31]: properties of both residues, their differences and sizes, BLOSUM62."""
    values = properties()
    change = values[new] - values[old]
    return np.concatenate(
        [values[old], values[new], change, np.abs(change[:, :3]), blosum62()[old, new][:, None] / 4.0], axis=1
    )


def _around(template: np.ndarray) -> np.ndarray:
    """float64 [L, 24]: hydropathy, volume and charge of the four neighbours on each side."""
    reach, length = max(_NEIGHBOURS), len(template)
    padded = np.zeros((length + 2 * reach, 3))
    padded[reach : reach + length] = properties()[template][:, :3]
    here = np.arange(length) + reach
    return np.concatenate([padded[here + offset] for offset in _NEIGHBOURS], axis=1)
