"""`config/pipeline.json`: inputs and outputs of each finished stage of an experiment."""

from typing import Any, Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document, FileFact, Stage


class ComputedBy(Document):
    """Origin of a stage's computation."""

    experiment_id: str | None = None
    """Id of the experiment."""
    generation: int | None = None
    """Its generation."""
    finished_at: str | None = None
    """Time when the stage finished (ISO 8601, UTC)."""


class GpuUse(Document):
    """One GPU of the machine while a stage ran, including use by other processes."""

    name: str | None = None
    """Its name."""
    utilization_percent: float | None = None
    """Mean utilisation; null where the GPU does not report it."""
    peak_memory_bytes: int | None = None
    """Peak memory in use."""
    joules: float | None = None
    """Energy that it used; null where it does not tell, and from an earlier release."""


class StageResources(Document):
    """Resources used to compute a stage."""

    cpu_seconds: float | None = None
    """Processor time of its process and of the processes it started."""
    cpu_percent: float | None = None
    """Processor time as a percentage of elapsed time; 100 is one core."""
    peak_memory_bytes: int | None = None
    """Peak memory of its process, or of it and the processes it started."""
    cpu_joules: float | None = None
    """Energy that the machine's processors used meanwhile; null where they do not tell, and from an earlier release."""
    gpus: tuple[GpuUse, ...] = ()
    """GPUs of the machine."""


class StageDocument(Document):
    """One finished stage; also `entry.json` of the stage store."""

    key: str
    """SHA-256 over code version, flags and inputs; empty while its files are being replaced."""
    version: str
    """Code version of the stage."""
    flags: dict[str, Any]
    """The flag groups it read, nested, defaults written out."""
    inputs: dict[str, str]
    """Content digests that entered the key: `<stage>.<view>` -> SHA-256."""
    digests: dict[str, str]
    """Content digests of its outputs, by view."""
    files: dict[str, FileFact]
    """Its files by their name below the experiment directory."""
    action: str = Field(examples=["computed", "reused", "taken"])
    """Origin: `computed`, `reused` or `taken`."""
    origin: ComputedBy = ComputedBy()
    """Experiment and generation that computed it."""
    seconds: float = 0.0
    """Seconds that computing it took."""
    details: dict[str, Any] = Field(default_factory=dict)
    """Summary for a person."""
    resources: StageResources | None = None
    """Resources used to compute it; null where an earlier release computed it."""
    code: dict[str, Any] = Field(default_factory=dict)
    """Code that computed it: `version`, `commit` and `is_changed` of the package, `plugins`, `container`."""


class PipelineDocument(Document):
    """All stages that an experiment has finished."""

    format: Literal[1] = 1
    """Version of this document."""
    generation: int = 0
    """Generation that the stages belong to."""
    stages: dict[Stage, StageDocument] = Field(default_factory=dict)
    """The stages, in their order."""
