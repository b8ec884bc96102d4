"""Merge rows of the same variant: replicates (same mutant) and synonymous mutants (same sequence).

`D28A` and `D28A:N41N` are one sequence; unmerged, one may be trained on while the other is tested. The mutant kept is
the one with the fewest written mutations, then the one with ascending positions, then the first by alphabet.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.flags.transform import TransformFlags
from proteinx_pipelines.mutants import canonical_mutants
from proteinx_pipelines.numbering import names_of
from proteinx_pipelines.records import STANDARD_ERROR
from proteinx_pipelines.stages.transform.mutations import Mutations
from proteinx_pipelines.stages.transform.refusals import SHOWN, listed

_OF_MEDIAN = float(np.sqrt(np.pi / 2))
"""Standard error of the median of many equal normal errors over that of their mean."""


@dataclass(frozen=True)
class Merged:
    """G variants, each made of one or more of the selected rows."""

    row: np.ndarray
    """int64 [G]: the selected row whose mutant is kept."""
    score: np.ndarray
    """float64 [G]: the merged measurement."""
    n_merged: np.ndarray
    """int64 [G]: rows it was made of, at least 1."""
    dropped: dict[str, int]
    """Rows that went into another row: `replicates_merged`, `synonymous_merged`."""
    deviation: np.ndarray | None = None
    """float64 [G]: standard deviation of the rows of each variant (n - 1 in the denominator), NaN for one row; None
    if nothing was merged, or only the first row counts."""
    error: np.ndarray | None = None
    """float64 [G]: standard error of the merged score, NaN where that of one of its rows is unknown; None if no row has
    one."""

    def take(self, order: np.ndarray) -> "Merged":
        """Reorder the variants (int64 [G])."""
        deviation, error = (None if found is None else found[order] for found in (self.deviation, self.error))
        return Merged(
            self.row[order], self.score[order], self.n_merged[order], self.dropped, deviation, error
        )


def merge_rows(
    rows: pa.Table,
    mutations: Mutations,
    usable: np.ndarray,
    flags: TransformFlags,
    offsets: Mapping[str, int] | None = None,
) -> Merged:
    """Merge the usable rows (bool [N]) of each variant according to `duplicates` and `synonymous`.

    `offsets` give the user's numbering for messages.

    Raises:
        BadVariants: there are replicates or synonymous mutants and the flag says `error`. The message lists
            them; choose another value of the flag it names.
    """
    chosen = np.flatnonzero(usable)
    sequence, spelling = _same_sequence(rows, mutations, chosen)
    order = np.lexsort(
        (chosen, spelling, ~mutations.canonical[chosen], mutations.n_written[chosen], sequence)
    )
    chosen, sequence, spelling = chosen[order], sequence[order], spelling[order]
    new_sequence = _starts(sequence)
    new_mutant = new_sequence | _starts(spelling)
    _refuse(rows, chosen, new_sequence, new_mutant, flags, offsets or {})
    new_variant = new_mutant if flags.synonymous == "keep" else new_sequence
    first = np.flatnonzero(new_variant)
    n_merged = np.diff(np.append(first, len(chosen)))
    measured = rows.column("DMS_score").to_numpy()[chosen]
    score = _merge_scores(measured, np.cumsum(new_variant) - 1, first, n_merged, flags.duplicates)
    n_mutants = int(new_mutant.sum())
    dropped = {"replicates_merged": len(chosen) - n_mutants, "synonymous_merged": n_mutants - len(first)}
    deviation = None if flags.duplicates == "first" else _deviations(measured, first, n_merged)
    error = None
    if STANDARD_ERROR in rows.column_names:
        of_rows = rows.column(STANDARD_ERROR).to_numpy(zero_copy_only=False).astype(np.float64)[chosen]
        error = _merge_errors(of_rows, first, n_merged, flags.duplicates)
    return Merged(chosen[first], score, n_merged, dropped, deviation, error)


def _deviations(measured: np.ndarray, first: np.ndarray, n_merged: np.ndarray) -> np.ndarray | None:
    """Standard deviation of each variant's rows, float64 [G]; None if no variant has two."""
    if len(first) == len(measured):
        return None
    variant = np.repeat(np.arange(len(first)), n_merged)
    measured = measured[np.lexsort((measured, variant))]  # so that the order of the rows does not matter
    mean = np.add.reduceat(measured, first) / n_merged
    squares = np.add.reduceat((measured - np.repeat(mean, n_merged)) ** 2, first)
    return np.asarray(
        np.sqrt(np.divide(squares, n_merged - 1, out=np.full(len(first), np.nan), where=n_merged > 1))
    )


