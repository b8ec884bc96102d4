"""Metric, embedder, model and split method names that a node can compute with.

A message's shape is the same everywhere; its names are resolved where it runs. A node knows the names of this package
and of its plugins, and publishes them (`contract.capabilities`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.nearest import nearest

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]*$"
"""Form of the name of a metric, an embedder or a model, wherever it comes from."""
LONGEST_NAME = 50
"""Characters of the longest name."""
PLUGIN_SPLIT = "plugin:"
"""Beginning of a `split.method` that a plugin offers: `plugin:every_third`."""

OwnFlags = Callable[[str, str, Any], Sequence[tuple[tuple[str | int, ...], str]]]
"""(`model` or `split`, name, `ext.model` or `ext.split`) -> problems: the place below it, and a sentence."""


@dataclass(frozen=True)
class KnownNames:
    """Names that can be computed with."""

    metrics: tuple[str, ...]
    """Values of `evaluate.metrics`."""
    embedders: tuple[str, ...]
    """Values of `embedding.name`."""
    models: tuple[str, ...]
    """Values of `model.name`."""
    split_methods: tuple[str, ...] = ()
    """Split methods of plugins, as `split.method` names them; the built-in ones are known everywhere."""
    own_flags: OwnFlags | None = None
    """Check of a plugin's own flags; None where the plugins are not."""


def unknown_in_words(wanted: Sequence[str], known: Sequence[str]) -> str | None:
    """List the unknown ones of the wanted names, `'spearmn' (did you mean 'spearman'?), 'x'`; None if all are known."""
    found = []
    for name in dict.fromkeys(wanted):
        if name not in known:
            near = nearest(str(name), known)
            found.append(f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    return ", ".join(found) or None
