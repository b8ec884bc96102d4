"""Heartbeat: a node's regular sign of life, its current work and the load of its machine."""

from typing import Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document, Stage

BEAT_EVERY_S = 5.0
"""Seconds between two heartbeats."""
ALIVE_FOR_S = 15
"""Life of a node's keys, in seconds; they are renewed three times in that period."""


class MachineUsage(Document):
    """Node name, time, and the load of its processor and memory."""

    node: str
    """Name of the node."""
    time: str
    """Time of writing (ISO 8601, UTC)."""
    cpu_percent: float | None = None
    """Load of all cores since the last heartbeat, in percent."""
    cpu_count: int | None = None
    """Logical processors."""
    memory_used_bytes: int | None = None
    """Memory in use, in bytes."""
    memory_total_bytes: int | None = None
    """Memory of the machine, in bytes."""


class Gpu(Document):
    """One GPU. Values it does not report are null: one cut into instances (MIG) reports no utilisation."""

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
    """Sign that a node is alive and can run a message. Its key is deleted at a clean stop."""

    state: Literal["idle", "busy"]
    """`busy` while an experiment runs."""
    worker_pid: int | None = None
    """Process that hosts the stages."""
    experiment_id: str | None = None
    """Id of the running experiment; this field and the next six are null while none runs."""
    generation: int | None = None
    """Its generation."""
    stage: Stage | None = None
    """Its current stage."""
    progress: float | None = None
    """Completed fraction of that stage, 0 to 1."""
    note: str | None = None
    """Progress message of the stage."""
    last_progress_at: float | None = None
    """Time of the last sign of progress, in seconds since 1970 (UTC)."""
    experiments: dict[str, int] = Field(default_factory=dict)
    """Number of this node's experiments in each state."""
    queue: str | None = None
    """List that the node takes messages from; null from a version that did not say it."""
    disk_free_bytes: int | None = None
    """Free space where WORKDIR is, in bytes."""
    disk_total_bytes: int | None = None
    """Size of that file system, in bytes."""
    schema_version: Literal[1] = 1
    """Version of this document."""


class GpuUsage(MachineUsage):
    """Load of the machine and its GPUs."""

    gpus: tuple[Gpu, ...] = ()
    """The GPUs; empty on a node without one."""
    schema_version: Literal[1] = 1
    """Version of this document."""
