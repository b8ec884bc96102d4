"""`experiment.json`: description and status of an experiment, and the index of its files."""

from typing import Any, Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document, ErrorFact, FileFact, Number, Stage

ExperimentState = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]


class ExperimentDocument(Document):
    """The root document of an experiment directory."""

    format: Literal[1] = 1
    """Version of this document."""
    experiment_id: str
    """Name of the experiment and of its directory."""
    generation: int
    """Number of the accepted message for this experiment that the files belong to, counted from 1."""
    attempt: int
    """Number of the execution within that generation, counted from 1."""
    status: ExperimentState
    """Status of the experiment."""
    created_at: str
    """Time when the directory was made (ISO 8601, UTC)."""
    updated_at: str
    """Time when this document was written (ISO 8601, UTC)."""
    flags: dict[str, Any]
    """The flags of the generation, nested, defaults written out."""
    stages: dict[Stage, str] = Field(default_factory=dict)
    """Origin of each finished stage: `reused`, `taken` or `computed`."""
    summary: dict[str, Number] = Field(default_factory=dict)
    """Headline metrics by name, such as `test/spearman`."""
    error: ErrorFact | None = None
    """Error of an unsuccessful experiment."""
    artifacts: dict[str, FileFact] = Field(default_factory=dict)
    """Every file of the directory but this one, by its name below it."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of Python and of the packages that results depend on."""
    code: dict[str, Any] = Field(default_factory=dict)
    """Version, git commit (null where there is none) and plugins of the code, and the container it ran in."""
