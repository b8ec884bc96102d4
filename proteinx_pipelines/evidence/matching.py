"""Match of a sequence to a template by optimal alignment: covered sites, identity and offset."""

from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.evidence.packages import needed

_KNOWN = frozenset("ABCDEFGHIKLMNPQRSTVWXYZ")
_GAP = (-11, -1)
"""Costs of opening and extending a gap, as BLAST's for BLOSUM62."""


@dataclass(frozen=True)
class Match:
    """A sequence aligned to a template of L sites."""

    index: np.ndarray
    """int64 [L]: residue of the sequence at each site, -1 where it has none."""
    identity: float
    """Share of the covered sites with the template's residue."""
    coverage: float
    """Share of the template's sites that are covered."""
    length: int
    """Residues of the sequence."""
    offset: int
    """Most frequent difference of the residue's number in the sequence and the site's; 0 for equal numbering."""

    @property
    def sites(self) -> int:
        """Number of covered sites."""
        return int((self.index >= 0).sum())


def match(sequence: str, template: str) -> Match:
    """Align a sequence to a template; ends may hang over without cost.

    Args:
        sequence: letters without gaps.
        template: letters, other ones than the twenty are unknown.
    """
    length = len(template)
    start = template.find(sequence)
    if start >= 0:
        return _exact(np.arange(len(sequence)), start, length)
    start = sequence.find(template)
    if start >= 0:
        return Match(np.arange(start, start + length), 1.0, 1.0, len(sequence), start)
    align = needed("biotite.sequence.align", "Matching a sequence to its template")
    proteins = needed("biotite.sequence", "Matching a sequence to its template")
    pair = [proteins.ProteinSequence(_plain(text)) for text in (sequence, template)]
    found = align.align_optimal(
        *pair,
        align.SubstitutionMatrix.std_protein_matrix(),
        gap_penalty=_GAP,
        terminal_penalty=False,
        max_number=1,
    )[0].trace
    both = (found >= 0).all(axis=1)
    index = np.full(length, -1, np.int64)
    index[found[both, 1]] = found[both, 0]
    return _of_index(index, sequence, template)


def _exact(residues: np.ndarray, start: int, length: int) -> Match:
    index = np.full(length, -1, np.int64)
    index[start : start + len(residues)] = residues
    return Match(index, 1.0, len(residues) / max(length, 1), len(residues), -start)


def _of_index(index: np.ndarray, sequence: str, template: str) -> Match:
    sites = np.flatnonzero(index >= 0)
    if not len(sites):
        return Match(index, 0.0, 0.0, len(sequence), 0)
    same = sum(sequence[index[site]].upper() == template[site] for site in sites)
    shifts, counts = np.unique(index[sites] - sites, return_counts=True)
    share, covered = same / len(sites), len(sites) / len(template)
    return Match(index, share, covered, len(sequence), int(shifts[counts.argmax()]))


def _plain(text: str) -> str:
    return "".join(letter if letter in _KNOWN else "X" for letter in text.upper())
