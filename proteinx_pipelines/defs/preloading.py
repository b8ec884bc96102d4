"""Imports for the fork server: what two or more parts of a node need. What one part needs alone, it imports itself.

Not `definitions`: their sensor depends on the part that loads them (`code_server.LISTENS`). Not torch and lightning,
which only some experiments need: the step process imports them when it does.
"""

import contextlib
import importlib

COMMON = (
    "celery.bin.celery",
    "celery.bin.worker",
    "celery.concurrency.prefork",
    "celery.concurrency.solo",
    "celery.fixups.django",
    "celery.loaders.app",
    "celery.backends.redis",
    "celery.worker.consumer",
    "celery.events.receiver",
    "kombu.transport.redis",
    "dagster._cli.api",
    "dagster._daemon.cli",
    "dagster._daemon.controller",
    "dagster._grpc.server",
    "dagster._core.instance.factory",
    "dagster._core.storage.root",
    "dagster._core.storage.daemon_cursor",
    "dagster._core.storage.legacy_storage",
    "dagster._core.storage.runs.sqlite",
    "dagster._core.storage.schedules.sqlite",
    "dagster._core.workspace.autodiscovery",
    "upath.implementations.local",
    "grpc.health",
    "grpc_health.v1.health",
    "pynvml",
)
"""Modules of the packages beneath: each is imported by several parts in the end, some of them by name only."""
OURS = (
    "proteinx_pipelines.defs.building",
    "proteinx_pipelines.defs.history",
    "proteinx_pipelines.defs.private.launcher",
    "proteinx_pipelines.defs.private.storage",
    "proteinx_pipelines.defs.processes",
    "proteinx_pipelines.defs.servers",
    "proteinx_pipelines.defs.tasks",
    "proteinx_pipelines.execution.stages",
    "proteinx_pipelines.node.lifecycle.dispatch",
    "proteinx_pipelines.stages.embedding.embed",
    "proteinx_pipelines.stages.evaluate.evaluate",
    "proteinx_pipelines.stages.split.assign",
    "proteinx_pipelines.stages.train.ridge",
    "proteinx_pipelines.stages.train.train",
    "proteinx_pipelines.stages.transform.transform",
)


def preload_parts() -> None:
    """Import them. Without one of the others' private modules the parts work all the same, in more memory."""
    for name in COMMON:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for name in OURS:
        importlib.import_module(name)
