"""Positions that variants change, and whether test rows are at new ones: counted here for splits, models and intervals.

A position belongs to a template, which several sources may share. A mutation that changes nothing (`N41N`) changes no
position. Insertions and deletions are not counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from proteinx_pipelines.flags.split import leaves_out_positions
from proteinx_pipelines.mutants import parse_mutants
from proteinx_pipelines.records import Fold, VariantTable

Asked = Literal["variants", "positions", "stretches"]
"""What a split asks of a model: new variants at trained positions, new positions, or stretches of new positions."""
FAR = 3
"""Median distance from a new position to the nearest trained one, in residues, from which stretches are asked for."""


@dataclass(frozen=True)
class Sites:
    """M changed residues of N variants as columns, ordered by variant."""

    row: np.ndarray
    """int64 [M]: the variant."""
    place: np.ndarray
    """int64 [M]: template and position; neighbours in one template differ by 1, templates by 2**32 and more."""
    residue: np.ndarray
    """uint8 [M], ASCII."""
    n_variants: int

    @cached_property
    def position(self) -> np.ndarray:
        """int64 [M]: number of each place, from 0 without gaps, ascending with the place."""
        return np.asarray(np.unique(self.place, return_inverse=True)[1])

    def are_new(self, folds: Iterable[Fold]) -> bool:
        """True if at least half of the folds' test rows change a position that no training row of their fold changes.

        False without test rows.
        """
        n_new = n_tested = 0
        for fold in folds:
            n_new += len(np.unique(self.row[self._new(fold)]))
            n_tested += len(fold.test)
        return n_tested > 0 and 2 * n_new >= n_tested

    def asked(self, fold: Fold, method: object, held_out: object) -> Asked:
        """What the split asks of the fold's model; rows of training can be left out likewise.

        Read from the test rows, never from targets; from the method where nothing is tested, as for a model of all
        rows. Single variants if the training rows change fewer than two positions: none could be left out.

        Args:
            fold: the fold.
            method: `split.method`.
            held_out: `split.held_out`.
        """
        trained = np.unique(self.place[self._of(fold.train)])
        if len(trained) < 2:
            return "variants"
        if not len(fold.test):
            if not leaves_out_positions(method, held_out):
                return "variants"
            return "stretches" if method == "contiguous" else "positions"
        if not self.are_new((fold,)):
            return "variants"
        new = np.unique(self.place[self._new(fold)])
        after = np.searchsorted(trained, new)
        gaps = [np.abs(new - trained[np.clip(after + side, 0, len(trained) - 1)]) for side in (-1, 0)]
        return "stretches" if float(np.median(np.minimum(*gaps))) >= FAR else "positions"

    def _new(self, fold: Fold) -> np.ndarray:
        """Bool [M]: changes of test rows at positions that no training row changes."""
        trained = np.unique(self.place[self._of(fold.train)])
        return np.asarray(self._of(fold.test) & ~np.isin(self.place, trained))

    def _of(self, rows: np.ndarray) -> np.ndarray:
        """Bool [M]: changes of these rows."""
        chosen = np.zeros(self.n_variants, bool)
        chosen[rows] = True
        return np.asarray(chosen[self.row])


def changed_sites(variants: VariantTable) -> Sites:
    """Changed residues of each variant."""
    mutations = parse_mutants(variants.rows.column("mutant"))
    changing = mutations.wild_type != mutations.residue
    row = mutations.row[changing]
    place = (template_codes(variants)[row] << 32) + mutations.position[changing]
    return Sites(row, place, mutations.residue[changing], variants.n_variants)


def template_codes(variants: VariantTable) -> np.ndarray:
    """Code of each row's template (int64 [N]); sources with the same template share it."""
    codes = {template: code for code, template in enumerate(sorted(set(variants.templates.values())))}
    source = variants.rows.column("source").combine_chunks().dictionary_encode()
    names = source.dictionary.to_pylist()
    by_source = np.array([codes[variants.templates[name]] for name in names], np.int64)
    return np.asarray(by_source[source.indices.to_numpy()])
