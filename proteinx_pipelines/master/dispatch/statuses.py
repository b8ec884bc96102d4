"""What nodes publish of running experiments, written into the rows of their jobs.

Events come over Redis' channels within milliseconds; the status hashes are read now and then, for what was missed.
A final state decides nothing here: the result does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.status import OPEN_STATES, Status
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.reading import rows
from proteinx_pipelines.master.jobs.states import ON_A_NODE

_OPEN = select(jobs.c.node, jobs.c.experiment_id).where(jobs.c.state.in_(ON_A_NODE))


@dataclass(frozen=True)
class Report:
    """A status of one experiment on one node."""

    node: str
    experiment_id: str
    status: Status


def open_jobs(connection: Connection) -> list[tuple[str, str]]:
    """Node and experiment of every job that a node has."""
    return [(row.node, row.experiment_id) for row in connection.execute(_OPEN)]


def changes_of(row: Mapping[str, Any], status: Status) -> dict[str, Any]:
    """The columns that a status changes in a job's row."""
    if status.state not in (*OPEN_STATES, None):
        return {}
    if status.generation is not None and (row["generation"] or 0) > status.generation:
        return {}  # of an earlier generation
    values: dict[str, Any] = {
        "stage": status.stage, "progress": status.progress, "note": status.note, "generation": status.generation,
        "attempts": status.attempt,
    }  # fmt: skip
    if status.state == "RUNNING":
        values["state"] = "RUNNING"
        if row["started_at"] is None:
            values["started_at"] = status.updated_at or timestamp()
    return {
        name: value
        for name, value in values.items()
        if value is not None and value != row[name] and not (name == "attempts" and value < row["attempts"])
    }


@dataclass(frozen=True)
class Change:
    """What a report changes in the row of a job."""

    row: Mapping[str, Any]
    values: Mapping[str, Any]


def changed(connection: Connection, reports: Iterable[Report]) -> list[Change]:
    """What reports change in the rows of the jobs that they are about. Reads only: mostly there is nothing."""
    found: list[Change] = []
    for report in reports:
        query = select(jobs).where(
            jobs.c.node == report.node,
            jobs.c.state.in_(ON_A_NODE),
            jobs.c.experiment_id == report.experiment_id,
        )
        found += [
            Change(row, values)
            for row in rows(connection, query)
            if (values := changes_of(row, report.status))
        ]
    return found


def write(connection: Connection, found: Iterable[Change]) -> None:
    """Write changes and their events."""
    for change in found:
        _write(connection, change.row, change.values)


def _write(connection: Connection, row: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    where = (jobs.c.job_id == row["job_id"]) & (jobs.c.token == row["token"]) & jobs.c.state.in_(ON_A_NODE)
    connection.execute(update(jobs).where(where).values(**values, updated_at=timestamp()))
    event = "job.state" if "state" in values else "job.progress"
    told = {name: values.get(name, row[name]) for name in ("state", "stage", "progress", "note")}
    events.record(connection, event, told, job_id=row["job_id"], node=row["node"])


def merged(reports: Iterable[Report]) -> list[Report]:
    """One report for each experiment on each node: later fields over earlier ones."""
    found: dict[tuple[str, str], Report] = {}
    for report in reports:
        key = (report.node, report.experiment_id)
        before = found.get(key)
        if before is not None:
            changes = {name: getattr(report.status, name) for name in report.status.model_fields_set}
            report = Report(*key, before.status.model_copy(update=changes))
        found[key] = report
    return list(found.values())
