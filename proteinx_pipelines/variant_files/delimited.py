"""Delimited text: find separator, header and end of comments, then read every cell as text.

The layout is decided from the first lines and recorded in `Understood`. The catalog has a faster reader for the plain
form (comma, one header, UTF-8); this one gives the same result.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.column_names import looks_like_header, n_known_names
from proteinx_pipelines.variant_files.notation import looks_like_mutant
from proteinx_pipelines.variant_files.text_table import TextTable, table_of
from proteinx_pipelines.variant_files.understood import ReadingOptions, Understood

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_BLANKS = "blanks"
_EMPTY = "".join(SEPARATORS) + '" \r\n'
"""A line of nothing else has no cell with text."""
_HEAD_LINES = 400
_TITLE_LINES = 20
_COMMENT = re.compile(r'^\s*"?#')
csv.field_size_limit(1 << 24)


@dataclass(frozen=True)
class _Layout:
    separator: str
    """One character, or `blanks`."""
    header: int | None
    """Index of the header among the first rows; None if there is none."""
    width: int
    """Columns; 0 if every cell is empty."""


def read_delimited(path: Path, text: str, options: ReadingOptions) -> TextTable:
    """Read CSV, TSV and their relatives.

    Raises:
        CatalogError: the file has no columns, or two differing columns of the same name.
    """
    comments, body = _split_comments(text)
    head = [line for _, line in body[:_HEAD_LINES] if line.strip(_EMPTY)]
    if not head:
        raise CatalogError(f"{path} has no rows.")
    layout = _layout(head, options)
    if not layout.width:
        raise CatalogError(f"{path} has no rows.")
    rows = list(_rows(body, layout.separator))
    understood = Understood("TSV" if layout.separator == "\t" else "CSV")
    understood.facts["columns separated by"] = SEPARATORS.get(layout.separator, layout.separator)
    if comments:
        understood.facts["comment lines"] = len(comments)
    table = _as_table(rows, layout, understood)
    table.comments = comments
    return table


def _split_comments(text: str) -> tuple[list[str], list[tuple[int, str]]]:
    """Separate comment lines from the others, which keep their numbers; Excel's `sep=;` counts as a comment."""
    comments, body = [], []
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        is_sep = number == 1 and line.lower().startswith("sep=")
        if is_sep or ("#" in line and _COMMENT.match(line)):
            comments.append(line.strip().strip('"').lstrip("#").strip())
        else:
            body.append((number, line))
    return comments, body


def _layout(head: Sequence[str], options: ReadingOptions) -> _Layout:
    """Find the separator that gives the best table of the first lines."""
    if options.separator is not None:
        named = {"tab": "\t", "\\t": "\t", "blank": _BLANKS, "space": _BLANKS}
        return _layout_with(named.get(options.separator.lower(), options.separator), head)[1]
    candidates = [_layout_with(separator, head) for separator in (*SEPARATORS, _BLANKS)]
    return max(candidates, key=lambda candidate: candidate[0])[1]


def _layout_with(separator: str, head: Sequence[str]) -> tuple[tuple[float, ...], _Layout]:
    rows = [cells for cells in _cells(head, separator) if any(cell.strip() for cell in cells)]
    if not rows:
        return (-1.0,), _Layout(separator, None, 0)
    widths = Counter(len(cells) for cells in rows)
    width, agreeing = max(widths.items(), key=lambda item: (item[1], item[0]))
    header = _header_of(rows, width)
    known = n_known_names(rows[header]) if header is not None else 0
    if header is None:
        known = 0
    share = agreeing / len(rows)
    wide = width > 1
    score = (
        float(known > 1),
        float(known),
        float(wide) * share,
        float(wide),
        float(separator != _BLANKS),
        width,
    )
    return score, _Layout(separator, header, width)


def _header_of(rows: Sequence[Sequence[str]], width: int) -> int | None:
    """Find the row that names the columns; rows before it are a title. None if there is no header."""
    candidate = None
    for place, cells in enumerate(rows[:_TITLE_LINES]):
        if len(cells) not in (width, width - 1):
            continue
        if looks_like_header(cells):
            return place
        if _is_data(cells):
            break
        candidate = place if candidate is None else candidate
    return candidate


def _is_data(cells: Sequence[str]) -> bool:
    """True if a row has a number or a mutant, which column names do not."""
    return any(
        looks_like_mutant(cell) or re.fullmatch(r"\s*[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?\s*", cell)
        for cell in cells
    )


def _cells(lines: Sequence[str], separator: str) -> list[list[str]]:
    if separator == _BLANKS:
        return [_at_blanks(line) for line in lines]
    return list(csv.reader(lines, delimiter=separator, skipinitialspace=True))


def _at_blanks(line: str) -> list[str]:
    """Split at any number of blanks; quoted cells may contain blanks."""
    return next(csv.reader([" ".join(line.split())], delimiter=" "), [])


def _rows(body: Sequence[tuple[int, str]], separator: str) -> list[tuple[int, list[str]]]:
    """Yield every row with the number of its first line; a quoted cell may span several lines."""
    if separator == _BLANKS:
        return [(number, _at_blanks(line)) for number, line in body]
    reader = csv.reader((line for _, line in body), delimiter=separator, skipinitialspace=True)
    rows, begin = [], 0
    for cells in reader:
        rows.append((body[begin][0], cells))
        begin = min(reader.line_num, len(body) - 1)
    return rows


def _as_table(rows: Sequence[tuple[int, list[str]]], layout: _Layout, understood: Understood) -> TextTable:
    filled = [(line, cells) for line, cells in rows if any(map(str.strip, cells))]
    if layout.header is None:
        names = [f"column {place}" for place in range(1, layout.width + 1)]
        understood.notes.append("the file has no row of names; its columns are told by what is in them")
        data = filled
    else:
        line, names = filled[layout.header]
        names = [name.strip() for name in names]
        data = filled[layout.header + 1 :]
        if layout.header:
            understood.facts["title lines before the names of the columns"] = layout.header
        names = _named_rows(names, data, understood)
        others = [row for row in data if not _are_names(row[1], names)]
        if len(others) < len(data):
            n = len(data) - len(others)
            understood.notes.append(f"the names of the columns come again {n} times, left out")
            data = others
    good, broken = [], []
    for line, cells in data:
        padded = _fitted(cells, len(names))
        if padded is None:
            broken.append((line, f"{len(cells)} cells, the header has {len(names)}"))
        else:
            good.append((line, padded))
    table = table_of(names, [cells for _, cells in good], [line for line, _ in good], understood, "line")
    table.broken = broken
    return table


def _are_names(cells: Sequence[str], names: list[str]) -> bool:
    """True if a row has the names of the columns; the first cell decides it for nearly all rows."""
    return cells[0].strip() == names[0] and [cell.strip() for cell in cells] == names


def _named_rows(names: list[str], data: Sequence[tuple[int, list[str]]], understood: Understood) -> list[str]:
    """Handle R's tables, which have row names in a first column without header."""
    if (
        data
        and not any(looks_like_mutant(cells[0]) for _, cells in data)
        and all(len(cells) == len(names) + 1 for _, cells in data)
        and any(cells[-1].strip() for _, cells in data)
    ):
        understood.notes.append("rows have one cell more than the header: the first is the name of the row")
        return ["", *names]
    return names


def _fitted(cells: list[str], width: int) -> list[str] | None:
    """Fit a row to the number of columns: cut surplus empty cells; None if the number still differs."""
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    return list(map(str.strip, cells)) if len(cells) == width else None