def _starts(values: np.ndarray) -> np.ndarray:
    """bool: starts of runs of equal values."""
    return np.concatenate([[True], values[1:] != values[:-1]])


def _same_sequence(rows: pa.Table, mutations: Mutations, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two codes of each chosen row: its sequence within its source, and its spelling (0: canonical)."""
    mutant = rows.column("mutant").take(chosen).combine_chunks()
    odd = np.flatnonzero(~mutations.canonical[chosen])
    spelling = np.zeros(len(chosen), np.int64)
    if len(odd):
        spelling[odd] = 1 + np.unique(mutant.take(odd).to_numpy(zero_copy_only=False), return_inverse=True)[1]
        is_odd = pa.array(~mutations.canonical[chosen])
        own = [mutations.edited.get(int(row)) for row in chosen[odd]]
        spelled = pa.array([None if found is None else found.spelling for found in own], pa.string())
        mutant = pc.replace_with_mask(
            mutant, is_odd, pc.coalesce(spelled, canonical_mutants(mutant.take(odd)))
        )
    text = mutant.dictionary_encode()
    source = rows.column("source").take(chosen).combine_chunks().dictionary_encode()
    return source.indices.to_numpy().astype(np.int64) * len(
        text.dictionary
    ) + text.indices.to_numpy(), spelling


def _merge_scores(
    measured: np.ndarray, variant: np.ndarray, first: np.ndarray, n_merged: np.ndarray, how: str
) -> np.ndarray:
    """Compute one score per variant. Scores are summed in ascending order, so that row order does not matter."""
    if how == "first" or len(first) == len(measured):
        return np.asarray(measured[first])
    ascending = measured[np.lexsort((measured, variant))]
    if how == "median":
        return np.asarray((ascending[first + (n_merged - 1) // 2] + ascending[first + n_merged // 2]) / 2)
    return np.asarray(np.add.reduceat(ascending, first) / n_merged)


def _merge_errors(of_rows: np.ndarray, first: np.ndarray, n_merged: np.ndarray, how: str) -> np.ndarray:
    """Standard error of each merged score, float64 [G], from those of its rows, which are independent.

    Of a mean of n: the root of the summed squares, divided by n. Of a median of three or more: as much larger as the
    median of many equal normal errors is less precise than their mean (a median of two is their mean).
    """
    if how == "first" or len(first) == len(of_rows):
        return np.asarray(of_rows[first])
    variant = np.repeat(np.arange(len(first)), n_merged)
    squares = of_rows[np.lexsort((of_rows, variant))] ** 2  # so that the order of the rows does not matter
    error = np.sqrt(np.add.reduceat(squares, first)) / n_merged
    return np.asarray(np.where(n_merged > 2, _OF_MEDIAN * error, error) if how == "median" else error)


def _refuse(
    rows: pa.Table,
    chosen: np.ndarray,
    new_sequence: np.ndarray,
    new_mutant: np.ndarray,
    flags: TransformFlags,
    offsets: Mapping[str, int],
) -> None:
    replicates, synonymous = chosen[~new_mutant], chosen[new_mutant & ~new_sequence]
    problems = []
    if flags.duplicates == "error" and len(replicates):
        found = listed(names_of(rows, offsets, replicates[:SHOWN]), len(replicates))
        problems.append(
            f"{len(replicates)} rows measure a mutant again and `transform.duplicates` is 'error':{found}\n"
            "Set it to mean, median or first to merge them."
        )
    if len(synonymous) and (
        flags.synonymous == "error" or (flags.synonymous, flags.duplicates) == ("merge", "error")
    ):
        found = listed(names_of(rows, offsets, synonymous[:SHOWN]), len(synonymous))
        problems.append(
            f"{len(synonymous)} mutants have the sequence of another mutant, and `transform.synonymous` is "
            f"{flags.synonymous!r} with `transform.duplicates` {flags.duplicates!r}:{found}\n"
            "Set `transform.synonymous` to merge (with duplicates mean, median or first), or to keep."
        )
    if problems:
        raise BadVariants("\n".join(problems))
