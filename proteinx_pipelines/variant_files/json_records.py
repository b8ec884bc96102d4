"""JSON: a list of records, one record a line, or columns, as pandas and web services write them."""

import json
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.text_table import TextTable, table_of
from proteinx_pipelines.variant_files.understood import Understood

_LISTS = ("variants", "data", "records", "rows", "mutants", "measurements", "results")


def read_json_records(path: Path, text: str) -> TextTable:
    """Read records whose fields are columns.

    Raises:
        CatalogError: it is not JSON, or has no records.
    """
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise CatalogError(f"{path} cannot be read: it is nested too deeply.") from error
    except ValueError as error:
        document = _lines(path, text, error)
    template = document.get("template") if isinstance(document, dict) else None
    names, rows = _records(path, document)
    table = table_of(names, rows, [*range(1, len(rows) + 1)], Understood("JSON"), "record")
    table.template = template if isinstance(template, str) else None
    return table


def _lines(path: Path, text: str, error: ValueError) -> list[Any]:
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        raise CatalogError(f"{path} cannot be read: it is not JSON ({error}).") from error


def _records(path: Path, document: Any) -> tuple[list[str], list[list[Any]]]:
    if isinstance(document, dict):
        inner = next((document[name] for name in _LISTS if isinstance(document.get(name), list | dict)), None)
        if isinstance(inner, list) and isinstance(document.get("columns"), list):
            return [str(name) for name in document["columns"]], [list(row) for row in inner]
        if inner is not None:
            return _records(path, inner)
        columns = {name: column for name, column in document.items() if isinstance(column, list | dict)}
        if columns:
            return _from_columns(path, columns)
    if isinstance(document, list) and document and all(isinstance(record, dict) for record in document):
        names = list(dict.fromkeys(str(name) for record in document for name in record))
        return names, [[_cell(record.get(name)) for name in names] for record in document]
    if isinstance(document, list) and len(document) > 1 and all(isinstance(row, list) for row in document):
        names = [str(name) for name in document[0]]
        if all(len(row) == len(names) for row in document):
            return names, [[_cell(cell) for cell in row] for row in document[1:]]
    raise CatalogError(
        f'{path} has no records: a list of objects such as {{"mutant": "A24C", "score": 1}} is expected.'
    )


def _from_columns(path: Path, columns: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    lists = {name: list(c.values()) if isinstance(c, dict) else c for name, c in columns.items()}
    lengths = {len(column) for column in lists.values()}
    if len(lengths) != 1:
        raise CatalogError(
            f"{path} has columns of {', '.join(map(str, sorted(lengths)))} cells; one length is expected."
        )
    return list(lists), [[_cell(cell) for cell in row] for row in zip(*lists.values(), strict=True)]


def _cell(cell: Any) -> Any:
    """Lists of mutations become one mutant; other structures stay text."""
    if isinstance(cell, list) and all(isinstance(part, str) for part in cell):
        return ":".join(cell)
    return json.dumps(cell) if isinstance(cell, list | dict) else cell
