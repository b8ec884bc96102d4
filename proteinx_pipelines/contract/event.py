"""Events: changes of experiments on a Redis channel, and the journal that an attempt keeps in its directory."""

from typing import Any, Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document, SparseDocument, Stage


class Event(Document):
    """One change of an experiment, as it is published."""

    event: str = Field(examples=["accepted", "progress", "retrying", "finished"])
    """Name of the event."""
    experiment_id: str
    """Id of the experiment."""
    timestamp: str
    """Time of the event (ISO 8601, UTC)."""
    payload: dict[str, Any] = Field(default_factory=dict)
    """Changed fields of the status."""
    schema_version: Literal[1] = 1
    """Version of this document."""


class JournalEvent(Document):
    """One line of `logs/events/g<generation>-a<attempt>.jsonl`."""

    event: str = Field(examples=["stage_started", "epoch_finished", "stage_finished"])
    """Name of the event."""
    stage: Stage | Literal[""]
    """Stage that wrote it; empty before the first one."""
    timestamp: str
    """Time of the event (ISO 8601, UTC)."""
    payload: dict[str, Any] = Field(default_factory=dict)
    """Further values."""


class Counts(Document):
    """A histogram: `len(edges) == len(counts) + 1`."""

    counts: tuple[int, ...]
    """Number of values between neighbouring edges."""
    edges: tuple[float, ...]
    """Bin edges, ascending."""


class MetricLine(SparseDocument):
    """One line of `metrics/metrics.jsonl`: a value or a histogram."""

    name: str = Field(examples=["train/loss", "test/spearman"])
    """Name of the measured quantity."""
    value: float | None = None
    """The value; null where it is undefined, and in the line of a histogram."""
    histogram: Counts | None = None
    """The histogram, in the line of a histogram."""
    step: int | None = None
    """Optimizer step, counted from 0."""
    epoch: int | None = None
    """Epoch, counted from 0."""
    fold: int | None = None
    """Fold of a cross-validation, counted from 0."""
    generation: int = 1
    """Generation of the experiment."""
    attempt: int
    """Attempt of that generation."""
    time: str
    """Time of the measurement (ISO 8601, UTC)."""
