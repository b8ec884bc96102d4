"""Loads code added by the node's operator: once per process, never because of a message.

A plugin is a Python module that registers metrics, representations, models, networks and split methods with
`proteinx_pipelines.register_...` when it is imported. It is named by an entry point of the group `proteinx.plugins` in
an installed distribution, or in the environment variable PROTEINX_PLUGINS, a comma-separated list of importable
modules. The node decides which names exist; an experiment's flags can only choose among them.

Models, networks and split methods also have groups of their own (`proteinx.models`, ...), where an entry point's name
is the name that flags choose. Such an entry is imported when an experiment names it: until then its name is enough,
and a node that never trains it does not wait for its imports.
"""

import functools
import importlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions
from typing import Any

from proteinx_pipelines.errors import PluginError

ENTRY_POINT_GROUP = "proteinx.plugins"
"""Group of entry points; the value is a module, or a function without arguments that registers."""
NAMED_GROUPS = {"proteinx.models": "model", "proteinx.networks": "network", "proteinx.splits": "split method"}
"""Groups of entry points whose names flags choose, and the noun for one of their entries."""
VARIABLE = "PROTEINX_PLUGINS"
"""Environment variable: importable modules, separated by commas."""

_lock = threading.RLock()  # re-entrant: a plugin may call `metrics.names()` while it is being imported
_loaded: set[str] = set()


def load_plugins() -> tuple[str, ...]:
    """Load every plugin that is not loaded yet, entry points first, each group sorted by name.

    The first call takes some milliseconds (it reads the metadata of the installed distributions).

    Returns:
        Where the plugins come from, `entry point NAME` or `module NAME`, sorted.

    Raises:
        PluginError: a plugin cannot be imported; fix it, or take it out of PROTEINX_PLUGINS or uninstall it.
    """
    with _lock:
        for entry in _entry_points():
            _load(f"entry point {entry.name}", functools.partial(_load_entry_point, entry))
        for name in _module_names():
            _load(f"module {name}", functools.partial(importlib.import_module, name))
        return tuple(sorted(_loaded))


@dataclass(frozen=True)
class NamedEntry:
    """An entry point of one of `NAMED_GROUPS`: known by its metadata, imported on demand."""

    name: str
    module: str
    distribution: str | None
    version: str
    """Version of the distribution; "0" if it has none."""
    load: Callable[[], Any]
    """Imports the object.

    Raises:
        PluginError: it cannot be imported.
    """


@functools.cache
def named_entries(group: str) -> dict[str, NamedEntry]:
    """Entries of a group of `NAMED_GROUPS` by name. Only metadata is read.

    Raises:
        PluginError: two distributions offer the same name; uninstall one.
    """
    found: dict[str, NamedEntry] = {}
    for entry in _installed().get(group, ()):
        owner = entry.dist.name if entry.dist else None
        made = NamedEntry(
            entry.name,
            entry.module,
            owner,
            entry.dist.version if entry.dist else "0",
            functools.partial(_load_named, NAMED_GROUPS[group], entry),
        )
        other = found.setdefault(entry.name, made)
        if (other.distribution, other.module) != (owner, entry.module):
            raise PluginError(
                f"The {NAMED_GROUPS[group]} {entry.name!r} is offered by {other.distribution} and by {owner}; one of "
                "them is expected. Uninstall the other, and start the node again."
            )
    return dict(sorted(found.items()))


def _load_named(noun: str, entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:
        raise PluginError(
            f"The {noun} {entry.name!r} of this node cannot be loaded from {entry.value!r}: "
            f"{type(error).__name__}: {error}. Fix it, or uninstall its distribution, and start the node again."
        ) from error


def plugin_modules() -> dict[str, tuple[str, str | None]]:
    """Loaded plugins, keyed as returned by `load_plugins`, and named entries: the module, and the distribution."""
    named = {f"module {name}": (name, None) for name in _module_names()}
    entries = {
        f"entry point {entry.name}": (entry.module, entry.dist.name if entry.dist else None)
        for entry in _entry_points()
    }
    offered = {
        f"{noun} {name}": (entry.module, entry.distribution)
        for group, noun in NAMED_GROUPS.items()
        for name, entry in named_entries(group).items()
    }
    with _lock:
        return {**offered, **{name: found for name, found in {**entries, **named}.items() if name in _loaded}}


@functools.cache
def _installed() -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points by group. Cached: the metadata of installed distributions does not change in a running process."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for distribution in distributions():
        for entry in distribution.entry_points:
            if entry.group in (ENTRY_POINT_GROUP, *NAMED_GROUPS):
                found[entry.group] = (*found.get(entry.group, ()), entry)
    return found


@functools.cache
def _entry_points() -> tuple[EntryPoint, ...]:
    found = _installed().get(ENTRY_POINT_GROUP, ())
    return tuple(sorted(found, key=lambda entry: (entry.name, entry.value)))


def _module_names() -> list[str]:
    return [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]


def _load_entry_point(entry: EntryPoint) -> None:
    loaded = entry.load()
    if callable(loaded):
        loaded()


def _load(name: str, load: Callable[[], object]) -> None:
    if name in _loaded:
        return
    _loaded.add(name)
    try:
        load()
    except Exception as error:
        _loaded.discard(name)
        raise PluginError(
            f"The plugin {name} of this node cannot be loaded: {type(error).__name__}: {error}. Fix it, or "
            f"take it out of {VARIABLE} (or uninstall its distribution), and start the node again."
        ) from error
