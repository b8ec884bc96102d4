"""One problem of a flag set or message: its place, its kind, and its wording.

Every reader of input (JSON, key-value text, the flag tree, the message envelope) collects these, so that a sender
sees all of them at once. They become a `FlagError` in `parsing`, a `MessageError` in `contract.request`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

Path = tuple[str | int, ...]
"""Place of a value: keys of objects and positions in lists, from the root."""

MAX_PROBLEMS = 50
"""Largest number of problems put into words; a message of 1 MiB may have 100,000."""
_MAX_SHOWN = 80  # characters of a value, or of a name
_MAX_SENTENCE = 600  # characters; `strategy` alone has 27 choices


@dataclass(frozen=True)
class Problem:
    """One problem."""

    path: Path
    text: str
    """Sentence without the leading name and without the full stop."""
    kind: str = "bad_value"
    """`duplicate_key` and `too_deep` concern the document, `bad_value` the value."""

    @property
    def name(self) -> str:
        """The dotted name, `data.where[0].op`."""
        return dotted(self.path)

    @property
    def sentence(self) -> str:
        """The whole sentence: "`train.lr`: found -1, expected a number greater than 0."."""
        text = self.text if len(self.text) <= _MAX_SENTENCE else self.text[: _MAX_SENTENCE - 1] + "…"
        end = "" if text.endswith(("?", ".")) else "."
        return (
            f"`{shown_name(self.name)}`: {text}{end}" if self.path else f"{text[:1].upper()}{text[1:]}{end}"
        )


def dotted(path: Path) -> str:
    """`("data", "where", 0, "op")` as `data.where[0].op`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def shown(value: Any) -> str:
    """A value as JSON on one line, cut where it is long."""
    try:
        text = json.dumps(_head(value), ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return _one_line(text)


def shown_name(name: str) -> str:
    """A flag's name on one line, cut where it is long."""
    return _one_line(name)


def sentences(problems: Sequence[Problem]) -> list[str]:
    """The problems in words, the first `MAX_PROBLEMS` of them."""
    words = [problem.sentence for problem in problems[:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        words.append("There are more problems; fix these first.")
    return words


def without_echoes(problems: Iterable[Problem], reported: Sequence[Problem]) -> list[Problem]:
    """Drop problems that repeat a reported one: a removed value is not "missing" as well.

    A reported problem covers the contents of its value and the object around it.
    """
    if not reported:
        return list(problems)
    names = {problem.name for problem in reported}
    around = {start for name in names for start in _starts(name)}
    fresh = (problem for problem in problems if problem.name not in around)
    return [problem for problem in fresh if not any(start in names for start in _starts(problem.name))]


def _starts(name: str) -> list[str]:
    """`a.b[0]` -> `a`, `a.b`, `a.b[0]`."""
    ends = [position for position, letter in enumerate(name) if letter in ".["]
    return [name[:end] for end in ends] + [name]


def _head(value: Any) -> Any:
    """Shorten a value for display: converting a mebibyte to text takes seconds."""
    if isinstance(value, str):
        return value[:_MAX_SHOWN]
    if isinstance(value, list | tuple):
        return [_head(item) for item in value[:_MAX_SHOWN]]
    if isinstance(value, dict):
        return {key: _head(item) for key, item in islice(value.items(), _MAX_SHOWN)}
    return value


def _one_line(text: str) -> str:
    cut = text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in cut)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
