"""Registry of representations added by plugins; the built-in ones are named in `domain.embedders`.

`embedding.name` and `embedding.also` select them. A representation is a function of sequences alone: it never sees a
target or a split, so it cannot leak.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.domain.embedders import EMBEDDERS
from proteinx_pipelines.plugins import load_plugins

RepresentationFunction = Callable[[Sequence[str], Sequence[str]], np.ndarray]
"""`fn(sequences, templates)`: two lists of N texts, row i is one variant and its template; returns numbers [N, D]."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")


@dataclass(frozen=True)
class Representation:
    """One registered representation."""

    name: str
    function: RepresentationFunction
    version: str
    """Part of the stage's key: raise it when the function returns different numbers."""


_registered: dict[str, Representation] = {}


def register(name: str, function: RepresentationFunction, *, version: str = "1") -> None:
    """Register a representation under a name, which `embedding.name` then accepts.

    Args:
        name: 1 to 50 of a-z 0-9 _, beginning with a letter; not the name of a built-in representation.
        function: `fn(sequences, templates) -> [N, D]`, the same numbers for the same texts whatever their order.
        version: raised by hand when the function gives other numbers; embeddings are then made again.

    Raises:
        ValueError: the name breaks the rule, or belongs to another function; choose another name.
    """
    if not _NAME.fullmatch(name) or name in EMBEDDERS:
        raise ValueError(
            f"Representation name {name!r}: 1 to 50 of a-z 0-9 _ are expected, beginning with a letter, and none "
            f"of {', '.join(EMBEDDERS)}."
        )
    found = Representation(name, function, version)
    if _registered.get(name, found).function is not function:
        owner = _registered[name].function
        raise ValueError(f"Representation {name!r} is taken by {owner.__module__}. Choose another name.")
    _registered[name] = found


def names() -> tuple[str, ...]:
    """Every plugin representation this process knows, sorted."""
    load_plugins()
    return tuple(sorted(_registered))


def find(name: str) -> Representation | None:
    """The plugin representation of that name; None where there is none."""
    load_plugins()
    return _registered.get(name)
