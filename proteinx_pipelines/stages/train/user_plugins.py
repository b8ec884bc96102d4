"""What models and networks of plugins share: looking them up, and naming them when their code fails."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from proteinx_pipelines.errors import PluginError, ProteinxError
from proteinx_pipelines.user_models import UserModel, find

_log = logging.getLogger(__name__)


def plugin_of(name: str, version: str | None = None) -> UserModel:
    """The plugin's model or network of this name.

    Args:
        name: value of `model.name`.
        version: of the code that wrote an exported model; another one is logged.

    Raises:
        PluginError: it is not on this node.
    """
    plugin = find(name)
    if plugin is None:
        raise PluginError(
            f"The model {name!r} is of a plugin that is not on this node; install its distribution."
        )
    if version is not None and version != plugin.version:
        _log.warning(
            "The model %r was exported by version %s of its plugin; this is version %s.",
            name,
            version,
            plugin.version,
        )
    return plugin


def plugin_entry(plugin: UserModel) -> dict[str, Any]:
    """Entry of `model.json`'s settings that names the code."""
    return {"name": plugin.name, "version": plugin.version}


@contextmanager
def told(plugin: UserModel, what: str) -> Iterator[None]:
    """Name the plugin in every error of its code; errors of ours, a stop among them, pass through.

    Raises:
        PluginError: the code inside failed.
    """
    try:
        yield
    except ProteinxError:
        raise
    except Exception as error:
        raise PluginError(
            f"The {plugin.kind} {plugin.name!r} {what}: {type(error).__name__}: {error}. Fix the plugin, or choose "
            "another `model.name`."
        ) from error
