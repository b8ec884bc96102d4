"""Reading the file of `split.path`: which columns it has, and those that count, as text.

What the values mean is `file_values`, to whom they belong is `by_file`.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from proteinx_pipelines.errors import BadSplitFile, CatalogError
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.mutants import parse_mutants
from proteinx_pipelines.nearest import nearest
from proteinx_pipelines.variant_files.columns import find_roles
from proteinx_pipelines.variant_files.forms import read_table
from proteinx_pipelines.variant_files.notation import respelled
from proteinx_pipelines.variant_files.understood import ReadingOptions
from proteinx_pipelines.variant_files.variants import clean_sequences

MUTANT = "mutant"
SOURCE = "source"
SEQUENCES = ("sequence", "mutated_sequence", "seq", "protein_sequence", "aa_seq")
"""Columns, whatever their case, that name the lines of a file without mutants."""
MARKS = ("validation", "val", "valid", "is_val", "is_validation")
"""Columns, whatever their case, that look like `split.val_column`."""
_FORMS = (".csv", ".csv.gz", ".parquet")


def read_split_file(file: Path, flags: SplitFlags, template: str = "", offset: int = 0) -> pa.Table:
    """Read `mutant`, `source` where there is one, `split.column` and `split.val_column`, all as text.

    A file without mutants has a column of sequences instead. Empty fields are null. Any form that
    `variant_files` knows is read; mutants come out as ProteinGym writes them, in the positions of the file.

    Args:
        file: the file.
        flags: name the columns.
        template: of the only source, for mutants written without its letters; empty where there are several.
        offset: of that source.

    Raises:
        BadSplitFile: the file is not there, cannot be read, or lacks a column.
    """
    if not file.is_file():
        raise BadSplitFile(
            f"`split.path` {str(file)!r} is not a file on this node. Put it there, or mend the path."
        )
    plain = _read_plain(file, flags)
    return _read_any(file, flags, template, offset) if plain is None else plain


def _read_plain(file: Path, flags: SplitFlags) -> pa.Table | None:
    """The columns of a CSV or Parquet file that names them exactly and writes mutants plainly; None for others."""
    if not file.name.lower().endswith(_FORMS):
        return None
    try:
        names = _column_names(file)
        needed = (MUTANT, flags.column, flags.val_column)
        if any(name is not None and names.count(name) != 1 for name in needed):
            return None
        wanted = {SOURCE, *needed}
        table = _read_columns(file, [name for name in names if name in wanted])
    except (pa.ArrowException, OSError, EOFError):
        return None
    table = table.cast(pa.schema([(name, pa.string()) for name in table.column_names]))
    return None if parse_mutants(table.column(MUTANT)).malformed.any() else table


def _read_any(file: Path, flags: SplitFlags, template: str, offset: int) -> pa.Table:
    try:
        cells = read_table(file)
        roles = find_roles(cells, ReadingOptions(), file.name, needs_score=False, needs_mutant=False)
    except CatalogError as error:
        raise BadSplitFile(f"{file.name} cannot be read: {error}") from error
    if cells.broken:
        lines = "; ".join(f"line {line}: {text}" for line, text in cells.broken[:3])
        raise BadSplitFile(f"{file.name} cannot be read: {lines}. Write it again.")
    names = cells.names
    found = {name: _place(names, name) for name in (flags.column, flags.val_column) if name is not None}
    _check_columns(names, file, flags, has_names=roles.mutant is not None or roles.sequence is not None)
    columns = {str(name): _filled(cells.text(int(str(place)))) for name, place in found.items()}
    if roles.source is not None and names[roles.source] not in found:
        columns[SOURCE] = _filled(cells.text(roles.source))
    if roles.mutant is not None:
        columns[MUTANT] = _respelled(_filled(cells.text(roles.mutant)), template, offset)
    elif roles.sequence is not None:
        name = names[roles.sequence]
        columns[name if name.lower() in SEQUENCES else SEQUENCES[0]] = clean_sequences(
            cells.text(roles.sequence), template
        )
    return pa.table(columns)


def _filled(column: pa.Array) -> pa.Array:
    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _respelled(column: pa.Array, template: str, offset: int) -> pa.Array:
    """Mutants as ProteinGym writes them; what cannot be read stays as it is, and names no variant."""
    encoded = column.dictionary_encode()
    texts = [respelled(text, template, offset) or text for text in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(encoded.indices)


def _place(names: list[str], name: str) -> int | None:
    """Where a column stands: by its name, else without regard to case and blanks."""
    exact = [place for place, other in enumerate(names) if other == name]
    alike = [place for place, other in enumerate(names) if other.strip().lower() == name.strip().lower()]
    return next(iter([*exact, *alike]), None)


def sequence_column(names: list[str]) -> str | None:
    """The first column that holds sequences by its name; None where there is none."""
    return next((name for known in SEQUENCES for name in names if name.lower() == known), None)


def validation_marks(file: Path, flags: SplitFlags) -> str | None:
    """A column of the file that looks as if it marked validation rows, where `split.val_column` names none."""
    if flags.val_column is not None:
        return None
    try:
        names = _column_names(file) if file.name.lower().endswith(_FORMS) else read_table(file).names
    except (pa.ArrowException, OSError, EOFError):
        names = read_table(file).names
    return next((name for name in names if name.lower() in MARKS and name != flags.column), None)


def _is_parquet(file: Path) -> bool:
    return file.name.lower().endswith(".parquet")


def _column_names(file: Path) -> list[str]:
    if _is_parquet(file):
        return list(pyarrow.parquet.read_schema(file).names)
    with pyarrow.csv.open_csv(str(file)) as reader:
        return list(reader.schema.names)


def _check_columns(names: list[str], file: Path, flags: SplitFlags, *, has_names: bool) -> None:
    problems = []
    for name in (*(() if has_names else (MUTANT,)), flags.column, flags.val_column):
        if name is not None and _place(names, name) is None:
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
