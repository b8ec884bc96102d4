"""`failures/<id>-g<generation>.json`: all that is known of a generation that failed, for whoever looks into it."""

from typing import Any, Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document, Stage


class FailureReason(Document):
    """What went wrong, and where."""

    code: str | None = None
    """One word for programs."""
    message: str | None = None
    """Sentences for a person."""
    stage: Stage | None = None
    """The stage that ran; null when none had begun."""


class Transition(Document):
    """One change of an experiment's state."""

    id: int | None = None
    """Its number on that node."""
    experiment_id: str
    """The experiment."""
    generation: int
    """Of the experiment."""
    attempt: int
    """Of the generation."""
    state: str
    """The new state."""
    at: str
    """When (ISO 8601, UTC)."""
    reason: str | None = None
    """Why."""


class SourceNeed(Document):
    """A source of the catalog that the experiment read."""

    source: str
    """Its name."""
    rows: int | None = None
    """Its rows; null where it was not there."""
    sha256: str | None = None
    """Digest of its template and its rows, whatever their order; null where it was not there."""


class FileNeed(Document):
    """A file that the experiment read."""

    path: str
    """As the message wrote it."""
    sha256: str | None = None
    """SHA-256 of its bytes; of a folder of checkpoints, over all of them; null where it was not there."""


class ReplayNeeds(Document):
    """What another node must have to run the experiment again."""

    sources: tuple[SourceNeed, ...] = ()
    """Sources of the catalog, or of the payload."""
    payload: FileNeed | None = None
    """The file that the message brought data in."""
    files: dict[str, FileNeed] = Field(default_factory=dict)
    """Files by the flag that names them, such as `split.path`."""


class FailureBundle(Document):
    """A failed generation: nothing in it is a secret."""

    format: Literal[1] = 1
    """Form of this document."""
    experiment_id: str
    """The experiment."""
    generation: int
    """The generation that failed."""
    attempt: int
    """Its last execution."""
    error: FailureReason
    """What went wrong."""
    trace: str | None = None
    """The end of the Python trace."""
    written_at: str
    """When this was written (ISO 8601, UTC)."""
    node: str
    """Name of the node."""
    flags: dict[str, Any]
    """Flags of the generation, nested, defaults written out."""
    payload_ref: str | None = None
    """Data it took instead of the node's catalog."""
    message_id: str | None = None
    """The sender's name for its message."""
    seeds: dict[str, int] = Field(default_factory=dict)
    """Every seed, by its flag."""
    plan: dict[Stage, Any] | None = None
    """What was to be computed, taken and reused, and why."""
    stages: dict[Stage, str] | None = None
    """What was done with each stage."""
    attempts: list[dict[str, Any]] = Field(default_factory=list)
    """Error and trace of each of its executions."""
    transitions: tuple[Transition, ...] = ()
    """Every change of its state, oldest first."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of Python and of the packages that results depend on."""
    code: dict[str, Any] = Field(default_factory=dict)
    """Version, git commit and plugins of the code that ran, and the container it ran in."""
    needs: ReplayNeeds | None = None
    """What another node must have to run it again; null in bundles of release 0.1.0."""
    platform: dict[str, Any] = Field(default_factory=dict)
    """System, machine and number of processors."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Variables that change what is computed, secrets hidden."""
    logs: dict[str, list[str]] = Field(default_factory=dict)
    """Last lines of each log."""
    again: str | None = None
    """The command that runs it again."""
