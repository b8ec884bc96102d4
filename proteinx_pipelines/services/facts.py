"""Short description of an experiment: data, model, representation, split, and the flags that differ.

Lists, the page of an experiment and the tags of its runs all use it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.flags.changes import differing_from_defaults

_NAMED = 3
"""Number of sources named; the rest are counted."""
_OWN_FIELD = frozenset(
    {"data.source", "model.name", "embedding.name", "embedding.also", "split.method", "split.folds"}
)
"""Flags already covered by the fields."""


@dataclass(frozen=True)
class Facts:
    """Short description of one experiment's flags."""

    source: str
    """Names of the sources: `GB1`, `GB1, A4 and 2 more`."""
    model: str
    embedding: str
    """Representations: `onehot`, `esm2_t6 + onehot`."""
    split: str
    """Method and folds: `random`, `modulo, 5 folds`."""
    changed: Mapping[str, Any]
    """Other flags that are not at their defaults, by dotted name."""


def facts_of(flags: Mapping[str, Any]) -> Facts:
    """The facts of a stored flag set (nested, defaults written out); `-` for flags that an older version lacked."""
    data, model, embedding, split = (_group(flags, name) for name in ("data", "model", "embedding", "split"))
    names = [str(embedding.get("name", "-")), *map(str, embedding.get("also") or ())]
    folds = split.get("folds")
    changed = differing_from_defaults(flags)
    return Facts(
        source=_sources(data.get("source")),
        model=str(model.get("name", "-")),
        embedding=" + ".join(names),
        split=str(split.get("method", "-")) + (f", {folds} folds" if folds else ""),
        changed={name: value for name, value in changed.items() if name not in _OWN_FIELD},
    )


def _group(flags: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = flags.get(name)
    return found if isinstance(found, Mapping) else {}


def _sources(found: Any) -> str:
    names = [found] if isinstance(found, str) else [*found] if isinstance(found, Sequence) else []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(map(str, names[:_NAMED]))}{more}" or "-"
