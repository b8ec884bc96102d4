"""Length limits for texts that are logged, stored, sent or redacted; the only place that cuts them.

A message may contain up to a mebibyte, a line of a data file has no limit, and both end up in sentences. The module
does not depend on a text's subject.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any

LONGEST_TEXT = 20_000
"""Largest number of characters kept of an error, a trace or a log record."""
LONGEST_VALUE = 70_000
"""Largest number of characters of one value in a document: flags that a node accepts fit, so they stay usable."""
MOST_ENTRIES = 10_000
"""Largest number of entries of one list or object in a document; accepted flags fit."""
DEEPEST = 64
"""Largest nesting depth of lists and objects, as in a message."""
_LEFT_OUT = " … {count:,} {what} left out … "


def bounded(text: str, most: int = LONGEST_TEXT) -> str:
    """The text, or its start and its end with the number of omitted characters between them; about `most` characters.

    The end gets three quarters of the length, since the end of a trace is the most informative part.
    """
    if len(text) <= most:
        return text
    first = most // 4
    return text[:first] + _LEFT_OUT.format(count=len(text) - most, what="characters") + text[first - most :]


def bounded_document(value: Any, *, text: int = LONGEST_VALUE, entries: int = MOST_ENTRIES) -> Any:
    """Limit the length of every text, name, list and object in a JSON value, and its depth.

    Args:
        value: what JSON has, tuples too.
        text: most characters of a text.
        entries: most entries of a list or an object; one more says how many are missing.
    """
    return _bounded(value, text, entries, DEEPEST)


def _bounded(value: Any, text: int, entries: int, depth: int) -> Any:
    if isinstance(value, str):
        return bounded(value, text)
    if not isinstance(value, Mapping | list | tuple):
        return value
    missing = _LEFT_OUT.format(count=len(value) - entries, what="entries").strip()
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        kept = {
            bounded(str(name), text): _bounded(item, text, entries, depth - 1)
            for name, item in islice(value.items(), entries)
        }
        return kept | ({"…": missing} if len(value) > entries else {})
    items = [_bounded(item, text, entries, depth - 1) for item in value[:entries]]
    return [*items, missing] if len(value) > entries else items
