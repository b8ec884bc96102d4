"""Keys that are written twice in a JSON text, for readers that do not notice: they let the last of two values win."""

from typing import Any

from proteinx_pipelines.flags.json_text import WRITTEN_TWICE, read_json, repeated_in
from proteinx_pipelines.flags.problems import Path, Problem

_CONTAINERS = (dict, list)
_MOST = 1000  # problems of one document


def may_repeat_keys(text: bytes, document: Any) -> bool:
    """False if no key of a JSON text is repeated for sure, at a fraction of the cost of reading it again.

    Behind each key stands one colon, and a reader that lets the last of two values win keeps fewer keys. A colon in a
    value makes the answer true as well; then `repeated_keys` knows.

    Args:
        text: the text, in UTF-8, UTF-16 or UTF-32.
        document: what any reader made of it.
    """
    return text.count(b":") != _count(document)


def repeated_keys(text: str) -> list[Problem]:
    """Every key that is written twice in one object of a JSON text, in the words of `json_text.clean`.

    Raises:
        NotJson: the text is not JSON.
        TooDeep: the nesting is deeper than Python can read.
    """
    read, found = read_json(text), list[Problem]()
    waiting: list[tuple[Path, Any]] = [((), read)] if isinstance(read, _CONTAINERS) else []
    while waiting and len(found) < _MOST:
        path, value = waiting.pop()
        found += [Problem((*path, key), WRITTEN_TWICE, "duplicate_key") for key in repeated_in(value)]
        places = value.items() if isinstance(value, dict) else enumerate(value)
        inner = [((*path, place), each) for place, each in places if isinstance(each, _CONTAINERS)]
        waiting += reversed(inner)
    return found


def _count(value: Any) -> int:
    """Number of keys of all objects."""
    if isinstance(value, dict):
        return len(value) + sum([_count(each) for each in value.values() if isinstance(each, _CONTAINERS)])
    if isinstance(value, list):
        return sum([_count(each) for each in value if isinstance(each, _CONTAINERS)])
    return 0
