"""Reading the file of `split.path`: which columns it has, and those that count, as text.

What the values mean is `file_values`, to whom they belong is `by_file`.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from proteinx_pipelines.errors import BadSplitFile
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.nearest import nearest

MUTANT = "mutant"
SOURCE = "source"
SEQUENCES = ("sequence", "mutated_sequence", "seq", "protein_sequence", "aa_seq")
"""Columns, whatever their case, that name the lines of a file without mutants."""
MARKS = ("validation", "val", "valid", "is_val", "is_validation")
"""Columns, whatever their case, that look like `split.val_column`."""
_FORMS = (".csv", ".csv.gz", ".parquet")


def read_split_file(file: Path, flags: SplitFlags) -> pa.Table:
    """Read `mutant`, `source` where there is one, `split.column` and `split.val_column`, all as text.

    A file without `mutant` has a column of sequences instead. Empty fields are null.

    Raises:
        BadSplitFile: the file is not there, is neither CSV, CSV.gz nor Parquet, or lacks a column.
    """
    if not file.is_file():
        raise BadSplitFile(
            f"`split.path` {str(file)!r} is not a file on this node. Put it there, or mend the path."
        )
    if not file.name.lower().endswith(_FORMS):
        raise BadSplitFile(f"`split.path` {file.name!r} has an unknown form; expected {', '.join(_FORMS)}.")
    try:
        names = _column_names(file)
        _check_columns(names, file, flags)
        wanted = {MUTANT, SOURCE, flags.column, flags.val_column}
        if MUTANT not in names:
            wanted.add(sequence_column(names))
        table = _read_columns(file, [name for name in names if name in wanted])
    except (pa.ArrowException, OSError, EOFError) as error:
        raise BadSplitFile(f"{file.name} cannot be read: {error}. Write it again.") from error
    return table.cast(pa.schema([(name, pa.string()) for name in table.column_names]))


def sequence_column(names: list[str]) -> str | None:
    """The first column that holds sequences by its name; None where there is none."""
    return next((name for known in SEQUENCES for name in names if name.lower() == known), None)


def validation_marks(file: Path, flags: SplitFlags) -> str | None:
    """A column of the file that looks as if it marked validation rows, where `split.val_column` names none."""
    if flags.val_column is not None:
        return None
    return next(
        (name for name in _column_names(file) if name.lower() in MARKS and name != flags.column), None
    )


def _is_parquet(file: Path) -> bool:
    return file.name.lower().endswith(".parquet")


def _column_names(file: Path) -> list[str]:
    if _is_parquet(file):
        return list(pyarrow.parquet.read_schema(file).names)
    with pyarrow.csv.open_csv(str(file)) as reader:
        return list(reader.schema.names)


def _check_columns(names: list[str], file: Path, flags: SplitFlags) -> None:
    problems = []
    needed = () if sequence_column(names) else (MUTANT,)
    for name in (*needed, flags.column, flags.val_column):
        if name is not None and name not in names:
            near = nearest(name, names, n=1)
            problems.append(repr(name) + (f" (did you mean {near[0]!r}?)" if near else ""))
    if problems:
        raise BadSplitFile(
            f"{file.name} has no column {', '.join(problems)}. "
            f"Its columns are {', '.join(map(repr, names))}; `{MUTANT}` (or `{SEQUENCES[0]}`) "
            "and those that `split.column` and `split.val_column` name are expected."
        )


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
