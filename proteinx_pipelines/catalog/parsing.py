"""Read a data file in batches of columns: CSV, CSV.gz or Parquet in ProteinGym's form, or close to it.

Cells are returned as text or numbers with their line numbers; `checking` checks that they are variants. Memory does not
grow with the file.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from proteinx_pipelines.errors import CatalogError

SUFFIXES = (".csv", ".csv.gz", ".parquet")
"""Endings of files that can be imported."""
SEQUENCE_COLUMN = "mutated_sequence"
DEFAULT_BIN_COLUMN = "DMS_score_bin"
_BATCH_ROWS = 65_536
_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class ColumnNames:
    """Names of the columns in a file."""

    mutant: str = "mutant"
    score: str = "DMS_score"
    bin: str = DEFAULT_BIN_COLUMN


@dataclass(frozen=True)
class RawRows:
    """n rows as in the file, unchecked."""

    lines: np.ndarray
    """int64 [n]: line of a CSV counted from 1 (the header), or row of a Parquet file counted from 1."""
    mutants: pa.Array
    """string [n]."""
    scores: pa.Array
    """[n], text from a CSV, the column's own type from Parquet."""
    bins: pa.Array
    """string [n]; null everywhere when the file has no such column."""
    sequences: pa.Array | None
    """string [n] from the column `mutated_sequence`, or None when there is none."""


@dataclass
class DataFile:
    """A file that can be iterated once, batch by batch."""

    path: Path
    columns: ColumnNames
    broken: list[tuple[int, str]] = field(default_factory=list)
    """Lines that are not rows, with the reason; complete when the iteration has ended."""

    def __post_init__(self) -> None:
        if not self.path.is_file():
            raise CatalogError(f"{self.path} is not there, or not a file.")
        self.suffix = next((suffix for suffix in SUFFIXES if self.path.name.lower().endswith(suffix)), "")
        if not self.suffix:
            raise CatalogError(
                f"{self.path} cannot be imported: its name must end with {', '.join(SUFFIXES)}."
            )
        with _readable(self.path):
            self.names = self._column_names()
        self._wanted = self._check_columns(self.names)

    def understood(self) -> dict[str, Any]:
        """Interpretation of the file, in the form of the reader of other forms."""
        told = {"mutant": self.columns.mutant, "score": self.columns.score, "bin": self.columns.bin}
        columns = {role: name for role, name in told.items() if name in self._wanted}
        if SEQUENCE_COLUMN in self._wanted:
            columns["sequence"] = SEQUENCE_COLUMN
        form = "Parquet" if self.suffix == ".parquet" else "CSV"
        return {
            "form": form,
            "file": self.path.name,
            "columns": columns,
            "notations": {"as A24C": "all"},
            "notes": [],
        }

    @property
    def unit(self) -> str:
        """Unit of `RawRows.lines`."""
        return "row" if self.suffix == ".parquet" else "line"

    def __iter__(self) -> Iterator[RawRows]:
        with _readable(self.path):
            yield from self._parquet_rows() if self.suffix == ".parquet" else self._csv_rows()

    def _column_names(self) -> list[str]:
        if self.suffix == ".parquet":
            return list(pq.read_schema(self.path).names)
        with self._open_bytes() as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
            return next(csv.reader(text), [])

    def _open_bytes(self) -> pa.NativeFile:
        return pa.input_stream(self.path, compression="gzip" if self.suffix == ".csv.gz" else None)

    def _check_columns(self, found: list[str]) -> list[str]:
        names = self.columns
        required = [names.mutant, names.score, *([names.bin] if names.bin != DEFAULT_BIN_COLUMN else [])]
        problems = [f"there is no column {name!r}" for name in required if name not in found]
        wanted = [*dict.fromkeys([*required, names.bin, SEQUENCE_COLUMN])]
        problems += [
            f"there are {found.count(name)} columns {name!r}" for name in wanted if found.count(name) > 1
        ]
        if problems:
            listed = ", ".join(map(repr, found)) or "none"
            raise CatalogError(
                f"{self.path} has the columns {listed}. Say which to use (--mutant-column, ...):", problems
            )
        return [name for name in wanted if name in found]

    def _parquet_rows(self) -> Iterator[RawRows]:
        first = 1
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=self._wanted):
                yield self._rows(pa.table(batch), first + np.arange(batch.num_rows))
                first += batch.num_rows

    def _csv_rows(self) -> Iterator[RawRows]:
        with self._open_bytes() as stream, self._csv_reader(stream) as reader:
            next_line, n_broken_before = 2, 0
            for batch in reader:
                # Broken lines are in the file but not in the batch: skip their numbers.
                broken = [line for line, _ in self.broken[n_broken_before:]]
                candidates = np.arange(next_line, next_line + batch.num_rows + len(broken))
                lines = np.setdiff1d(candidates, broken, assume_unique=True)[: batch.num_rows]
                next_line = int(lines[-1]) + 1 if len(lines) else next_line
                n_broken_before += sum(line < next_line for line in broken)
                rows = pa.table(batch)
                blank = np.logical_and.reduce([np.asarray(column.is_null()) for column in rows.columns])
                yield self._rows(rows.filter(pa.array(~blank)), lines[~blank])

    def _csv_reader(self, stream: pa.NativeFile) -> Any:
        text = dict.fromkeys(self._wanted, pa.string())
        return pyarrow.csv.open_csv(
            stream,
            # One thread: Arrow reports the number of a broken line only then.
            pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            pyarrow.csv.ParseOptions(
                ignore_empty_lines=False, newlines_in_values=True, invalid_row_handler=self._note_broken
            ),
            pyarrow.csv.ConvertOptions(
                include_columns=self._wanted, column_types=text, strings_can_be_null=True, null_values=[""]
            ),
        )

    def _note_broken(self, row: Any) -> str:
        found = f"{row.actual_columns} cells, the header has {row.expected_columns}"
        self.broken.append((row.number, found))
        return "skip"

    def _rows(self, table: pa.Table, lines: np.ndarray) -> RawRows:
        names, bins = table.column_names, pa.nulls(len(lines), pa.string())
        if self.columns.bin in names:
            bins = _text(table.column(self.columns.bin))
        return RawRows(
            lines=lines,
            mutants=_text(table.column(self.columns.mutant)),
            scores=_one_array(table.column(self.columns.score)),
            bins=bins,
            sequences=_text(table.column(SEQUENCE_COLUMN)) if SEQUENCE_COLUMN in names else None,
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Convert errors in the bytes of a file to one sentence."""
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, EOFError, OSError, csv.Error) as error:
        raise CatalogError(f"{path} cannot be read: {error}") from error


def _text(column: pa.ChunkedArray) -> pa.Array:
    """A column as text; whole numbers that pandas kept as floats are written without `.0`."""
    array = _one_array(column)
    if pa.types.is_floating(array.type):
        whole = array.cast(pa.int64(), safe=False)
        if whole.cast(array.type).equals(array):
            array = whole
    return array.cast(pa.string())


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
