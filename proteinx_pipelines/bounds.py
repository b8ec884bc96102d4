"""How long a text may be that is logged, stored, sent or redacted: the one place that cuts.

What a message brings has up to a mebibyte, a line of a data file has no limit at all, and both end up in sentences.
Nothing here knows what a text is about.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any

LONGEST_TEXT = 20_000
"""Characters of an error, a trace or a log record that are kept."""
LONGEST_VALUE = 70_000
"""Characters of one value inside a document: flags that a node accepts fit, so that they can be used again."""
MOST_ENTRIES = 10_000
"""Entries of one list or object inside a document, likewise."""
DEEPEST = 64
"""Lists and objects inside one another, as in a message."""
_LEFT_OUT = " … {count:,} {what} left out … "


def bounded(text: str, most: int = LONGEST_TEXT) -> str:
    """The text, or its start and its end with the number of characters between them; about `most` characters.

    The end gets three quarters: of a trace it is what says most.
    """
    if len(text) <= most:
        return text
    first = most // 4
    return text[:first] + _LEFT_OUT.format(count=len(text) - most, what="characters") + text[first - most :]


def bounded_document(value: Any, *, text: int = LONGEST_VALUE, entries: int = MOST_ENTRIES) -> Any:
    """A JSON value with every text, name, list and object in it cut to a length, and its depth as well.

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
