"""Creates jobs: checks a request as a node will, and writes its row."""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, insert, select

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.request import ExperimentRequest, message_of, readable_id
from proteinx_pipelines.flags.parsing import parse_flags, to_dotted
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.tables import jobs


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

    flags: dict[str, Any] | str
    """Flags of the experiment: nested, dotted, or as text."""
    experiment_id: str | None = None
    """Id of the experiment; made from source, model and time when null."""
    payload_ref: str | None = None
    """Data to take instead of the catalog's: a path on the node, or an address of this Master or of the store."""
    dataset: str | None = None
    """An uploaded data set (id, or name for its newest version) to take instead of the node's catalog."""
    priority: int = Field(default=0, ge=-100, le=100)
    """Higher goes first."""
    group: str | None = None
    """Group that the job belongs to."""
    needs: dict[str, Any] | None = None
    """What a node must have: `{"gpu": 1, "memory_gb": 32, "labels": ["a100"]}`; beside `run.needs`."""
    deadline: str | None = None
    """Time by which it should be done (ISO 8601); jobs with the least slack go first within a priority."""
    held: bool = False
    """True to create it held: it waits until it is released."""


@dataclass(frozen=True)
class Checked:
    """A request that is valid by itself; what the row needs of it."""

    request: JobRequest
    experiment: ExperimentRequest
    flat: dict[str, Any]


def check(request: JobRequest) -> Checked:
    """Check a request as a node will check it, but for the names that only nodes know.

    Raises:
        FlagError: the flags have problems; all of them are named.
        MessageError: another field has; all problems at once.
    """
    flags: ExperimentFlags = parse_flags(request.flags)
    experiment = message_of(
        {
            "experiment_id": request.experiment_id or readable_id(flags),
            "flags": flags.nested(),
            "payload_ref": request.payload_ref,
            "priority": request.priority,
        }
    )
    return Checked(request, experiment, json.loads(json.dumps(to_dotted(flags), default=str)))


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
    """
    now = timestamp()
    job_id = new_job_id()
    state = "HELD" if checked.request.held else "WAITING"
    flags = checked.experiment.flags
    values = {
        "job_id": job_id,
        "kind": kind,
        "experiment_id": checked.experiment.experiment_id,
        "state": state,
        "priority": checked.request.priority,
        "place": next_place(connection),
        "flags": flags.nested(),
        "flat": checked.flat,
        "source": ", ".join(flags.data.source),
        "model": flags.model.name,
        "payload_ref": checked.request.payload_ref,
        "dataset": checked.request.dataset,
        "group_id": checked.request.group,
        "needs": checked.request.needs,
        "deadline": checked.request.deadline,
        "created_by": caller,
        "created_at": now,
        "updated_at": now,
        **columns,
    }
    connection.execute(insert(jobs).values(**values))
    events.record(
        connection, "job.created", {"state": state, "experiment_id": values["experiment_id"]}, job_id=job_id
    )
    return job_id


def new_job_id() -> str:
    """A new job's id, `j-3fa9c1d27b`."""
    return f"j-{secrets.token_hex(8)}"


def next_place(connection: Connection) -> float:
    """The place behind every job."""
    last = connection.execute(select(jobs.c.place).order_by(jobs.c.place.desc()).limit(1)).scalar()
    return float(last or 0.0) + 1.0
