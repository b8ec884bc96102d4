"""Flags by dotted name, each value as one text: the form that filters compare, in any database alike."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.flags.nesting import FREE_GROUP
from proteinx_pipelines.flags.parsing import parse_flags, to_dotted
from proteinx_pipelines.flags.tree import ExperimentFlags


def flat_flags(flags: ExperimentFlags) -> dict[str, str]:
    """Every flag that differs from its default, by dotted name, its value as text."""
    return {name: spelt(value) for name, value in to_dotted(flags, defaults=False).items()}


def flat_document(nested: Mapping[str, Any]) -> dict[str, str]:
    """Every flag of a nested tree that was checked before, by dotted name, its value as text."""
    flat: dict[str, str] = {}
    _flatten(nested, "", flat)
    return flat


@functools.cache
def flat_defaults() -> dict[str, str]:
    """Every flag's default in that form; what has none is absent."""
    flags = to_dotted(parse_flags({"data.source": "any"}))
    return {name: spelt(value) for name, value in flags.items() if name != "data.source"}


def spelt(value: Any) -> str:
    """A value as people type it: `5`, `true`, `random`; a list of one is its element, 1.0 is 1."""
    if isinstance(value, list | tuple) and len(value) == 1:
        return spelt(value[0])
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str)


def spelt_text(text: str) -> str:
    """A typed value in the same form: `5.0` is `5`."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, dict) else spelt(value)


def _flatten(tree: Mapping[str, Any], prefix: str, flat: dict[str, str]) -> None:
    for name, value in tree.items():
        dotted = f"{prefix}{name}"
        if dotted in _groups() and isinstance(value, Mapping):
            _flatten(value, f"{dotted}.", flat)
        elif value or dotted != FREE_GROUP:
            flat[dotted] = spelt(value)


@functools.cache
def _groups() -> frozenset[str]:
    """Dotted names of groups."""
    found = set[str]()
    for name in flat_defaults():
        parts = name.split(".")
        found |= {".".join(parts[:k]) for k in range(1, len(parts))}
    return frozenset(found)
