"""Kinship of proteins: the best local alignment of two sequences, and whether chance gives one as good.

Limits: finds what an alignment by BLOSUM62 finds, about 30 % identity over a domain; remoter relatives need profiles.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.blosum62 import blosum62
from proteinx_pipelines.domain.residues import AMINO_ACIDS

GAP = 8
"""Penalty of each residue in a gap, in the half bits of BLOSUM62."""
_LAMBDA, _K = 0.267, 0.041
"""Karlin-Altschul parameters of BLOSUM62 with affine gaps of 11 and 1, in half-bit scores (NCBI BLAST)."""
MOST_EXPECTED = 1e-4
"""Expected number of alignments as good by chance, up to which two sequences count as related."""
_LONGEST = 3000
"""Residues of each sequence that are compared."""


@dataclass(frozen=True)
class Kinship:
    """The best local alignment of two sequences."""

    score: float
    """Of BLOSUM62, in half bits."""
    expected: float
    """Number of alignments with this score that chance gives for sequences of these lengths."""

    @property
    def is_related(self) -> bool:
        """True if chance hardly gives such an alignment."""
        return self.expected <= MOST_EXPECTED


def kinship(one: str, other: str) -> Kinship:
    """Align two sequences locally (Smith and Waterman 1981, linear gaps) and judge the score.

    Source:
        Karlin and Altschul 1990, PNAS 87:2264: E = K m n exp(-lambda S).
    """
    a, b = (_tokens(text[:_LONGEST]) for text in (one, other))
    if not len(a) or not len(b):
        return Kinship(0.0, float("inf"))
    if len(a) > len(b):
        a, b = b, a
    scores = np.pad(blosum62().astype(np.float64), ((0, 1), (0, 1)), constant_values=-4.0)
    ramp = GAP * np.arange(len(b) + 1, dtype=np.float64)
    row, best = np.zeros(len(b) + 1), 0.0
    for residue in a:
        diagonal = np.concatenate([[0.0], row[:-1] + scores[residue, b]])
        reached = np.maximum(np.maximum(diagonal, row - GAP), 0.0)
        # A gap along the row: the best earlier cell less GAP for each residue between, by a running maximum.
        row = np.maximum.accumulate(reached + ramp) - ramp
        best = max(best, float(row.max()))
    return Kinship(best, float(_K * len(a) * len(b) * np.exp(-_LAMBDA * best)))


def relatives(sequence: str, others: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the sequences related to one, in their order; an equal or contained sequence is related.

    Args:
        sequence: to compare.
        others: name -> sequence.
    """
    return tuple(name for name, other in others.items() if is_related(sequence, other))


def is_related(one: str, other: str) -> bool:
    """True if two sequences are related; short ones also if one contains the other."""
    if one and other and (one in other or other in one):
        return True
    return kinship(one, other).is_related


def families(sequences: Mapping[str, str]) -> dict[str, int]:
    """Number the families of related sequences, by single linkage: name -> number from 0, in order of first names."""
    names = list(sequences)
    parent = list(range(len(names)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for i, name in enumerate(names):
        for j in range(i):
            if root(i) != root(j) and is_related(sequences[name], sequences[names[j]]):
                parent[max(root(i), root(j))] = min(root(i), root(j))
    numbers: dict[int, int] = {}
    return {name: numbers.setdefault(root(i), len(numbers)) for i, name in enumerate(names)}


def _tokens(text: str) -> np.ndarray:
    """int64 [n]: number of each residue, 20 for a letter outside the twenty."""
    index = np.full(256, len(AMINO_ACIDS), np.int64)
    index[np.frombuffer(AMINO_ACIDS.encode("ascii"), np.uint8)] = np.arange(len(AMINO_ACIDS))
    return index[np.frombuffer(text.encode("ascii", "replace"), np.uint8)]
