"""CSV files of published folds and values, read by Arrow: tens of millions of cells in a second."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from proteinx_pipelines.errors import CatalogError, MissingFile


def read_csv(file: Path) -> pa.Table:
    """Read a CSV file, packed by gzip or not, with the types that Arrow finds.

    Raises:
        MissingFile: it is not there. CatalogError: it is not CSV; the message has Arrow's reason.
    """
    with _in_words(file):
        return pyarrow.csv.read_csv(str(file))


def column_names(file: Path) -> list[str]:
    """Names in the header of a CSV file.

    Raises:
        MissingFile, CatalogError: as `read_csv`.
    """
    with _in_words(file), pyarrow.csv.open_csv(str(file)) as reader:
        return list(reader.schema.names)


@contextlib.contextmanager
def _in_words(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise MissingFile(f"{file} is not there.") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0][:200].encode("ascii", "replace").decode()
        raise CatalogError(
            f"{file} cannot be read as CSV: {reason}. A header and lines with as many cells are expected, separated by "
            "commas."
        ) from error
