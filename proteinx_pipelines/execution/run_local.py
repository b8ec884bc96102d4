"""Runs one experiment immediately in this process: for `proteinx train` and scripts, without a queue.

The same attempt, directory and recompute rule as on the queue. Each run is a generation, as if a message with
`run.allow_duplicate` had come; a run that was broken off continues when the same flags are run again.
"""

import contextlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.contract.base import ErrorFact
from proteinx_pipelines.contract.experiment import ExperimentState
from proteinx_pipelines.errors import NodeBusy, ProteinxError
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.document import write_document
from proteinx_pipelines.execution.ended_experiments import offer_experiment
from proteinx_pipelines.execution.failure import failure_code
from proteinx_pipelines.execution.generations import archive_generation
from proteinx_pipelines.execution.node_bounds import refuse_beyond_machine, this_machine
from proteinx_pipelines.execution.sinks import ProgressListener
from proteinx_pipelines.execution.tracking.sending import start_sending
from proteinx_pipelines.execution.tracking.waiting import offer_to_trackers
from proteinx_pipelines.experiment_dir.documents import read_experiment, read_report
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.names import refuse_unknown_names
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.stages import stages_of
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.known_names import known_here

StageListener = Callable[[str, StageEntry], None]
"""Called with each stage after it has become part of the experiment."""


@dataclass(frozen=True)
class Finished:
    """Result of a local run."""

    directory: ExperimentDir
    summary: dict[str, float | None]
    """Headline metrics, names like `test/spearman`."""


def run_local_experiment(
    settings: Settings,
    experiment_id: str,
    flags: ExperimentFlags,
    *,
    payload_ref: str | None = None,
    on_progress: ProgressListener | None = None,
    on_stage: StageListener | None = None,
) -> Finished:
    """Run the stages of an experiment. Paths in the flags may lead anywhere: an operator typed them.

    Raises:
        FlagError: a metric, an embedder or a model is named that this process does not have, or more is asked for
            than the machine has.
        NodeBusy: the id belongs to an experiment of the queue; choose another.
        ProteinxError: as the stages say; `experiment.json` says FAILED then.
    """
    refuse_unknown_names(flags, known_here())
    refuse_beyond_machine(flags, this_machine())
    _refuse_queued(settings, experiment_id)
    directory = ExperimentDir(settings.experiments_dir, experiment_id)
    generation, number = _next_attempt(directory, flags)
    archive_generation(directory, generation)
    attempt = Attempt(
        settings, experiment_id, flags, generation=generation, number=number, payload_ref=payload_ref,
        on_progress=on_progress, confined=False,
    )  # fmt: skip
    _write(attempt, "RUNNING")
    try:
        attempt.drop_unwanted()
        for stage in stages_of(flags):
            entry = attempt.publish(attempt.run_stage(stage.name, attempt.record))
            if on_stage is not None:
                on_stage(stage.name, entry)
    except BaseException as error:
        attempt.close()  # before the index of its files is made: the log is one of them
        _write(attempt, "FAILED" if isinstance(error, Exception) else "CANCELLED", error=_in_words(error))
        raise
    attempt.close()
    summary = read_report(directory).summary
    _write(attempt, "SUCCEEDED", summary=summary)
    return Finished(directory, summary)


def _refuse_queued(settings: Settings, experiment_id: str) -> None:
    if settings.state_path.is_file() and (known := Ledger(settings.state_path).latest(experiment_id)):
        raise NodeBusy(
            f"{known.experiment_id!r} is an experiment of the queue ({known.state}); its directory is the node's. "
            "Choose another id, or send a new generation with `proteinx submit` and run.allow_duplicate=true."
        )


def _next_attempt(directory: ExperimentDir, flags: ExperimentFlags) -> tuple[int, int]:
    """Generation and attempt: the next attempt of a run that did not end and has these flags, or a new generation."""
    if not directory.document.is_file():
        return 1, 1
    document = read_experiment(directory)
    if document.status != "SUCCEEDED" and document.flags == flags.nested():
        return document.generation, document.attempt + 1
    return document.generation + 1, 1


def _write(attempt: Attempt, status: ExperimentState, **facts: Any) -> None:
    write_document(
        attempt.directory, generation=attempt.generation, attempt=attempt.number, status=status,
        flags=attempt.flags.nested(), pipeline=attempt.pipeline(), node=attempt.settings.node_name, **facts,
    )  # fmt: skip
    if status != "RUNNING":
        with contextlib.suppress(OSError):  # a full disk: the experiment is here, and was not sent
            offer_experiment(attempt.settings, attempt.directory, attempt.generation)
            run = attempt.flags.run
            if offer_to_trackers(attempt.settings, attempt.directory, attempt.generation, run):
                start_sending(attempt.settings)


def _in_words(error: BaseException) -> ErrorFact:
    code = failure_code(error)
    trace = "" if isinstance(error, ProteinxError) else "".join(traceback.format_exception(error))
    return ErrorFact(code=code, message=str(error) or repr(error), trace=trace or None)
