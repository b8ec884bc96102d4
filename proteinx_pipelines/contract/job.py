"""A job of the Master: a request for work, and what came of it."""

from typing import Any, Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Number, SparseDocument

JobState = Literal["HELD", "WAITING", "ASSIGNED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"]
ENDED_STATES = ("SUCCEEDED", "FAILED", "CANCELLED", "REJECTED")
"""States of a job that has ended; it never leaves them."""


class JobError(SparseDocument):
    """Error of a job that did not succeed."""

    code: str
    """Error code for programs, such as `bad_flags`."""
    message: str | None = None
    """Explanation for a person, in sentences."""


class JobDocument(SparseDocument):
    """A job as the Master shows it."""

    job_id: str
    """Id of the job."""
    experiment_id: str
    """Id of the experiment that it works on."""
    kind: str = "experiment"
    """`experiment`; `predict`; or `run`, training code of one's own."""
    state: JobState
    """State of the job."""
    priority: int = 0
    """-100 to 100; higher goes first."""
    position: int | None = None
    """Place among the waiting jobs, from 1; null for one that does not wait."""
    reason: str | None = None
    """The one reason why it does not run, or why it ended; null while it runs."""
    eta_s: float | None = None
    """Expected seconds until it ends; null where no comparable job has ended."""
    eta_error_s: float | None = None
    """Spread of that expectation, in seconds."""
    stage: str | None = None
    """The stage that runs."""
    progress: float | None = None
    """Completed fraction, 0 to 1."""
    note: str | None = None
    """Progress message."""
    node: str | None = None
    """Name of the node that has it, or had it last."""
    group: str | None = None
    """Id of its group."""
    unit: str | None = None
    """Id of its unit."""
    source: str | None = None
    """Sources of the data."""
    model: str | None = None
    """Model that is trained."""
    flags: dict[str, Any] = Field(default_factory=dict)
    """Flags, nested, defaults written out."""
    payload_ref: str | None = None
    """Data taken instead of the catalog."""
    dataset: str | None = None
    """Id of the uploaded data set."""
    needs: dict[str, Any] | None = None
    """What a node must have."""
    deadline: str | None = None
    """Time by which it should have ended (ISO 8601)."""
    summary: dict[str, Number] = Field(default_factory=dict)
    """Headline metrics by name, such as `test/spearman`."""
    error: JobError | None = None
    """Error; null while there is none."""
    generation: int | None = None
    """Generation of the experiment."""
    attempts: int = 0
    """Executions begun."""
    retry_of: str | None = None
    """The job that this one tries again."""
    created_by: str | None = None
    """Name of the token that asked for it."""
    created_at: str
    """Time of its creation (ISO 8601, UTC)."""
    started_at: str | None = None
    """Time when it began to run."""
    finished_at: str | None = None
    """Time of its end."""
    updated_at: str | None = None
    """Time of its last change."""
    schema_version: Literal[1] = 1
    """Version of this document."""

    @property
    def is_ended(self) -> bool:
        """True if the job has ended."""
        return self.state in ENDED_STATES
