"""Read the file of `split.path`: columns that name rows and columns that assign them, as text.

CSV and Parquet with a column `mutant` are read by Arrow, millions of lines a second; every other form, notation and
name of a column is read by `variant_files`. `file_values` parses the values, `file_rows` matches lines to variants.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from proteinx_pipelines.errors import BadSplitFile, CatalogError
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.nearest import nearest
from proteinx_pipelines.variant_files.columns import find_roles
from proteinx_pipelines.variant_files.forms import read_table
from proteinx_pipelines.variant_files.text_table import TextTable
from proteinx_pipelines.variant_files.understood import ReadingOptions
from proteinx_pipelines.variant_files.variants import clean_sequences

MUTANT = "mutant"
SOURCE = "source"
MARKS = ("validation", "val", "valid", "is_val", "is_validation")
"""Columns, whatever their case, that look like `split.val_column`."""
_PLAIN_FORMS = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class SplitFile:
    """Columns of a split file that are used; string [lines] each, empty fields are null."""

    mutants: pa.Array | None
    """As in the file; None if its lines are named by sequence."""
    sequences: pa.Array | None
    """In capitals; None if lines are named by mutant."""
    sources: pa.Array | None
    values: pa.Array
    """Of `split.column`."""
    marks: pa.Array | None
    """Of `split.val_column`."""
    named_by: str
    """The column that names the lines."""
    names: tuple[str, ...]
    """Of all columns."""

    @property
    def n_lines(self) -> int:
        """Number of lines after the header."""
        return len(self.values)

    @property
    def row_names(self) -> pa.Array:
        """Column by which lines are named."""
        return self.sequences if self.mutants is None else self.mutants

    def marks_not_used(self, flags: SplitFlags) -> str | None:
        """Column that seems to mark validation rows although `split.val_column` is not set; None if there is none."""
        if flags.val_column is not None:
            return None
        return next((name for name in self.names if name.lower() in MARKS and name != flags.column), None)


def read_split_file(file: Path, flags: SplitFlags) -> SplitFile:
    """Read a split file of any form.

    Raises:
        BadSplitFile: the file is not there, cannot be read, or lacks a column.
    """
    if not file.is_file():
        raise BadSplitFile(
            f"`split.path` {str(file)!r} is not a file on this node. Put it there, or mend the path."
        )
    return _read_plain(file, flags) or _read_any(file, flags)


def _read_plain(file: Path, flags: SplitFlags) -> SplitFile | None:
    """Read a file in the plain form; None if it has another form, or cannot be read as this one."""
    if not file.name.lower().endswith(_PLAIN_FORMS):
        return None
    needed = [name for name in (MUTANT, flags.column, flags.val_column) if name is not None]
    try:
        names = _column_names(file)
        if any(names.count(name) != 1 for name in needed) or names.count(SOURCE) > 1:
            return None
        wanted = [*dict.fromkeys([*needed, *([SOURCE] if SOURCE in names else [])])]
        table = _read_columns(file, wanted)
    except (pa.ArrowException, OSError, EOFError):
        return None
    text = {name: table.column(name).cast(pa.string()).combine_chunks() for name in wanted}
    marks = None if flags.val_column is None else text[flags.val_column]
    return SplitFile(
        text[MUTANT], None, text.get(SOURCE), text[str(flags.column)], marks, MUTANT, tuple(names)
    )


def _read_any(file: Path, flags: SplitFlags) -> SplitFile:
    try:
        table = read_table(file)
    except CatalogError as error:
        raise BadSplitFile(f"{file.name} cannot be read: {error}") from error
    _check_columns(table.names, file, flags)
    try:
        roles = find_roles(table, ReadingOptions(), file.name, needs_score=False)
    except CatalogError as error:
        listed = ", ".join(map(repr, table.names))
        raise BadSplitFile(f"{file.name} has the columns {listed}: {'; '.join(error.problems)}.") from error
    if table.broken:
        line, reason = table.broken[0]
        raise BadSplitFile(f"{file.name} cannot be read: {table.unit} {line} has {reason}. Write it again.")
    by_mutant = roles.mutant is not None
    place = roles.mutant if by_mutant else roles.sequence
    assert place is not None
    return SplitFile(
        mutants=_text(table, table.names[place]) if by_mutant else None,
        sequences=None if by_mutant else clean_sequences(table.text(place), ""),
        sources=_text(table, table.names[roles.source]) if roles.source is not None else None,
        values=_text(table, str(flags.column)),
        marks=None if flags.val_column is None else _text(table, flags.val_column),
        named_by=table.names[place],
        names=tuple(table.names),
    )


def _text(table: TextTable, name: str) -> pa.Array:
    text = table.text(table.names.index(name))
    return pa.array([cell or None for cell in text.to_pylist()], pa.string())


def _check_columns(names: list[str], file: Path, flags: SplitFlags) -> None:
    problems = []
    for name in (flags.column, flags.val_column):
        if name is not None and name not in names:
            near = nearest(name, names)
            problems.append(repr(name) + (f" (did you mean {near[0]!r}?)" if near else ""))
    if problems:
        raise BadSplitFile(
            f"{file.name} has no column {', '.join(problems)}. "
            f"Its columns are {', '.join(map(repr, names))}; a column of mutants or sequences "
            "and those that `split.column` and `split.val_column` name are expected."
        )


def _is_parquet(file: Path) -> bool:
    return file.name.lower().endswith(".parquet")


def _column_names(file: Path) -> list[str]:
    if _is_parquet(file):
        return list(pyarrow.parquet.read_schema(file).names)
    with pyarrow.csv.open_csv(str(file)) as reader:
        return list(reader.schema.names)


def _read_columns(file: Path, names: list[str]) -> pa.Table:
    if _is_parquet(file):
        return pyarrow.parquet.read_table(file, columns=names)
    options = pyarrow.csv.ConvertOptions(
        include_columns=names,
        column_types=dict.fromkeys(names, pa.string()),
        strings_can_be_null=True,
        null_values=[""],
    )
    return pyarrow.csv.read_csv(str(file), convert_options=options)
