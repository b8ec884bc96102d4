"""Creates jobs: writes the rows of checked requests, many at once where many come at once."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.domain.known_names import KnownNames
from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.flags.names import refuse_unknown_names
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import datasets, groups
from proteinx_pipelines.master.datasets.references import payload_ref_of, refuse_other_sources
from proteinx_pipelines.master.jobs.errors import UnknownDataset
from proteinx_pipelines.master.jobs.flag_rows import write_flags
from proteinx_pipelines.master.jobs.known_names import names_known_to_nodes, refuse_stores_of_nobody
from proteinx_pipelines.master.jobs.order import latest_start
from proteinx_pipelines.master.jobs.requests import Checked, JobRequest, check
from proteinx_pipelines.master.jobs.source_lists import note_lists, text_of

__all__ = ["Asked", "Checked", "JobRequest", "check", "create", "create_many"]
_INSERT = insert(jobs)
_LAST_PLACE = select(jobs.c.place).order_by(jobs.c.place.desc()).limit(1)
_BLANK: dict[str, Any] = {
    column.name: None if column.default is None else getattr(column.default, "arg", None)
    for column in jobs.columns
    if column is not jobs.c.number
}
"""A row before anything is known: every column, so that all rows of one statement have the same."""


@dataclass(frozen=True)
class Asked:
    """A job to create."""

    checked: Checked
    caller: str
    """Who asks."""
    kind: str = "experiment"
    """`experiment`, `predict` or `run`."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Further columns of the row."""


def create(
    connection: Connection, checked: Checked, *, caller: str, kind: str = "experiment", **columns: Any
) -> str:
    """Write the row of a job, and its event; returns its id. Arguments and errors are those of `create_many`."""
    (row,) = create_many(connection, [Asked(checked, caller, kind, columns)])
    if isinstance(row, ProteinxError):
        raise row
    return str(row["job_id"])


def create_many(connection: Connection, asked: Sequence[Asked]) -> list[dict[str, Any] | ProteinxError]:
    """Write the rows of jobs, and their events.

    Returns:
        For each its row, without the number that the database gives it; or, and nothing is written of it then, its
        `FlagError` (no connected node knows a model, embedder or metric by this name; the data set has no such
        source), `MessageError` (no connected node has the store of a reference) or `UnknownDataset`.
    """
    known, place = names_known_to_nodes(connection), next_place(connection)
    found: list[dict[str, Any] | ProteinxError] = []
    flat: dict[str, Mapping[str, str]] = {}
    several: dict[str, Sequence[str]] = {}
    for one in asked:
        try:
            row = _row(connection, one, known, place)
        except ProteinxError as error:
            found.append(error)
            continue
        found.append(row)
        flat[row["job_id"]] = one.checked.flat
        sources = one.checked.experiment.flags.data.source
        if len(sources) > 1:
            several[row["source"]] = sources
        place += 1.0
    rows = [row for row in found if isinstance(row, dict)]
    if rows:
        connection.execute(_INSERT, rows)
        write_flags(connection, flat)
        note_lists(connection, several)
        told = [
            (row["job_id"], {"state": row["state"], "experiment_id": row["experiment_id"]}) for row in rows
        ]
        events.record_all(connection, "job.created", told)
    return found


def _row(connection: Connection, asked: Asked, known: KnownNames | None, place: float) -> dict[str, Any]:
    checked, now = asked.checked, timestamp()
    request, flags = checked.request, checked.experiment.flags
    if known is not None and asked.kind == "experiment":
        refuse_unknown_names(flags, known, checked.nested)
        refuse_stores_of_nobody(connection, checked.experiment)
    dataset = None
    if request.dataset is not None:
        dataset = _dataset(connection, request.dataset)
        refuse_other_sources(dataset, flags)
    deadline = request.deadline.isoformat() if request.deadline is not None else None
    return {
        **_BLANK,
        "job_id": new_job_id(),
        "kind": asked.kind,
        "experiment_id": checked.experiment.experiment_id,
        "state": "HELD" if request.held else "WAITING",
        "priority": request.priority,
        "place": place,
        "latest_start": min(
            latest_start(deadline, request.slo_s, now, None),
            latest_start(flags.run.deadline, flags.run.slo_s, now, None),
        ),
        "flags": checked.nested,
        "source": text_of(flags.data.source),
        "model": flags.model.name,
        "payload_ref": request.payload_ref if dataset is None else payload_ref_of(dataset),
        "dataset": None if dataset is None else dataset["dataset_id"],
        "group_id": group_of(connection, request.group, asked.caller),
        "needs": request.needs.model_dump(mode="json", exclude_unset=True)
        if request.needs is not None
        else None,
        "deadline": deadline,
        "slo_s": request.slo_s,
        "created_by": asked.caller,
        "created_at": now,
        "updated_at": now,
        **asked.columns,
    }


def new_job_id() -> str:
    """A new job's id, `j-3fa9c1d27b40e6a8`."""
    return f"j-{secrets.token_hex(8)}"


def next_place(connection: Connection) -> float:
    """The place behind every job."""
    last = connection.execute(_LAST_PLACE).scalar()
    return float(last or 0.0) + 1.0


def _dataset(connection: Connection, name: str) -> dict[str, Any]:
    """The data set with this id, or the newest version with this name."""
    query = (
        select(datasets)
        .where((datasets.c.dataset_id == name) | (datasets.c.name == name))
        .order_by((datasets.c.dataset_id == name).desc(), datasets.c.version.desc())
        .limit(1)
    )
    found = connection.execute(query).mappings().one_or_none()
    if found is None:
        names = connection.execute(select(datasets.c.name).distinct().limit(20)).scalars()
        raise UnknownDataset(name, list(names))
    return dict(found)


def group_of(connection: Connection, name: str | None, caller: str) -> str | None:
    """Id of the group with this id or name, made if there is none."""
    if name is None:
        return None
    query = select(groups.c.group_id).where((groups.c.group_id == name) | (groups.c.name == name)).limit(1)
    found = connection.execute(query).scalar()
    if found is None:
        found = f"g-{secrets.token_hex(6)}"
        values = {"group_id": found, "name": name, "created_by": caller, "created_at": timestamp()}
        connection.execute(insert(groups).values(**values))
    return str(found)
