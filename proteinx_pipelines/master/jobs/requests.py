"""Requests for jobs, checked as a node will check them, but for what only nodes and the database know."""

from dataclasses import dataclass, replace
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from proteinx_pipelines.contract.references import refuse_references
from proteinx_pipelines.contract.request import ExperimentRequest, message_of, readable_id
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.run import Needs
from proteinx_pipelines.master.jobs.flat_flags import flat_flags
from proteinx_pipelines.templates import template


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
    """Those that differ from their defaults, by dotted name, as texts."""


def check(request: JobRequest) -> Checked:
    """Check a request as a node will check it, but for what only nodes and the database know.

    Raises:
        FlagError: the flags have problems; all of them are named.
        MessageError: another field has, all problems at once; or no node would follow a reference.
        UnknownTemplate: there is no such template.
        TemplateIsASweep: the template is one of several experiments.
        TemplateNeeds: the template needs a flag that is missing.
    """
    given = request.flags
    if request.template is not None:
        if isinstance(given, str):
            raise FlagError(["`flags` is a text; beside a `template` an object is expected."])
        given = template(request.template).filled_for_one(given)
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
    refuse_references(experiment)
    return Checked(request, experiment, experiment.flags.nested(), flat_flags(experiment.flags))
