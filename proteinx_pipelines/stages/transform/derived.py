"""Columns of `transform.derived`: properties of a mutant's changes for filtering and plotting.

Features for training are computed in the embedding stage, not here.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from proteinx_pipelines.mutants import SEPARATOR, joined_by_row, letter_strings
from proteinx_pipelines.scales import CHARGE, HYDROPATHY, VOLUME
from proteinx_pipelines.stages.transform.mutations import EditedRow, Mutations

DECIMALS = 6
"""Decimals of sums: the scales have one, and rounding avoids values such as -2.4000000000000004."""


def derived_column(name: str, mutations: Mutations) -> pa.Array:
    """Compute one derived column of N rows.

    `positions` is text like `24:40` and `mutated_residues` the new letters in the same order, like `C:G`;
    both are empty for the wild type. The changes are sums over the mutations of (new residue - wild type),
    float64: 0 for the wild type, null where the template's letter is none of the twenty.
    """
    column = _COLUMNS[name](mutations)
    if not mutations.edited:
        return column
    cells = column.to_pylist()
    for row, edited in mutations.edited.items():
        cells[row] = _of_edited(name, edited)
    return pa.array(cells, column.type)


def _of_edited(name: str, edited: EditedRow) -> str | float | None:
    """Compute the column for a row with insertions or deletions; changes are those of the whole sequence."""
    if name == "positions":
        return SEPARATOR.join(str(edit.first) for edit in edited.edits)
    if name == "mutated_residues":
        return SEPARATOR.join(edit.residues or "-" for edit in edited.edits)
    scale = {"hydropathy_change": HYDROPATHY, "charge_change": CHARGE, "volume_change": VOLUME}[name]
    new, old = (
        scale[np.frombuffer(text.encode("ascii"), np.uint8)] for text in (edited.sequence, edited.template)
    )
    total = float(new.sum() - old.sum())
    return round(total, DECIMALS) if np.isfinite(total) else None


def _sum_of_differences(scale: np.ndarray) -> Callable[[Mutations], pa.Array]:
    def column(mutations: Mutations) -> pa.Array:
        difference = scale[mutations.residue] - scale[mutations.wild_type]
        total = np.bincount(mutations.row, weights=difference, minlength=mutations.n_mutants)
        return pa.array(np.round(total, DECIMALS), from_pandas=True)

    return column


def _positions(mutations: Mutations) -> pa.Array:
    return joined_by_row(pa.array(mutations.position).cast(pa.string()), mutations.row, mutations.n_mutants)


def _mutated_residues(mutations: Mutations) -> pa.Array:
    return joined_by_row(letter_strings(mutations.residue), mutations.row, mutations.n_mutants)


_COLUMNS: dict[str, Callable[[Mutations], pa.Array]] = {
    "positions": _positions,
    "mutated_residues": _mutated_residues,
    "hydropathy_change": _sum_of_differences(HYDROPATHY),
    "charge_change": _sum_of_differences(CHARGE),
    "volume_change": _sum_of_differences(VOLUME),
}
