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
_FORMS = (".csv", ".csv.gz", ".parquet")


def read_split_file(file: Path, flags: SplitFlags) -> pa.Table:
    """Read `mutant`, `source` where there is one, `split.column` and `split.val_column`, all as text.

    Empty fields are null.

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
        table = _read_columns(file, [name for name in names if name in wanted])
    except (pa.ArrowException, OSError, EOFError) as error:
        raise BadSplitFile(f"{file.name} cannot be read: {error}. Write it again.") from error
    return table.cast(pa.schema([(name, pa.string()) for name in table.column_names]))


def _is_parquet(file: Path) -> bool:
    return file.name.lower().endswith(".parquet")


def _column_names(file: Path) -> list[str]:
    if _is_parquet(file):
        return list(pyarrow.parquet.read_schema(file).names)
    with pyarrow.csv.open_csv(str(file)) as reader:
        return list(reader.schema.names)


def _check_columns(names: list[str], file: Path, flags: SplitFlags) -> None:
    problems = []
    for name in (MUTANT, flags.column, flags.val_column):
        if name is not None and name not in names:
            near = nearest(name, names, n=1)
            problems.append(repr(name) + (f" (did you mean {near[0]!r}?)" if near else ""))
    if problems:
        raise BadSplitFile(
            f"{file.name} has no column {', '.join(problems)}. "
            f"Its columns are {', '.join(map(repr, names))}; `{MUTANT}` "
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
