"""`experiment.json`: identity and state of the experiment, and the index of its files."""

import logging
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.base import ErrorFact, FileFact
from proteinx_pipelines.contract.experiment import ExperimentDocument, ExperimentState
from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.execution.code_facts import code_facts
from proteinx_pipelines.execution.report_page import write_report_page
from proteinx_pipelines.experiment_dir.documents import read_experiment, write_experiment
from proteinx_pipelines.experiment_dir.index import index_of
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.pipeline.entries import PipelineFile

log = logging.getLogger(__name__)
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


def _write_page(directory: ExperimentDir, pipeline: PipelineFile, generation: int, node: str) -> None:
    """Draw the page; a page that cannot be drawn is missing and delays no result."""
    try:
        write_report_page(directory, pipeline, generation=generation, node=node)
    except (OSError, ProteinxError):
        raise  # a full disk, a damaged file: left to the caller
    except Exception:
        log.exception("%s: its page could not be drawn.", directory.experiment_id)


def write_document(
    directory: ExperimentDir, *, generation: int, attempt: int, status: ExperimentState, flags: Mapping[str, Any],
    pipeline: PipelineFile, summary: Mapping[str, float | None] | None = None, error: ErrorFact | None = None,
    node: str = "",
) -> None:  # fmt: skip
    """Write `experiment.json` with an index of every file beside it; `created_at` stays unchanged.

    The page of an experiment that succeeded is written first: it is one of those files, and names `node`.
    """
    if status == "SUCCEEDED":
        _write_page(directory, pipeline, generation, node)
    now = timestamp()
    created = read_experiment(directory).created_at if directory.document.is_file() else now
    files = {name: fact for entry in pipeline.stages.values() for name, fact in entry.files.items()}
    write_experiment(
        directory,
        ExperimentDocument(
            experiment_id=directory.experiment_id, generation=generation, attempt=attempt, status=status,
            created_at=created, updated_at=now, flags=dict(flags),
            stages={name: entry.action for name, entry in pipeline.stages.items()},
            summary=dict(summary or {}), error=error, versions=versions(), code=code_facts(),
            artifacts={name: FileFact.model_validate(fact) for name, fact in index_of(directory, files).items()},
        ),
    )  # fmt: skip
