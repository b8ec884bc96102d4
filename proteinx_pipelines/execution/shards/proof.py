"""Proof that a worker has the node's versions, stages and plugins, compared before it computes."""

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from proteinx_pipelines import metrics, representations
from proteinx_pipelines.execution.stages import versions as stage_versions
from proteinx_pipelines.plugins import load_plugins

_MUST_EQUAL = ("proteinx-infra", "numpy", "scipy", "scikit-learn", "torch", "lightning", "pyarrow")
"""Packages whose numbers are results."""


class UnfitWorker(Exception):  # it travels from a worker to the node
    """A worker that must not compute: its address, and what it has otherwise."""

    def __init__(self, worker: str, differs: str) -> None:
        super().__init__(worker, differs)
        self.worker, self.differs = worker, differs


def proof() -> dict[str, Any]:
    """What a worker computes with, to be compared with what the node has."""
    return {"packages": _packages(), "stages": stage_versions(), "plugins": _plugins()}


def differences(found: Any, here: Mapping[str, Any]) -> str:
    """What a worker has otherwise than the node; empty when it may compute."""
    if not isinstance(found, Mapping):
        return f"it cannot run this package ({found})"
    differing = [
        f"{what} {found[group].get(what)}, here {here[group].get(what)}"
        for group in ("packages", "plugins")
        for what in sorted({*found[group], *here[group]})
        if found[group].get(what) != here[group].get(what)
    ]
    if found["stages"] != here["stages"]:
        differing.append("other versions of the stages")
    return ", ".join(differing)


def _packages() -> dict[str, str]:
    found = {}
    for name in _MUST_EQUAL:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # a source tree that was never installed
    return found


def _plugins() -> dict[str, str]:
    """Plugins, and what they register with its version."""
    loaded = load_plugins()
    registered = {
        f"{kind} {name}": str(found.version)
        for kind, registry in (("metric", metrics), ("representation", representations))
        for name in registry.names()
        if (found := registry.find(name)) is not None
    }
    return {**{f"plugin {name}": "loaded" for name in loaded}, **registered}
