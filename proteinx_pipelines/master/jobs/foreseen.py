"""What a change of flags would compute again, seen from the flags alone: before anything is sent.

A node knows more (the digests of what it reads, and what its store holds), and may find less to do. The flags are
enough to say what surely stays.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from proteinx_pipelines.flags.changes import changed_flags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.reading import in_words
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.jobs.finding import one
from proteinx_pipelines.master.jobs.source_lists import text_of
from proteinx_pipelines.pipeline.stages import stages_of


def foreseen(
    connection: Connection,
    flags: ExperimentFlags,
    *,
    like: str | None = None,
    experiment_id: str | None = None,
) -> dict[str, Any]:
    """Stages of an experiment with these flags: reused from an earlier job, or computed, and why.

    Args:
        connection: to read with.
        flags: of the experiment.
        like: the job to compare with; else
        experiment_id: the experiment whose newest successful job it is compared with; else the newest successful job
            on the same source.

    Returns:
        `compared_with`, `stages` (`stage`, `action`, `reason`), `to_compute`, `unread_flags`.

    Raises:
        UnknownJob: there is no job `like`.
    """
    before = _earlier(connection, flags, like, experiment_id)
    old = parse_flags(before["flags"]) if before is not None else None
    stages, again = [], set[str]()
    for stage in stages_of(flags):
        reason = _reason(stage, flags, old, again)
        if reason is not None:
            again.add(stage.name)
        stages.append(
            {
                "stage": stage.name,
                "action": "computed" if reason is not None else "reused",
                "reason": reason or "nothing that it reads has changed",
            }
        )
    return {
        "compared_with": before["job_id"] if before is not None else None,
        "stages": stages,
        "to_compute": [stage["stage"] for stage in stages if stage["action"] == "computed"],
        "unread_flags": in_words(flags),
    }


def _reason(stage: Any, flags: ExperimentFlags, old: ExperimentFlags | None, again: set[str]) -> str | None:
    """Why a stage is computed; None if it is reused."""
    if old is None:
        return "no earlier job to take it over from"
    if not stage.is_wanted(old):
        return "it was not asked for before"
    changes = changed_flags(stage.document(old), stage.document(flags))
    if stage.prints_flags and not changes:
        changes = changed_flags(_science(old), _science(flags))
    if changes:
        return "; ".join(changes)
    above = [name for name in stage.reads if name in again]
    return f"{', '.join(above)} may change" if above else None


def _science(flags: ExperimentFlags) -> Mapping[str, Any]:
    """Every flag but those of running, which no stage reads."""
    return {name: value for name, value in flags.nested().items() if name != "run"}


def _earlier(
    connection: Connection, flags: ExperimentFlags, like: str | None, experiment_id: str | None
) -> Mapping[str, Any] | None:
    query = select(jobs.c.job_id, jobs.c.flags).order_by(jobs.c.number.desc()).limit(1)
    if like is not None:
        return one(connection, like)
    query = query.where(jobs.c.state == "SUCCEEDED", jobs.c.kind == "experiment")
    same = query.where(jobs.c.experiment_id == experiment_id)
    if experiment_id is not None and (found := connection.execute(same).mappings().one_or_none()):
        return dict(found)
    query = query.where(jobs.c.source == text_of(flags.data.source))
    row = connection.execute(query).mappings().one_or_none()
    return dict(row) if row is not None else None
