"""Table of a file's cells before they are interpreted."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.variant_files.understood import Understood

_MOST_EXACT = 2.0**53


@dataclass
class TextTable:
    """n rows of columns: texts, or numbers if the form has numbers."""

    names: list[str]
    """As in the file; may repeat, may be empty."""
    columns: list[pa.Array]
    lines: np.ndarray
    """int64 [n]: line of each row in the file, counted from 1."""
    understood: Understood
    unit: str = "line"
    """Unit of `lines`."""
    broken: list[tuple[int, str]] = field(default_factory=list)
    """Lines that are not rows, with the reason."""
    comments: list[str] = field(default_factory=list)
    template: str | None = None
    """Template given in the file itself, such as the first record of a FASTA file or a JSON key."""

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.lines)

    def without(self, names: Sequence[str]) -> "TextTable":
        """The table without the columns of these names."""
        kept = [place for place, name in enumerate(self.names) if name not in names]
        columns = [self.columns[place] for place in kept]
        return replace(self, names=[self.names[place] for place in kept], columns=columns)

    def text(self, place: int) -> pa.Array:
        """One column as text; whole numbers that were kept as floats are written without `.0`."""
        return as_text(self.columns[place])


def table_of(
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    lines: Sequence[int],
    understood: Understood,
    unit: str,
) -> TextTable:
    """Build a table from rows of cells, each as long as `names`; empty rows are left out."""
    kept = [k for k, row in enumerate(rows) if any(_is_filled(cell) for cell in row)]
    cells = list(zip(*(rows[k] for k in kept), strict=True)) if kept else [()] * len(names)
    columns = [_column(column) for column in cells]
    return TextTable(list(names), columns, np.array([lines[k] for k in kept], np.int64), understood, unit)


def as_text(array: pa.Array) -> pa.Array:
    """Convert a column to text: whole floats without `.0`; values that Arrow cannot cast, such as lists, by `str`."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        values = array.drop_null().to_numpy(zero_copy_only=False)
        if (
            np.isfinite(values).all()
            and (np.abs(values) < _MOST_EXACT).all()
            and (values == np.rint(values)).all()
        ):
            array = array.cast(pa.int64())
    try:
        return array.cast(pa.string())
    except (pa.ArrowException, UnicodeDecodeError):
        return pa.array([None if cell is None else str(cell) for cell in array.to_pylist()], pa.string())


def _is_filled(cell: Any) -> bool:
    return cell is not None and (not isinstance(cell, str) or bool(cell.strip()))


def _column(cells: Sequence[Any]) -> pa.Array:
    """Numbers if all cells are numbers, else texts."""
    if all(type(cell) is str for cell in cells):  # as in every text file
        return pa.array([cell if cell and not cell.isspace() else None for cell in cells], pa.string())
    filled = [cell for cell in cells if _is_filled(cell)]
    if filled and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in filled):
        return pa.array([float(cell) if _is_filled(cell) else None for cell in cells], pa.float64())
    return pa.array([_cell_text(cell) if _is_filled(cell) else None for cell in cells], pa.string())


def _cell_text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell if isinstance(cell, str) else str(cell)
