"""What a node says of itself every few seconds: that it lives, what it does, and how busy the machine is."""

from typing import Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document, Stage

BEAT_EVERY_S = 5.0
"""Seconds between two heartbeats."""
ALIVE_FOR_S = 15
"""Life of a node's keys, in seconds: they are renewed three times in that time."""


class MachineUsage(Document):
    """Which node, when, and its processor and memory."""

    node: str
    """Name of the node."""
    time: str
    """When it was written (ISO 8601, UTC)."""
    cpu_percent: float | None = None
    """Load of all cores since the last heartbeat, in percent."""
    cpu_count: int | None = None
    """Logical processors."""
    memory_used_bytes: int | None = None
    """Memory in use, in bytes."""
    memory_total_bytes: int | None = None
    """Memory of the machine, in bytes."""


class Gpu(Document):
    """One GPU. What it does not tell is null: one cut into instances (MIG) has no utilisation."""

    index: int
    """Number of the GPU, from 0."""
    name: str | None = None
    """Product name."""
    utilization_percent: float | None = None
    """Load, in percent."""
    memory_used_bytes: int | None = None
    """Memory in use, in bytes."""
    memory_total_bytes: int | None = None
    """Memory of the GPU, in bytes."""


class Heartbeat(MachineUsage):
    """A node lives and can run a message. Its key is deleted at a clean stop."""

    state: Literal["idle", "busy"]
    """`busy` while an experiment runs."""
    worker_pid: int | None = None
    """Process that hosts the stages."""
    experiment_id: str | None = None
    """The experiment that runs; this field and the next six are null while none does."""
    generation: int | None = None
    """Its generation."""
    stage: Stage | None = None
    """Its stage."""
    progress: float | None = None
    """How far that stage is, 0 to 1."""
    note: str | None = None
    """What the stage does, in words."""
    last_progress_at: float | None = None
    """Last sign of progress, in seconds since 1970 (UTC)."""
    experiments: dict[str, int] = Field(default_factory=dict)
    """How many experiments of this node are in each state."""
    schema_version: Literal[1] = 1
    """Form of this document."""


class GpuUsage(MachineUsage):
    """How busy the machine and its GPUs are."""

    gpus: tuple[Gpu, ...] = ()
    """The GPUs; empty on a node without one."""
    schema_version: Literal[1] = 1
    """Form of this document."""
