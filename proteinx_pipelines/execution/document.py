"""`experiment.json`: what the experiment is, how it stands, and the index of its files."""

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.index import index_of
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.pipeline.entries import PipelineFile

FORMAT = 1
_DISTRIBUTIONS = (
    "proteinx-infra", "dagster", "celery", "torch", "lightning", "fair-esm", "numpy", "pyarrow", "scipy", "pydantic",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on, without importing them."""
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # an optional package, or a source tree that was never installed
    return found


def write_document(
    directory: ExperimentDir, *, generation: int, attempt: int, status: str, flags: Mapping[str, Any],
    pipeline: PipelineFile, summary: Mapping[str, float] | None = None, error: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write `experiment.json` with an index of every file that lies beside it; `created_at` stays what it was."""
    now = timestamp()
    created = read_json(directory.document)["created_at"] if directory.document.is_file() else now
    files = {name: fact for entry in pipeline.stages.values() for name, fact in entry.files.items()}
    write_json(
        directory.document,
        {
            "format": FORMAT, "experiment_id": directory.experiment_id, "generation": generation, "attempt": attempt,
            "status": status, "created_at": created, "updated_at": now, "flags": flags,
            "stages": {name: entry.action for name, entry in pipeline.stages.items()},
            "summary": summary or {}, "error": error, "artifacts": index_of(directory, files),
            "versions": versions(),
        },
    )  # fmt: skip
