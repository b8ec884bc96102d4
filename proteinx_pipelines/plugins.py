"""Loads code added by the node's operator: once per process, never because of a message.

A plugin is a Python module that registers metrics with `proteinx_pipelines.register_metric` and representations with
`proteinx_pipelines.register_representation` when it is imported. It is named by an entry point of the group
`proteinx.plugins` in an installed distribution, or in the environment variable PROTEINX_PLUGINS, a comma-separated
list of importable modules. The node decides which names exist; an experiment's flags can only choose among them.
"""

import functools
import importlib
import os
import threading
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from proteinx_pipelines.errors import PluginError

ENTRY_POINT_GROUP = "proteinx.plugins"
"""Group of entry points; the value is a module, or a function without arguments that registers."""
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


def plugin_modules() -> dict[str, tuple[str, str | None]]:
    """Loaded plugins, keyed as returned by `load_plugins`: the module, and the distribution if there is one."""
    named = {f"module {name}": (name, None) for name in _module_names()}
    entries = {
        f"entry point {entry.name}": (entry.module, entry.dist.name if entry.dist else None)
        for entry in _entry_points()
    }
    with _lock:
        return {name: found for name, found in {**entries, **named}.items() if name in _loaded}


@functools.cache
def _entry_points() -> tuple[EntryPoint, ...]:
    """Cached: the metadata of installed distributions does not change in a running process."""
    return tuple(sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: (entry.name, entry.value)))


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
