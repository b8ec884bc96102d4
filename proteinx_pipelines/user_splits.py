"""Registry of split methods of the user's own; the built-in ones are named in `flags.split`.

`split.method` chooses one as `plugin:NAME`, so that a mistyped name of a built-in method is refused everywhere, also
where no plugin is installed. `stages.split.by_plugin` runs them.

    [project.entry-points."proteinx.splits"]
    every_third = "my_lab.splits:every_third"
"""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from proteinx_pipelines.domain.known_names import PLUGIN_SPLIT
from proteinx_pipelines.errors import PluginError
from proteinx_pipelines.own_flags import Schema
from proteinx_pipelines.plugins import NamedEntry, load_plugins, named_entries

_GROUP = "proteinx.splits"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")


@dataclass(frozen=True)
class SplitRows:
    """Rows that a split method assigns: N variants in the order of the experiment."""

    ids: np.ndarray
    """`<source>/<mutant>`, texts."""
    sources: np.ndarray
    """Texts."""
    mutants: np.ndarray
    """Texts, positions in the template."""
    sequences: np.ndarray
    """Texts."""
    mut_num: np.ndarray
    """int, number of mutations; 0 for the wild type."""
    targets: np.ndarray
    """float64, the target."""


SplitFunction = Callable[..., Sequence[Any] | np.ndarray]
"""`fn(rows: SplitRows, flags, seed: int)`: for each row `train`, `val`, `test` or `unused`, or the number of the fold
that tests it (-1: in no part)."""


@dataclass(frozen=True)
class UserSplit:
    """One registered split method."""

    name: str
    function: SplitFunction
    schema: Schema | None
    """Its own flags, `ext.split.*`; None if it has none."""
    version: str
    """Part of the split's key: raised when the function assigns otherwise."""


_registered: dict[str, UserSplit] = {}


def register(
    name: str, function: SplitFunction, *, flags: type[BaseModel] | None = None, version: str = "1"
) -> None:
    """Register a split method under a name, which `split.method` then accepts as `plugin:NAME`.

    Args:
        name: 1 to 50 of a-z 0-9 _, beginning with a letter.
        function: `fn(rows, flags, seed)` with `SplitRows`, an object of `flags` (None without) and `split.seed`;
            returns for each row `train`, `val`, `test` or `unused`, or the number of the fold that tests it (-1: in no
            part).
        flags: pydantic model of its own flags, `ext.split.*`.
        version: raised by hand when the function assigns otherwise; experiments are then split again.

    Raises:
        ValueError: the name breaks the rule, or belongs to another function; choose another name.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"Split method {name!r}: 1 to 50 of a-z 0-9 _ are expected, beginning with a letter."
        )
    if not callable(function):
        raise ValueError(f"Split method {name!r}: {function!r} is not a function of (rows, flags, seed).")
    found = UserSplit(name, function, flags, str(version))
    if _registered.get(name, found).function is not function:
        owner = _registered[name].function.__module__
        raise ValueError(f"Split method {name!r} is taken by {owner}. Choose another name.")
    _registered[name] = found


def names() -> tuple[str, ...]:
    """Values of `split.method` that plugins offer, `plugin:NAME`, sorted."""
    load_plugins()
    return tuple(sorted(PLUGIN_SPLIT + name for name in {*_registered, *_entries()}))


def find(method: str) -> UserSplit | None:
    """The plugin's method of a `split.method`, imported now; None for a built-in or an unknown one.

    Raises:
        PluginError: it cannot be imported, or is not callable.
    """
    if not method.startswith(PLUGIN_SPLIT):
        return None
    name = method.removeprefix(PLUGIN_SPLIT)
    load_plugins()
    if name in _registered:
        return _registered[name]
    if (entry := _entries().get(name)) is None:
        return None
    function = entry.load()
    if not callable(function):
        raise PluginError(
            f"The split method {name!r} of {entry.module} is {type(function).__name__}; a function is expected. "
            "Correct the entry point."
        )
    schema, version = getattr(function, "Flags", None), getattr(function, "version", None)
    is_schema = isinstance(schema, type) and issubclass(schema, BaseModel)
    return UserSplit(
        name,
        function,
        schema if is_schema else None,
        version if isinstance(version, str) else entry.version,
    )


@functools.cache
def _entries() -> dict[str, NamedEntry]:
    found = named_entries(_GROUP)
    for name, entry in found.items():
        if not _NAME.fullmatch(name):
            raise PluginError(
                f"The split method {name!r} of {entry.distribution or entry.module}: 1 to 50 of a-z 0-9 _ are "
                "expected, beginning with a letter. Rename the entry point."
            )
    return found
