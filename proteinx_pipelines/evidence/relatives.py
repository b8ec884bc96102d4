"""Kinship of proteins: the best local alignment of two sequences, and whether chance gives one as good.

Limits: finds what an alignment by BLOSUM62 finds, about 30 % identity over a domain; remoter relatives need profiles.
"""

from collections.abc import Mapping, Sequence
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
_PADDING = len(AMINO_ACIDS) + 1
"""Token behind the end of a sequence; that before it is a letter outside the twenty."""
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
    (best,) = _best_scores(one, [other])
    return _kinship(one, other, best)


def _kinship(one: str, other: str, score: float) -> Kinship:
    m, n = (min(len(text), _LONGEST) for text in (one, other))
    return Kinship(score, float(_K * m * n * np.exp(-_LAMBDA * score)) if m and n else float("inf"))


def _best_scores(one: str, others: Sequence[str]) -> list[float]:
    """Score of the best local alignment of one sequence with each of the others, those of like length at once."""
    found = [0.0] * len(others)
    lengths = np.array([min(len(text), _LONGEST) for text in others], np.int64)
    for power in np.unique(np.ceil(np.log2(np.maximum(lengths, 1)))):
        chosen = np.flatnonzero(np.ceil(np.log2(np.maximum(lengths, 1))) == power).tolist()
        for number, best in zip(chosen, _aligned(one, [others[k] for k in chosen]), strict=True):
            found[number] = float(best)
    return found


def _aligned(one: str, others: Sequence[str]) -> np.ndarray:
    """As `_best_scores`, float32 [k]: k tables of the same width, row by row."""
    width = max(min(len(text), _LONGEST) for text in others)
    tokens = np.full((len(others), width), _PADDING, np.int64)
    for line, text in zip(tokens, others, strict=True):
        own = _tokens(text[:_LONGEST])
        line[: len(own)] = own
    scores = np.full((_PADDING + 1, _PADDING + 1), -4.0, np.float32)
    scores[: len(AMINO_ACIDS), : len(AMINO_ACIDS)] = blosum62()
    scores[:, _PADDING] = -1e4
    residues = _tokens(one[:_LONGEST])
    profile = {residue: scores[residue][tokens] for residue in np.unique(residues)}
    ramp = (GAP * np.arange(width + 1)).astype(np.float32)
    row, best = np.zeros((len(others), width + 1), np.float32), np.zeros(len(others), np.float32)
    for residue in residues:
        reached = np.maximum(row - GAP, 0.0)
        np.maximum(reached[:, 1:], row[:, :-1] + profile[residue], out=reached[:, 1:])
        # A gap along the row: the best earlier cell less GAP for each residue between, by a running maximum.
        reached += ramp
        np.maximum.accumulate(reached, axis=1, out=reached)
        reached -= ramp
        row = reached
        np.maximum(best, row.max(axis=1), out=best)
    return best


def relatives(sequence: str, others: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the sequences related to one, in their order; an equal or contained sequence is related.

    Args:
        sequence: to compare.
        others: name -> sequence.
    """
    scores = _best_scores(sequence, list(others.values()))
    return tuple(
        name
        for (name, other), score in zip(others.items(), scores, strict=True)
        if _contains(sequence, other) or _kinship(sequence, other, score).is_related
    )


def is_related(one: str, other: str) -> bool:
    """True if two sequences are related; short ones also if one contains the other."""
    return _contains(one, other) or kinship(one, other).is_related


def _contains(one: str, other: str) -> bool:
    return bool(one and other) and (one in other or other in one)


def families(sequences: Mapping[str, str]) -> dict[str, int]:
    """Number the families of related sequences, by single linkage: name -> number from 0, in order of first names."""
    names = list(sequences)
    parent = list(range(len(names)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for i, name in enumerate(names):
        earlier = {other: sequences[other] for other in names[:i]}
        for other in relatives(sequences[name], earlier):
            j = root(names.index(other))
            parent[max(root(i), j)] = min(root(i), j)
    numbers: dict[int, int] = {}
    return {name: numbers.setdefault(root(i), len(numbers)) for i, name in enumerate(names)}


def _tokens(text: str) -> np.ndarray:
    """int64 [n]: number of each residue, 20 for a letter outside the twenty."""
    index = np.full(256, len(AMINO_ACIDS), np.int64)
    index[np.frombuffer(AMINO_ACIDS.encode("ascii"), np.uint8)] = np.arange(len(AMINO_ACIDS))
    return index[np.frombuffer(text.encode("ascii", "replace"), np.uint8)]
