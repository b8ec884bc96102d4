"""Genetic code: residues reachable by one nucleotide change, DNA of a proposal, and degenerate codons with their cost.

Source: the standard genetic code (NCBI translation table 1); degenerate nucleotides by IUPAC-IUB 1984,
doi:10.1093/nar/13.9.3021.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS

_BASES = "TCAG"
_TABLE = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
STOP = "*"
_DEGENERATE = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip


def translate(codon: str) -> str:
    """Residue of a codon (three letters of DNA); `*` for a stop."""
    first, second, third = (_BASES.index(base) for base in codon.upper().replace("U", "T"))
    return _TABLE[16 * first + 4 * second + third]


def neighbours(codon: str) -> list[str]:
    """The nine codons that differ in one base."""
    codon = codon.upper().replace("U", "T")
    return [
        codon[:place] + base + codon[place + 1 :]
        for place in range(3)
        for base in _BASES
        if base != codon[place]
    ]


@lru_cache(maxsize=64)
def _reached(codon: str) -> tuple[bool, ...]:
    found = {translate(each) for each in neighbours(codon)}
    return tuple(letter in found for letter in AMINO_ACIDS)


def one_step_residues(coding_sequence: str) -> np.ndarray:
    """Bool [L, 20]: residues reachable from each codon by changing one nucleotide."""
    codons = [coding_sequence[start : start + 3].upper() for start in range(0, len(coding_sequence), 3)]
    return np.array([_reached(codon.replace("U", "T")) for codon in codons], bool).reshape(
        -1, len(AMINO_ACIDS)
    )


def mutated_dna(coding_sequence: str, positions: list[int], residues: list[str]) -> str:
    """Replace codons at some positions (from 1), changing the fewest bases; ties go to the first codon in the code.

    Raises:
        KeyError: a residue that no codon stands for.
    """
    found = coding_sequence.upper().replace("U", "T")
    for position, residue in zip(positions, residues, strict=True):
        start = 3 * (position - 1)
        codon = min(
            _codons()[residue],
            key=lambda each: sum(a != b for a, b in zip(each, found[start : start + 3], strict=True)),
        )
        found = found[:start] + codon + found[start + 3 :]
    return found


@lru_cache(maxsize=1)
def _codons() -> dict[str, list[str]]:
    every = [a + b + c for a in _BASES for b in _BASES for c in _BASES]
    found: dict[str, list[str]] = {}
    for codon in every:
        found.setdefault(translate(codon), []).append(codon)
    return found


@lru_cache(maxsize=64)
def shares(scheme: str) -> dict[str, float]:
    """Share of the codons of a degenerate codon (`NNK`) that stand for each residue it encodes, and for a stop."""
    first, second, third = (_DEGENERATE[letter] for letter in scheme)
    found = [translate(a + b + c) for a in first for b in second for c in third]
    return {residue: found.count(residue) / len(found) for residue in sorted(set(found))}


def clones(scheme: str, residues: Sequence[str]) -> float:
    """Clones that one of these residues together takes on average, each position made by the degenerate codon."""
    each = shares(scheme)
    return float(np.prod([1 / each[residue] for residue in residues]))


def library_facts(scheme: str, n_positions: int) -> dict[str, Any]:
    """Facts about the library that a degenerate codon makes at some positions at once, for the report.

    Returns:
        `codons`: the scheme; `residues`: those it encodes; `stops`: share of clones with a stop; `clones_95`: clones
        after which the rarest combination was seen with a probability of 95 %.
    """
    each = dict(shares(scheme))
    stop = each.pop(STOP, 0.0)
    rarest = min(each.values()) ** n_positions
    return {
        "codons": scheme,
        "residues": "".join(each),
        "stops": 1 - (1 - stop) ** n_positions,
        "clones_95": float(np.ceil(np.log(0.05) / np.log1p(-rarest))) if rarest < 1 else 1.0,
    }
