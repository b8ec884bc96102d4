"""Strict JSON reader: RFC 8259, without constructs that two readers could interpret differently.

Refused are repeated keys (readers disagree on which one counts), NaN and infinities (not JSON), whole numbers beyond
64 bits, texts that are not Unicode or contain NUL, and nesting deeper than `MAX_DEPTH`. A document is first read
(`read_json`), then cleaned (`clean`): refused values are removed and reported, and the rest can still be checked, so
that the sender sees all problems at once. A document that another reader has read is asked for repeated keys alone
(`flags.repeated_keys`).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.flags.problems import Path, Problem

MAX_DEPTH = 64
"""Largest nesting depth of objects and lists."""
LARGEST_INTEGER = 2**63 - 1
"""Largest whole number, as in SQLite, Parquet and most JSON readers."""
WRITTEN_TWICE = "written twice in one object; write it once"
"""What is said of a key."""
_LONGEST_INTEGER = 20  # characters of -2**63; reading 10^5000 as an integer is refused by Python itself
_MOST_RECORDED = 1000  # problems reported per document; a document may have 200,000 NaN
_TAKEN_OUT = object()
# `dict` first: to ask whether something is a Mapping takes ten times as long.
_CONTAINERS = (dict, Mapping, list, tuple)


class NotJson(ValueError):
    """A text is not JSON; the message gives the place and the reason."""


class TooDeep(ValueError):
    """A text nests too deeply to be read at all."""


class _RepeatedKeys(dict[str, Any]):
    """An object whose text has a key twice; the last value is kept until the object is refused."""

    repeated: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Report:
    """Collects the first problems of a document."""

    problems: list[Problem]

    def add(self, path: Path, text: str, kind: str = "bad_value") -> None:
        if len(self.problems) < _MOST_RECORDED:
            self.problems.append(Problem(path, text, kind))


class _LongInteger(str):
    """The digits of a whole number that is too long to convert."""

    __slots__ = ()


def read_json(text: str) -> Any:
    """Read a JSON text. Constructs on which JSON readers disagree are marked for `clean` to report.

    Raises:
        NotJson: the text is not JSON; the message says at which line and column.
        TooDeep: the nesting is deeper than Python can read.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise NotJson(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise TooDeep(f"objects and lists are nested more than {MAX_DEPTH} deep") from error


def repeated_in(value: Any) -> list[str]:
    """Keys that are written twice in an object of `read_json`, in order."""
    return list(dict.fromkeys(getattr(value, "repeated", ())))


def clean(document: Any, path: Path = ()) -> tuple[Any, list[Problem]]:
    """Split a document into plain JSON values and the problems of the rest.

    Args:
        document: what `read_json` gave, or a Python value (tuples count as lists).
        path: where it stands, for the names of the problems.

    Returns:
        A copy made of dict, list, str, int, float, bool and None, without the refused values (in a list
        None stands in their place), and the problems in document order.
    """
    report = _Report([])
    cleaned = _clean(document, path, report, depth=1)
    return (None if cleaned is _TAKEN_OUT else cleaned), report.problems


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) == len(pairs):
        return read
    marked = _RepeatedKeys(read)
    seen: set[str] = set()
    marked.repeated = tuple(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return marked


def _integer(digits: str) -> int | _LongInteger:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else _LongInteger(digits)


def _clean(value: Any, path: Path, report: _Report, depth: int) -> Any:
    if not isinstance(value, str) and isinstance(value, _CONTAINERS):
        if depth > MAX_DEPTH:
            report.add(path[:3], f"objects and lists are nested more than {MAX_DEPTH} deep", "too_deep")
            return _TAKEN_OUT
        if isinstance(value, (dict, Mapping)):
            return _clean_object(value, path, report, depth)
        items = (_clean(item, (*path, position), report, depth + 1) for position, item in enumerate(value))
        return [None if item is _TAKEN_OUT else item for item in items]
    reason = _why_not_json(value)
    if reason is None:
        return value
    report.add(path, reason)
    return _TAKEN_OUT


def _clean_object(value: Mapping[Any, Any], path: Path, report: _Report, depth: int) -> dict[str, Any]:
    for key in repeated_in(value):
        report.add((*path, key), WRITTEN_TWICE, "duplicate_key")
    cleaned = {}
    for key, item in value.items():
        reason = "a name must be a text" if not isinstance(key, str) else _why_not_text(key)
        if reason is not None:
            report.add((*path, str(key)), reason)
            continue
        kept = _clean(item, (*path, key), report, depth + 1)
        if kept is not _TAKEN_OUT:
            cleaned[key] = kept
    return cleaned


def _why_not_json(value: Any) -> str | None:
    if isinstance(value, _LongInteger):
        return f"found a whole number of {len(value)} digits, expected one of at most 64 bits"
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return _why_not_text(value)
    if isinstance(value, int):
        return (
            None
            if abs(value) <= LARGEST_INTEGER
            else "found a whole number beyond 64 bits, expected a smaller one"
        )
    if isinstance(value, float):
        return None if math.isfinite(value) else f"found {_spelled(value)}, expected a finite number"
    return f"found a Python {type(value).__name__}, expected a JSON value"


def _why_not_text(text: str) -> str | None:
    if "\0" in text:
        return "contains the character NUL; take it out"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "contains half of a surrogate pair, which is not Unicode text; take it out"
    return None


def _spelled(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
