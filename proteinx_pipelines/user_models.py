"""Registry of models and networks of the user's own; the built-in ones are named in `domain.models`.

A *model* has the form of scikit-learn: made with its own flags, `fit(vectors, targets)`, `predict(vectors)`, the
latter with `return_std` if it has deviations. A *network* is built by a function of the input's shape and its own flags
as an `nn.Module` or a `LightningModule`. `stages.train.user_model` and `stages.train.user_network` run them.

    [project.entry-points."proteinx.models"]        [project.entry-points."proteinx.networks"]
    site_mean = "my_lab.models:SiteMean"            narrow = "my_lab.networks:build"

or `proteinx_pipelines.register_model(...)`, `register_network(...)` in a plugin (`plugins`).
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from proteinx_pipelines.domain.models import MODELS, NETWORKS
from proteinx_pipelines.errors import PluginError
from proteinx_pipelines.own_flags import Schema
from proteinx_pipelines.plugins import NamedEntry, load_plugins, named_entries

Kind = Literal["model", "network"]
_GROUPS: dict[Kind, str] = {"model": "proteinx.models", "network": "proteinx.networks"}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")


@dataclass(frozen=True)
class NetworkShape:
    """Shape of a network's input: float32 [B, width] in, float32 [B] out."""

    width: int
    """Numbers for one variant."""
    residues: int | None
    """Residues, if the numbers are those of the residues one after another (`onehot`, `per_residue`); else None."""
    residue_width: int | None
    """Numbers for one residue, likewise."""


@dataclass(frozen=True)
class UserModel:
    """One registered model or network."""

    name: str
    kind: Kind
    make: Callable[..., Any]
    """Of a model: `make(**flags)`; of a network: `make(shape: NetworkShape, flags)`."""
    schema: Schema | None
    """Its own flags, `ext.model.*`; None if it has none."""
    version: str
    """Part of the training's key: raised when the code gives other numbers."""
    summary: str = ""
    """One sentence for `proteinx models`."""


_registered: dict[str, UserModel] = {}


def register_model(
    name: str,
    make: Callable[..., Any],
    *,
    flags: type[BaseModel] | None = None,
    version: str = "1",
    summary: str = "",
) -> None:
    """Register a model in the form of scikit-learn under a name, which `model.name` then accepts.

    Args:
        name: 1 to 50 of a-z 0-9 _, beginning with a letter; not the name of a built-in model.
        make: class or function that gets the own flags as keyword arguments (and the fold's seed as `random_state`, if
            it has such an argument) and returns an object with `fit(vectors, targets)` and `predict(vectors)`: float32
            [n, D] and float64 [n]. `predict(vectors, return_std=True)`, if there is such an argument, returns values
            and standard deviations. `export()` -> (settings, tensors) and `restore(settings, tensors)` on the class
            make it exportable; without them its predictions are kept, and new sequences cannot be predicted.
        flags: pydantic model of its own flags, `ext.model.*`.
        version: raised by hand when the code gives other numbers; models are then trained again.
        summary: one sentence for `proteinx models`.

    Raises:
        ValueError: the name breaks the rule, or is taken; choose another name.
    """
    _register(UserModel(name, "model", make, flags, str(version), summary))


def register_network(
    name: str,
    build: Callable[..., Any],
    *,
    flags: type[BaseModel] | None = None,
    version: str = "1",
    summary: str = "",
) -> None:
    """Register a network under a name, which `model.name` then accepts.

    Args:
        name: as in `register_model`.
        build: `build(shape, flags)` with a `NetworkShape` and an object of `flags` (None without) returns a torch
            module, or a `LightningModule` whose own `training_step`, `configure_optimizers` and hooks are then used;
            its `forward` maps float32 [B, shape.width] to [B] or [B, 1]. It is called again to read an exported model,
            so that it must depend on its arguments alone.
        flags: pydantic model of its own flags, `ext.model.*`.
        version: raised by hand when the code gives other numbers; models are then trained again.
        summary: one sentence for `proteinx models`.

    Raises:
        ValueError: the name breaks the rule, or is taken; choose another name.
    """
    _register(UserModel(name, "network", build, flags, str(version), summary))


def names() -> tuple[str, ...]:
    """Every model and network of plugins that this process knows, sorted; none of the named entries is imported.

    Raises:
        PluginError: a plugin cannot be loaded, or two offer one name.
    """
    load_plugins()
    return tuple(sorted({*_registered, *_entries()}))


def kind_of(name: str) -> Kind | None:
    """Kind of a plugin's model by its name, without importing it; None if there is none."""
    load_plugins()
    if name in _registered:
        return _registered[name].kind
    found = _entries().get(name)
    return found[0] if found else None


def is_network(name: str) -> bool:
    """True for a model that is trained in epochs, built in or of a plugin."""
    return name in NETWORKS or kind_of(name) == "network"


def find(name: str) -> UserModel | None:
    """The plugin's model or network of that name, imported now; None where there is none.

    Raises:
        PluginError: it cannot be imported, or is not callable.
    """
    load_plugins()
    if name in _registered:
        return _registered[name]
    if (found := _entries().get(name)) is None:
        return None
    kind, entry = found
    made = entry.load()
    if not callable(made):
        raise PluginError(
            f"The {kind} {name!r} of {entry.module} is {type(made).__name__}; a class or a function is expected. "
            "Correct the entry point."
        )
    schema, version = getattr(made, "Flags", None), getattr(made, "version", None)
    summary = (made.__doc__ or "").strip().partition("\n")[0]
    is_schema = isinstance(schema, type) and issubclass(schema, BaseModel)
    return UserModel(
        name,
        kind,
        made,
        schema if is_schema else None,
        version if isinstance(version, str) else entry.version,
        summary,
    )


@functools.cache
def _entries() -> dict[str, tuple[Kind, NamedEntry]]:
    found: dict[str, tuple[Kind, NamedEntry]] = {}
    for kind, group in _GROUPS.items():
        for name, entry in named_entries(group).items():
            if not _NAME.fullmatch(name) or name in MODELS or name in found:
                raise PluginError(
                    f"The {kind} {name!r} of {entry.distribution or entry.module}: 1 to 50 of a-z 0-9 _ are expected, "
                    f"beginning with a letter, and none of {', '.join((*MODELS, *found))}. Rename the entry point."
                )
            found[name] = (kind, entry)
    return found


def _register(model: UserModel) -> None:
    name = model.name
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in MODELS:
        raise ValueError(
            f"Model name {name!r}: 1 to 50 of a-z 0-9 _ are expected, beginning with a letter, and none of "
            f"{', '.join(MODELS)}."
        )
    if not callable(model.make):
        raise ValueError(f"Model {name!r}: {model.make!r} is neither a class nor a function.")
    if _registered.get(name, model).make is not model.make:
        raise ValueError(
            f"Model {name!r} is taken by {_registered[name].make.__module__}. Choose another name."
        )
    _registered[name] = model
