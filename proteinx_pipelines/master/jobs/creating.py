"""Creates jobs: checks a request as a node will, and writes its row."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import Connection, insert, select

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.request import ExperimentRequest, message_of, readable_id
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.names import refuse_unknown_names
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.run import Needs
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.tables import datasets, groups, jobs
from proteinx_pipelines.master.datasets.references import payload_ref_of, refuse_other_sources
from proteinx_pipelines.master.jobs.errors import UnknownDataset
from proteinx_pipelines.master.jobs.flat_flags import flat_flags
from proteinx_pipelines.master.jobs.known_names import names_known_to_nodes
from proteinx_pipelines.master.jobs.order import latest_start
from proteinx_pipelines.templates import template

_INSERT = insert(jobs)
_LAST_PLACE = select(jobs.c.place).order_by(jobs.c.place.desc()).limit(1)


class JobRequest(BaseModel):
    """What a sender asks for."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {"flags": {"data": {"source": "GB1"}, "model": {"name": "ridge"}}, "priority": 5},
                {"flags": {"data.source": "GB1", "split.folds": 5}, "experiment_id": "gb1-folds"},
            ]
        },
    )

    flags: dict[str, Any] | str = Field(default_factory=dict)
    """Flags of the experiment: nested, dotted, or as text."""
    template: str | None = Field(default=None, max_length=100)
    """Template that the flags are added to; `GET /api/templates` lists them."""
    experiment_id: str | None = None
    """Id of the experiment; made from source, model and time when null."""
    payload_ref: str | None = None
    """Data to take instead of the catalog's: a path on the node, or an address of this Master or of the store."""
    dataset: str | None = Field(default=None, min_length=1, max_length=200)
    """An uploaded data set (id, or name for its newest version) to take instead of the node's catalog."""
    priority: int = Field(default=0, ge=-100, le=100)
    """Higher goes first."""
    group: str | None = Field(default=None, min_length=1, max_length=200)
    """Group that the job belongs to, by id or name; a name that is not known yet makes a group."""
    needs: Needs | None = None
    """What a node must have, beside `run.needs`."""
    deadline: AwareDatetime | None = None
    """Time by which it should have ended; within a priority the least slack goes first."""
    slo_s: float | None = Field(default=None, gt=0, le=315_576_000)
    """Seconds from its creation within which it should have ended; an earlier deadline counts."""
    held: bool = False
    """True to create it held: it waits until it is released."""


@dataclass(frozen=True)
class Checked:
    """A request that is valid by itself; what the row needs of it."""

    request: JobRequest
    experiment: ExperimentRequest
    nested: dict[str, Any]
    """Its flags, defaults written out."""
    flat: dict[str, str]
    """The same by dotted name, as texts."""


def check(request: JobRequest) -> Checked:
    """Check a request as a node will check it, but for what only nodes and the database know.

    Raises:
        FlagError: the flags have problems; all of them are named.
        MessageError: another field has; all problems at once.
        UnknownTemplate: there is no such template.
        TemplateNeeds: the template needs a flag that is missing.
    """
    given = request.flags
    if request.template is not None:
        if isinstance(given, str):
            raise FlagError(["`flags` is a text; beside a `template` an object is expected."])
        given = template(request.template).filled(given)
    elif isinstance(given, str):
        given = parse_flags(given).nested()
    experiment = message_of(
        {
            "experiment_id": request.experiment_id or "made-below",
            "flags": given,
            "payload_ref": request.payload_ref,
            "priority": request.priority,
        }
    )
    if request.experiment_id is None:
        experiment = replace(experiment, experiment_id=readable_id(experiment.flags))
    return Checked(request, experiment, experiment.flags.nested(), flat_flags(experiment.flags))


def create(
    connection: Connection,
    checked: Checked,
    *,
    caller: str,
    kind: str = "experiment",
    **columns: Any,
) -> str:
    """Write the row of a job, and its event; returns its id.

    Args:
        connection: of the change.
        checked: the request.
        caller: who asks.
        kind: `experiment`, `predict` or `run`.
        columns: further columns of the row.

    Raises:
        FlagError: no connected node knows a model, embedder or metric by this name.
        UnknownDataset: there is no such data set.
        FlagError: the data set has no such source.
    """
    request, flags, now = checked.request, checked.experiment.flags, timestamp()
    known = names_known_to_nodes(connection)
    if known is not None and kind == "experiment":
        refuse_unknown_names(flags, known)
    dataset = None
    if request.dataset is not None:
        dataset = _dataset(connection, request.dataset)
        refuse_other_sources(dataset, flags.data.source)
    job_id, state = new_job_id(), "HELD" if request.held else "WAITING"
    deadline = request.deadline.isoformat() if request.deadline is not None else None
    values = {
        "job_id": job_id,
        "kind": kind,
        "experiment_id": checked.experiment.experiment_id,
        "state": state,
        "priority": request.priority,
        "place": next_place(connection),
        "latest_start": min(
            latest_start(deadline, request.slo_s, now, None),
            latest_start(flags.run.deadline, flags.run.slo_s, now, None),
        ),
        "flags": checked.nested,
        "flat": checked.flat,
        "source": ", ".join(flags.data.source),
        "model": flags.model.name,
        "payload_ref": request.payload_ref if dataset is None else payload_ref_of(dataset),
        "dataset": None if dataset is None else dataset["dataset_id"],
        "group_id": group_of(connection, request.group, caller),
        "needs": request.needs.model_dump(mode="json", exclude_unset=True)
        if request.needs is not None
        else None,
        "deadline": deadline,
        "slo_s": request.slo_s,
        "created_by": caller,
        "created_at": now,
        "updated_at": now,
        **columns,
    }
    connection.execute(_INSERT, values)
    events.record(
        connection, "job.created", {"state": state, "experiment_id": values["experiment_id"]}, job_id=job_id
    )
    return job_id


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
