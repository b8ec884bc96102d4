"""Describes in words how two flag sets differ."""

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from proteinx_pipelines.flags.nesting import FREE_GROUP
from proteinx_pipelines.flags.tree import ExperimentFlags, canonical_json
from proteinx_pipelines.visible import one_line

_NO_SOURCE = "-"


def changed_flags(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Sentences that name each flag that differs: "`split.method` changed from random to modulo".

    Args:
        before: nested flags, defaults written out.
        after: the same of the other side.
        prefix: dotted name of the group that both are, with a dot at its end.
    """
    found: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += changed_flags(old, new, f"{prefix}{name}.")
        elif canonical_json(old) != canonical_json(new):
            found.append(f"`{one_line(prefix + name)}` changed from {_plain(old)} to {_plain(new)}")
    return found


def _plain(value: Any) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def differing_from_defaults(nested: Mapping[str, Any]) -> dict[str, Any]:
    """The flags whose value is not the default, by dotted name; `ext` is left out.

    Args:
        nested: flags as they are stored, also by another version: a flag that is not known here differs.
    """
    return dict(_differing(nested, _defaults(), ""))


@functools.cache
def _defaults() -> Mapping[str, Any]:
    return ExperimentFlags.model_validate({"data": {"source": [_NO_SOURCE]}}).nested()


def _differing(
    tree: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        dotted, default = f"{prefix}{name}", defaults.get(name)
        if dotted == FREE_GROUP:
            continue
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            yield from _differing(value, default, f"{dotted}.")
        elif canonical_json(value) != canonical_json(default):
            yield dotted, value
