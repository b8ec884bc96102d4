"""Parquet, Feather and Arrow files: columns that have types already."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.container import MOST_BYTES
from proteinx_pipelines.variant_files.text_table import TextTable
from proteinx_pipelines.variant_files.understood import Understood


def read_columnar(path: Path, data: bytes) -> TextTable:
    """Read every column.

    Raises:
        CatalogError: the file is damaged.
    """
    is_parquet = data[:4] == b"PAR1"
    try:
        if is_parquet:
            _refuse_endless(path, pq.read_metadata(io.BytesIO(data)))
        table = pq.read_table(io.BytesIO(data)) if is_parquet else _arrow(data)
        columns = [_one_array(column) for column in table.columns]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CatalogError(f"{path} cannot be read: {error}") from error
    understood = Understood("Parquet" if is_parquet else "Feather")
    return TextTable(table.column_names, columns, np.arange(1, table.num_rows + 1), understood, "row")


def _refuse_endless(path: Path, facts: pq.FileMetaData) -> None:
    """A column of one repeated value takes no space, for any number of rows."""
    cells = facts.num_rows * facts.num_columns
    if cells > MOST_BYTES:
        raise CatalogError(f"{path} has {cells:,} cells; at most {MOST_BYTES:,} are read. Use its parts.")


def _arrow(data: bytes) -> pa.Table:
    source = pa.BufferReader(data)
    if data[:6] == b"ARROW1":
        return pyarrow.ipc.open_file(source).read_all()
    return pyarrow.ipc.open_stream(source).read_all()


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
