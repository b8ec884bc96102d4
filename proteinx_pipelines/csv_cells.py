"""Text in CSV files that people open in a spreadsheet: a cell that begins like a formula is a text there too.

A spreadsheet executes `=HYPERLINK(...)` in whatever column it stands. Names of sources and columns are other people's.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc

_FORMULA = r"(?s)^[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]."
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_BEGIN, _NUMERIC = re.compile(_FORMULA.replace(r"\x{", r"\u").replace("}", "")), re.compile(_NUMBER)
MARK = "'"
"""Prefix that marks text for a spreadsheet, which does not show it."""


def safe_cell(value: object) -> object:
    """A cell as it may be written: a text that begins like a formula, and is no number, gets `MARK` in front."""
    if isinstance(value, str) and _BEGIN.match(value) and not _NUMERIC.match(value):
        return MARK + value
    return value


def safe_table(table: pa.Table) -> pa.Table:
    """The same for the text columns of a table, and for the names of all."""
    for position, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            table = table.set_column(position, field, _safe_column(table.column(position)))
    return table.rename_columns([str(safe_cell(name)) for name in table.column_names])


def _safe_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    is_formula = pc.match_substring_regex(column, _FORMULA)
    formula = pc.and_not(is_formula, pc.match_substring_regex(column, _NUMBER)).fill_null(False)
    if not pc.any(formula).as_py():
        return column
    nothing = pa.scalar("", column.type)
    marked = pc.binary_join_element_wise(pa.scalar(MARK, column.type), column, nothing)
    return pc.if_else(formula, marked, column)
