"""The result document sent to the Master: one per generation of an experiment, one per refusal.

The id covers the answered message and when and where it was accepted. Building the result again after a crash gives
the same `result_id`, by which the Master recognizes a copy; a re-submitted experiment, a lost `state.db` or a second
node on the same Redis never reuse an id.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from proteinx_pipelines.contract.base import Document, Number, Stage
from proteinx_pipelines.contract.request import SCHEMA_VERSION, message_key_of
from proteinx_pipelines.errors import MessageError
from proteinx_pipelines.redaction import redact_and_cut

AGAIN_S = 300.0
"""If a message reappears within so many seconds of the moment at which its result, which Redis had lost, is put back,
that delivery is the answer. Both come back at once, but the part that takes messages may have to be started first."""
StageOrigin = Literal["reused", "taken", "computed"]
Status = Literal["SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"]


class ResultError(Document):
    """Error of an unsuccessful experiment."""

    code: str
    """Error code for programs, such as `bad_flags` or `empty_selection`."""
    message: str
    """Sentences for a person: what was found, what is expected, what to do; one line for each problem."""
    retryable: bool = False
    """True if the same message, sent again unchanged, may succeed."""


class ResultArtifacts(Document):
    """Location of the experiment's files."""

    directory: str | None = None
    """The experiment directory, relative to WORKDIR; null where there is none."""
    files: tuple[str, ...] = ()
    """Its files, relative to the directory, sorted."""


class ResultMessage(Document):
    """The terminal result of one generation of an experiment, or the refusal of one message."""

    result_id: str
    """Identity of this result: a repeated copy of the result has the same id."""
    message_id: str | None = None
    """The `message_id` of the answered message, if it had one."""
    experiment_id: str | None = None
    """The experiment; null in the refusal of a message that has no usable one."""
    generation: Annotated[int, Field(ge=1)] | None = None
    """1 for the first message of an experiment, plus one for each later accepted one; null when refused. Of one that
    ended before a node had it: the one it was to be.
    """
    attempt: Annotated[int, Field(ge=0)] | None = None
    """Number of the execution that ended the generation, counted from 1; 0 if none began; null when refused."""
    status: Status
    """Final status."""
    summary: dict[str, Number] = Field(default_factory=dict)
    """Headline metrics by name, such as `test/spearman`; null where one is undefined."""
    artifacts: ResultArtifacts = ResultArtifacts()
    """Location of the files."""
    stages: dict[Stage, StageOrigin] = Field(default_factory=dict)
    """Origin of each stage. `reused`: this experiment had it; `taken`: another had computed it; `computed`: run now."""
    error: ResultError | None = None
    """Error; null when the experiment succeeded."""
    trace: str | None = None
    """The end of the Python trace of an unexpected error."""
    started_at: str | None = None
    """Start of the first stage (ISO 8601, UTC); null if none began."""
    finished_at: str
    """Time when the result was settled (ISO 8601, UTC)."""
    node: str
    """Name of the node that answers."""
    schema_version: Literal[1] = SCHEMA_VERSION
    """Version of this document."""

    @model_validator(mode="after")
    def _parts_fit_status(self) -> Self:
        if self.status == "SUCCEEDED" and self.error is not None:
            raise ValueError(f"a result that SUCCEEDED has no error, found {self.error.code!r}")
        if self.status in ("FAILED", "REJECTED") and self.error is None:
            raise ValueError(f"a result that is {self.status} says why in `error`")
        if self.status != "REJECTED" and (self.experiment_id is None or self.generation is None):
            raise ValueError(f"a result that is {self.status} has an experiment_id and a generation")
        return self


@dataclass(frozen=True)
class Rejection:
    """The refusal of one message."""

    message_key: str
    """Key that a re-sent copy of the message shares."""
    result: ResultMessage


def result_id(experiment_id: str, generation: int, *, received_at: str, node: str) -> str:
    """Identity of a generation's terminal result: a generation has exactly one, whatever its status.

    Args:
        experiment_id: of the generation.
        generation: its number; it begins at 1 again once the experiment was removed.
        received_at: when its message was accepted.
        node: name of the node that accepted it.
    """
    return _sha256(f"{experiment_id}|{generation}|{received_at}|{node}")


def rejection_id(message_key: str, *, received_at: str, node: str) -> str:
    """Identity of a refusal. It is stored with the first refusal; a repeated message gets the same id."""
    return _sha256(f"{message_key}|{received_at}|{node}")


def rejection(raw: bytes, error: MessageError, *, node: str, received_at: str) -> Rejection:
    """The answer to a message that is refused.

    Args:
        raw: the message as it came; it names the message where `error.message_key` does not.
        error: why; its `experiment_id` and `message_id` are echoed.
        node: name of this node.
        received_at: when it was refused (ISO 8601, UTC).
    """
    message_key = error.message_key or message_key_of(raw)
    result = ResultMessage(
        result_id=rejection_id(message_key, received_at=received_at, node=node),
        message_id=error.message_id,
        experiment_id=error.experiment_id,
        status="REJECTED",
        error=ResultError(code=error.code, message=redact_and_cut(str(error)), retryable=error.retryable),
        finished_at=received_at,
        node=node,
    )
    return Rejection(message_key, result)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
