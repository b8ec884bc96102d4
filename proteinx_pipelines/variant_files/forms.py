"""Entry point: read a file of any form as a `TextTable`. Its bytes decide the form; its name only breaks ties."""

from pathlib import Path

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.columnar import read_columnar
from proteinx_pipelines.variant_files.container import Content, decoded, unpacked
from proteinx_pipelines.variant_files.delimited import read_delimited
from proteinx_pipelines.variant_files.fasta import read_fasta
from proteinx_pipelines.variant_files.json_records import read_json_records
from proteinx_pipelines.variant_files.spreadsheet import read_spreadsheet
from proteinx_pipelines.variant_files.text_table import TextTable
from proteinx_pipelines.variant_files.understood import ReadingOptions

PACKED_ENDINGS = (".gz", ".zip", ".gzip")
ENDINGS = (
    ".csv", ".tsv", ".tab", ".txt", ".dat", ".xlsx", ".xls", ".xlsb", ".ods", ".parquet", ".pq", ".feather",
    ".arrow", ".ipc", ".json", ".jsonl", ".ndjson", ".fasta", ".fa", ".faa", ".fas",
)  # fmt: skip
"""Endings removed from a file's name to name its source."""

_BEHIND_A_BRACKET = tuple('"[{]}-0123456789')


def read_table(path: Path, options: ReadingOptions | None = None) -> TextTable:
    """Read a file of any known form whole.

    Raises:
        CatalogError: it cannot be read; the message names its apparent form.
    """
    options = options or ReadingOptions()
    content = unpacked(path, options)
    table = _read(path, content, options)
    table.understood.facts = {**content.facts, **table.understood.facts}
    return table


def stem_of(name: str) -> str:
    """A file's name without the endings of its form and packing."""
    for endings in (PACKED_ENDINGS, ENDINGS):
        ending = next((ending for ending in endings if name.lower().endswith(ending)), "")
        if len(name) > len(ending):
            name = name[: len(name) - len(ending)]
    return name


def _read(path: Path, content: Content, options: ReadingOptions) -> TextTable:
    data = content.data
    if not data.strip():
        raise CatalogError(f"{path} has no row that can be imported: it is empty, without a column 'mutant'.")
    if data[:4] == b"PAR1" or data[:6] == b"ARROW1" or data[:4] == b"\xff\xff\xff\xff":
        return read_columnar(path, data)
    if data[:4] == b"PK\x03\x04" or data[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        return read_spreadsheet(path, data, options)
    if data[:16] == b"SQLite format 3\0":
        raise CatalogError(f"{path} is a database, not a table. `--database {path.name}` reads a catalog.")
    text = decoded(path, content, options)
    first = text.lstrip()[:1]
    if first and first in "[{" and text.lstrip()[1:].lstrip()[:1] in _BEHIND_A_BRACKET:
        return read_json_records(path, text)
    if first == ">" or content.name.lower().endswith((".fasta", ".fa", ".faa")):
        return read_fasta(path, text)
    return read_delimited(path, text, options)
