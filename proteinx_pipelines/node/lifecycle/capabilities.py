"""Capabilities of this node, published beside its heartbeat and written to WORKDIR."""

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import psutil

from proteinx_pipelines.catalog.reading import source_names
from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.capabilities import Capabilities, EmbedderCapability, GpuCapability
from proteinx_pipelines.contract.heartbeat import Gpu
from proteinx_pipelines.domain.embedders import FOLDER, is_language_model
from proteinx_pipelines.errors import PluginError, ProteinxError
from proteinx_pipelines.execution.document import versions
from proteinx_pipelines.experiment_dir.files import write_text
from proteinx_pipelines.plugins import load_plugins
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.embedding.esm2_weights import cached_weights_path
from proteinx_pipelines.stages.known_names import known_here
from proteinx_pipelines.stages.train.meeting import is_lent_by_hand

log = logging.getLogger(__name__)
MOST_SOURCES = 1000
"""Most sources that are published."""


def capabilities_of(settings: Settings, gpus: Sequence[Gpu]) -> Capabilities:
    """Collect the capabilities that this node has now.

    Raises:
        PluginError: a plugin cannot be loaded; repair or remove it.
    """
    known = known_here()
    return Capabilities(
        node=settings.node_name,
        time=timestamp(),
        models=known.models,
        embedders=tuple(_embedder(name) for name in known.embedders),
        metrics=known.metrics,
        split_methods=known.split_methods,
        plugins=load_plugins(),
        versions=_versions(),
        cpu_count=psutil.cpu_count(),
        memory_total_bytes=psutil.virtual_memory().total,
        gpus=tuple(GpuCapability(name=gpu.name, memory_total_bytes=gpu.memory_total_bytes) for gpu in gpus),
        sources=_sources(settings.database_path),
        stores=() if settings.store is None else (settings.store,),
        labels=settings.labels,
        meeting=None if is_lent_by_hand() else settings.meeting,
        is_lent_by_hand=is_lent_by_hand(),
        max_timeout_s=settings.max_timeout_s,
        max_memory_gb=settings.max_memory_gb,
        max_data_gb=settings.max_data_gb,
    )


def publishable_capabilities(settings: Settings, gpus: Sequence[Gpu]) -> Capabilities | None:
    """Capabilities to publish, kept in `run/capabilities.json` too; None with a broken plugin: messages then wait."""
    try:
        found = capabilities_of(settings, gpus)
    except PluginError as error:
        log.warning("The capabilities are not published: %s", error)
        settings.paths.capabilities.unlink(missing_ok=True)
        return None
    _keep(settings, found)
    return found


def _keep(settings: Settings, found: Capabilities) -> None:
    """Write the document where it has changed; a full disk does not stop the heartbeat."""
    path = settings.paths.capabilities
    try:
        before = Capabilities.model_validate_json(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError):
        before = None
    if before is not None and before.model_copy(update={"time": found.time}) == found:
        return
    try:
        write_text(path, found.to_json() + "\n")
    except OSError as error:
        log.warning("%s could not be written: %s", path, error)


def _embedder(name: str) -> EmbedderCapability:
    if not is_language_model(name) or name == FOLDER:  # a message names the folder
        return EmbedderCapability(name=name, weights="none")
    return EmbedderCapability(name=name, weights="here" if cached_weights_path(name).is_file() else "absent")


def _sources(catalog: Path) -> tuple[str, ...] | None:
    """Names of the sources in a catalog, read again when the file has changed."""
    try:
        found = catalog.stat()
    except OSError:
        return ()
    return _sources_of(catalog, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=1)
def _sources_of(catalog: Path, _changed_ns: int, _size: int) -> tuple[str, ...] | None:
    try:
        names = tuple(source_names(catalog))
    except (ProteinxError, OSError) as error:
        log.warning("The sources of %s are not published: %s", catalog, error)
        return None
    return names if len(names) <= MOST_SOURCES else None


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return versions()
