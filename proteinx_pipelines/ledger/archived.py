"""Checks the rows of an experiment that come from an archive, before any of them is put into `state.db`.

An archive may contain anything, and every command later reads the accepted rows.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Float, Integer, LargeBinary

from proteinx_pipelines.flags.json_text import LARGEST_INTEGER

_OBJECTS = ("flags", "plan", "summary", "stages", "payload")
"""Columns that hold a JSON object as text."""


def row_problems(tables: Mapping[str, Sequence[Column[Any]]], experiment_id: str, rows: Any) -> Iterator[str]:
    """Problems of archived rows, each a sentence with the table and the row.

    Args:
        tables: columns of each table in an archive, by table name.
        experiment_id: the experiment that all rows have to be of.
        rows: table -> rows, as parsed from JSON.
    """
    if not isinstance(rows, Mapping):
        yield "its history is no object"
        return
    for name, columns in tables.items():
        found = rows.get(name, [])
        if not isinstance(found, list):
            yield f"`{name}` of its history is no list"
            continue
        for number, row in enumerate(found):
            for problem in _problems(columns, experiment_id, row):
                yield f"row {number} of `{name}` in its history: {problem}"


def _problems(columns: Sequence[Column[Any]], experiment_id: str, row: Any) -> Iterator[str]:
    if not isinstance(row, Mapping):
        yield "is no object"
        return
    owner = row.get("experiment_id")
    if not isinstance(owner, str) or owner.lower() != experiment_id.lower():
        yield "is of another experiment"
    for column in columns:
        value = row.get(column.name)
        if value is None:
            if column.name in row and not column.nullable:
                yield f"`{column.name}` is null"
            elif not (column.nullable or column.autoincrement is True or column.default is not None):
                yield f"`{column.name}` is missing"
        elif not _fits(column, value):
            yield f"`{column.name}` holds what it must not"


def _fits(column: "Column[Any]", value: Any) -> bool:
    if isinstance(column.type, LargeBinary):
        return _is_base64(value)
    if isinstance(column.type, Integer):
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_INTEGER
    if isinstance(column.type, Float):
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_INTEGER
        )
    if not isinstance(value, str) or "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        return False
    if column.name in _OBJECTS:
        return _is_object(value)
    return (not column.name.endswith("_at") and column.name != "at") or _is_time(value)


def _is_base64(value: Any) -> bool:
    try:
        base64.b64decode(value["base64"], validate=True)
    except (binascii.Error, ValueError, TypeError, KeyError):
        return False
    return True


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
