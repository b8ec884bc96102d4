"""Flags as key-value text: `train.lr=0.001`, one per line or argument.

A value that parses as JSON is JSON, any other is plain text: `data.source=GB1` and `data.source="GB1"` are the same.
`#` starts a comment, on a line of its own or after a blank; a text that contains ` #` is written in JSON's quotes.
Printing quotes any text that would otherwise be read back differently.
"""

import re
from collections.abc import Iterable
from typing import Any

from proteinx_pipelines.flags.json_text import NotJson, TooDeep, read_json
from proteinx_pipelines.flags.problems import Problem, shown

_COMMENT = re.compile(r"\s+#")


def read_pairs(pairs: Iterable[str]) -> tuple[dict[str, Any], list[Problem]]:
    """Read pairs into a dotted document (not yet cleaned).

    Returns:
        Values by name, and a problem for each line that is not a pair and each name that comes twice (the
        first one counts).
    """
    document: dict[str, Any] = {}
    problems: list[Problem] = []
    for number, pair in enumerate(pairs, start=1):
        line = pair.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, text = line.partition("=")
        name = name.strip()
        if not equals or not name:
            problems.append(Problem((), f"line {number}: found {shown(line)}, expected name=value"))
        elif name in document:
            problems.append(
                Problem((name,), f"written twice, the second time in line {number}; write it once")
            )
        else:
            document[name] = _value(text.strip(), name, problems)
    return document, problems


def print_pair(name: str, value: Any, text: str) -> str:
    """One pair; `text` is the value's JSON, or plain text if that reads back as itself."""
    plain = (
        isinstance(value, str) and value.isprintable() and value and _value(value.strip(), name, []) == value
    )
    return f"{name}={value if plain else text}"


def _value(text: str, name: str, problems: list[Problem]) -> Any:
    try:
        return read_json(text)
    except TooDeep as error:
        problems.append(Problem((name,), str(error), "too_deep"))
        return None
    except NotJson:
        pass
    comment = _COMMENT.search(text)
    return text if comment is None else _value(text[: comment.start()], name, problems)
