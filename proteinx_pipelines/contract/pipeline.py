"""`config/pipeline.json`: for each stage of an experiment, what it was made from and what it left behind."""

from typing import Any, Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document, FileFact, Stage


class ComputedBy(Document):
    """Who computed a stage."""

    experiment_id: str | None = None
    """The experiment."""
    generation: int | None = None
    """Its generation."""
    finished_at: str | None = None
    """When (ISO 8601, UTC)."""


class GpuUse(Document):
    """One GPU of the machine while a stage ran, whoever used it."""

    name: str | None = None
    """Its name."""
    utilization_percent: float | None = None
    """Mean utilisation; null where the GPU does not tell."""
    peak_memory_bytes: int | None = None
    """The most memory in use."""


class StageResources(Document):
    """What computing a stage used."""

    cpu_seconds: float | None = None
    """Processor time of its process and of those it started."""
    cpu_percent: float | None = None
    """The same beside the seconds it took; 100 is one core."""
    peak_memory_bytes: int | None = None
    """The most memory of its process, or of it and those it started."""
    gpus: tuple[GpuUse, ...] = ()
    """GPUs of the machine."""


class StageDocument(Document):
    """One finished stage; also `entry.json` of the stage store."""

    key: str
    """SHA-256 over code version, flags and what was read; empty while its files are being replaced."""
    version: str
    """Code version of the stage."""
    flags: dict[str, Any]
    """The flag groups it read, nested, defaults written out."""
    inputs: dict[str, str]
    """Content digests that entered the key: `<stage>.<view>` -> SHA-256."""
    digests: dict[str, str]
    """Content digests of what it left behind, by view."""
    files: dict[str, FileFact]
    """Its files by their name below the experiment directory."""
    action: str = Field(examples=["computed", "reused", "taken"])
    """How it came here."""
    origin: ComputedBy = ComputedBy()
    """Who computed it."""
    seconds: float = 0.0
    """How long computing it took."""
    details: dict[str, Any] = Field(default_factory=dict)
    """What a person wants to see beside it."""
    resources: StageResources | None = None
    """What computing it used; null where an earlier release computed it."""
    code: dict[str, Any] = Field(default_factory=dict)
    """Which code computed it: `version`, `commit` and `is_changed` of the package, `plugins`, `container`."""


class PipelineDocument(Document):
    """All stages that an experiment has finished."""

    format: Literal[1] = 1
    """Form of this document."""
    generation: int = 0
    """Generation that the stages belong to."""
    stages: dict[Stage, StageDocument] = Field(default_factory=dict)
    """The stages, in their order."""
