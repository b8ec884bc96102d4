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
_EDGE = 1000
"""Characters in which the end of a line, or a blank, is looked for where a text is cut."""


def bounded(text: str, most: int = LONGEST_TEXT) -> str:
    """The text, or its start and its end with the number of omitted characters between them; about `most` characters.

    The end gets three quarters of the length, since the end of a trace is the most informative part. The text is cut
    at ends of lines, or at blanks, where there are any: half of a password is none that anybody recognizes and hides.
    """
    if len(text) <= most:
        return text
    first, last = most // 4, len(text) - most + most // 4
    end, start = _edge_before(text, first), _edge_after(text, last)
    return text[:end] + left_out(start - end) + text[start:]


def left_out(count: int) -> str:
    """The mark in the place of so many characters."""
    return _LEFT_OUT.format(count=count, what="characters")


def _edge_before(text: str, place: int) -> int:
    """The last end of a line, else the last blank, shortly before a place; the place itself where there is none."""
    low = max(0, place - min(_EDGE, place // 2))
    return next((found for edge in "\n " if (found := text.rfind(edge, low, place)) >= 0), place)


def _edge_after(text: str, place: int) -> int:
    """The start of the next line, else what follows the next blank, shortly behind a place; else the place itself."""
    high = place + min(_EDGE, (len(text) - place) // 2)
    return next((found + 1 for edge in "\n " if (found := text.find(edge, place, high)) >= 0), place)


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
