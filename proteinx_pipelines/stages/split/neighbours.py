"""Pairs of variants that differ in one residue, found by hashing: a million variants take seconds.

The hash of a variant is the sum of random numbers of its mutations, modulo 2^64. Two variants of one template differ
in one residue if one has exactly one mutation more, or if they differ only in the new residue at one position.
"""

import numpy as np

from proteinx_pipelines.edits import rows_with_indels
from proteinx_pipelines.positions import changed_sites, template_codes
from proteinx_pipelines.records import VariantTable


class Neighbours:
    """Index of variants that differ in one residue; the wild type is left out."""

    def __init__(self, variants: VariantTable) -> None:
        sites = changed_sites(variants)
        draw = np.random.default_rng(0)
        _, mutation = np.unique(sites.position * 256 + sites.residue, return_inverse=True)
        number = draw.integers(1, 2**63, int(mutation.max(initial=-1)) + 1, np.uint64)[mutation]
        place = draw.integers(1, 2**63, int(sites.position.max(initial=-1)) + 1, np.uint64)[sites.position]
        own = draw.integers(1, 2**63, len(variants.templates) + 1, np.uint64)[template_codes(variants)]
        # [N]: number of the template plus those of the variant's mutations; uint64 sums wrap around, as intended.
        total = own.copy()
        indels = rows_with_indels(variants.rows.column("mutant"))
        total[indels] += draw.integers(1, 2**63, int(indels.sum()), np.uint64)  # no neighbours
        np.add.at(total, sites.row, number)
        without = total[sites.row] - number  # [M]: the variant without this one mutation
        self._row, self._n = sites.row, variants.n_variants
        # Variants that differ only in the residue at one position share a group.
        _, self._group = np.unique(without ^ place, return_inverse=True)
        # Parent: the variant with this mutation removed, if it exists (as the index of its distinct sequence).
        known, self._sequence = np.unique(total, return_inverse=True)
        at = np.minimum(np.searchsorted(known, without), len(known) - 1) if len(known) else without
        is_there = (known[at] == without) & (without != own[sites.row])
        self._child_row, self._parent = sites.row[is_there], at[is_there].astype(np.int64)

    def near(self, rows: np.ndarray) -> np.ndarray:
        """Bool [N]: True for variants that differ in one residue from, or equal, one of `rows` (int64)."""
        chosen = np.zeros(self._n, bool)
        chosen[rows] = True
        # Another residue at one position, or the row itself.
        group = np.zeros(int(self._group.max(initial=-1)) + 1, bool)
        group[self._group[chosen[self._row]]] = True
        found = np.zeros(self._n, bool)
        found[self._row[group[self._group]]] = True
        # One mutation more than one of `rows`.
        sequence = np.zeros(int(self._sequence.max(initial=-1)) + 1, bool)
        sequence[self._sequence[chosen]] = True
        found[self._child_row[sequence[self._parent]]] = True
        # One mutation less than one of `rows`.
        is_parent = np.zeros(len(sequence), bool)
        is_parent[self._parent[chosen[self._child_row]]] = True
        return np.asarray(found | is_parent[self._sequence])
