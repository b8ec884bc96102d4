"""`failures/<id>-g<generation>.json`: a failed generation with everything needed to analyse it."""

from typing import Any, Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document, Stage


class FailureReason(Document):
    """Error and its place."""

    code: str | None = None
    """Error code for programs."""
    message: str | None = None
    """Explanation for a person, in sentences."""
    stage: Stage | None = None
    """Stage that was running; null when none had begun."""


class Transition(Document):
    """One change of an experiment's state."""

    id: int | None = None
    """Number of the transition on that node."""
    experiment_id: str
    """Id of the experiment."""
    generation: int
    """Generation of the experiment."""
    attempt: int
    """Attempt of the generation."""
    state: str
    """The new state."""
    at: str
    """Time of the change (ISO 8601, UTC)."""
    reason: str | None = None
    """Reason for the change."""


class SourceNeed(Document):
    """A source of the catalog that the experiment read."""

    source: str
    """Name of the source."""
    rows: int | None = None
    """Number of its rows; null if the source was missing."""
    sha256: str | None = None
    """Digest of its template and its rows, whatever their order; null if the source was missing."""


class FileNeed(Document):
    """A file that the experiment read."""

    path: str
    """Path as written in the message."""
    sha256: str | None = None
    """SHA-256 of its bytes; for a folder of checkpoints, over all of them; null if it was missing."""


class ReplayNeeds(Document):
    """Requirements for another node to run the experiment again."""

    sources: tuple[SourceNeed, ...] = ()
    """Sources of the catalog, or of the payload."""
    payload: FileNeed | None = None
    """The file that the message brought data in."""
    files: dict[str, FileNeed] = Field(default_factory=dict)
    """Files by the flag that names them, such as `split.path`."""


class FailureBundle(Document):
    """A failed generation, with all secrets removed."""

    format: Literal[1] = 1
    """Version of this document."""
    experiment_id: str
    """Id of the experiment."""
    generation: int
    """The generation that failed."""
    attempt: int
    """Its last execution."""
    error: FailureReason
    """Error and its place."""
    trace: str | None = None
    """The end of the Python trace."""
    written_at: str
    """Time of writing (ISO 8601, UTC)."""
    node: str
    """Name of the node."""
    flags: dict[str, Any]
    """Flags of the generation, nested, defaults written out."""
    payload_ref: str | None = None
    """Data used instead of the node's catalog."""
    message_id: str | None = None
    """The sender's name for its message."""
    seeds: dict[str, int] = Field(default_factory=dict)
    """Every seed, by its flag."""
    plan: dict[Stage, Any] | None = None
    """Planned origin of each stage (computed, taken or reused), with the reason."""
    stages: dict[Stage, str] | None = None
    """Actual origin of each finished stage."""
    attempts: list[dict[str, Any]] = Field(default_factory=list)
    """Error and trace of each of its executions."""
    transitions: tuple[Transition, ...] = ()
    """Every change of its state, oldest first."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of Python and of the packages that results depend on."""
    code: dict[str, Any] = Field(default_factory=dict)
    """Version, git commit and plugins of the code that ran, and the container it ran in."""
    needs: ReplayNeeds | None = None
    """Requirements for another node to run it again; null in bundles of release 0.1.0."""
    platform: dict[str, Any] = Field(default_factory=dict)
    """System, machine and number of processors."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Variables that change the computation, with secrets hidden."""
    logs: dict[str, list[str]] = Field(default_factory=dict)
    """Last lines of each log."""
    again: str | None = None
    """The command that runs it again."""
