"""Workbooks of Excel and LibreOffice: one sheet is read as rows of cells, then as delimited text."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.column_names import looks_like_header
from proteinx_pipelines.variant_files.text_table import TextTable, table_of
from proteinx_pipelines.variant_files.understood import ReadingOptions, Understood

_TITLE_ROWS = 20


def read_spreadsheet(path: Path, data: bytes, options: ReadingOptions) -> TextTable:
    """Read the named sheet, or the only one whose header has known names.

    Raises:
        CatalogError: the workbook is damaged, has no such sheet, or several candidates.
    """
    import python_calamine

    try:
        with python_calamine.load_workbook(io.BytesIO(data)) as workbook:
            sheets = {
                name: workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
                for name in _wanted(path, workbook.sheet_names, options)
            }
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise CatalogError(f"{path} cannot be read as a workbook: {error}") from error
    name = _chosen(path, sheets)
    rows = sheets[name]
    understood = Understood("XLSX", {"sheet": name})
    header = _header(rows)
    if header is None:
        raise CatalogError(f"{path}: the sheet {name!r} has no rows.")
    if header:
        understood.facts["title lines before the names of the columns"] = header
    names = [str(cell).strip() for cell in rows[header]]
    while names and not names[-1]:
        names.pop()
    body = [list(row[: len(names)]) + [""] * (len(names) - len(row)) for row in rows[header + 1 :]]
    return table_of(names, body, [*range(header + 2, header + 2 + len(body))], understood, "row")


def _wanted(path: Path, names: Sequence[str], options: ReadingOptions) -> list[str]:
    if options.sheet is None:
        return list(names)
    if options.sheet not in names:
        raise CatalogError(f"{path} has no sheet {options.sheet!r}; it has {', '.join(map(repr, names))}.")
    return [options.sheet]


def _chosen(path: Path, sheets: dict[str, list[list[Any]]]) -> str:
    filled = [name for name, rows in sheets.items() if any(any(cell != "" for cell in row) for row in rows)]
    if len(filled) > 1:
        known = [
            name
            for name in filled
            if (place := _header(sheets[name])) is not None
            and looks_like_header([str(cell) for cell in sheets[name][place]])
        ]
        filled = known or filled
    if len(filled) != 1:
        listed = ", ".join(map(repr, filled or sheets)) or "none"
        raise CatalogError(
            f"{path} has {len(filled)} sheets that could be it ({listed}). Name one with --sheet."
        )
    return filled[0]


def _header(rows: list[list[Any]]) -> int | None:
    """First row with known column names, else the first with cells."""
    filled = [place for place, row in enumerate(rows) if any(cell != "" for cell in row)]
    known = [
        place for place in filled[:_TITLE_ROWS] if looks_like_header([str(cell) for cell in rows[place]])
    ]
    return next(iter(known or filled), None)
