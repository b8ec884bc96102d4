"""Positions that variants change, and how many test rows change one that was never trained on."""

from collections.abc import Iterable

import numpy as np

from proteinx_pipelines.mutants import parse_mutants
from proteinx_pipelines.records import Fold, VariantTable


def changed_positions(variants: VariantTable) -> tuple[np.ndarray, np.ndarray]:
    """Row, and code of source and position, of each mutation: int64 [M] each, in order of the rows."""
    found = parse_mutants(variants.rows.column("mutant"))
    source = variants.rows.column("source").combine_chunks().dictionary_encode().indices.to_numpy()
    return found.row, (source[found.row].astype(np.int64) << 32) + found.position


def share_at_new_positions(variants: VariantTable, folds: Iterable[Fold]) -> float:
    """Share of the folds' test rows that change a position at which no training row of their fold is changed.

    0 without test rows.
    """
    row, key = changed_positions(variants)
    new = total = 0
    for fold in folds:
        trained, tested = (_mask(rows, variants.n_variants)[row] for rows in (fold.train, fold.test))
        new += len(np.unique(row[tested & ~np.isin(key, np.unique(key[trained]))]))
        total += len(fold.test)
    return new / total if total else 0.0


def _mask(rows: np.ndarray, n: int) -> np.ndarray:
    found = np.zeros(n, bool)
    found[rows] = True
    return found
