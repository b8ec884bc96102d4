"""Events: changes of experiments on a Redis channel, and the journal that an attempt keeps in its directory."""

from typing import Any, Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document, SparseDocument, Stage


class Event(Document):
    """One change of an experiment, as it is published."""

    event: str = Field(examples=["accepted", "progress", "retrying", "finished"])
    """What happened."""
    experiment_id: str
    """The experiment."""
    timestamp: str
    """When (ISO 8601, UTC)."""
    payload: dict[str, Any] = Field(default_factory=dict)
    """What has changed: fields of the status."""
    schema_version: Literal[1] = 1
    """Form of this document."""


class JournalEvent(Document):
    """One line of `logs/events/g<generation>-a<attempt>.jsonl`."""

    event: str = Field(examples=["stage_started", "epoch_finished", "stage_finished"])
    """What happened."""
    stage: Stage | Literal[""]
    """The stage that says so; empty before the first one."""
    timestamp: str
    """When (ISO 8601, UTC)."""
    payload: dict[str, Any] = Field(default_factory=dict)
    """What else there is to say."""


class Counts(Document):
    """A histogram: `len(edges) == len(counts) + 1`."""

    counts: tuple[int, ...]
    """Values between two edges."""
    edges: tuple[float, ...]
    """Ascending."""


class MetricLine(SparseDocument):
    """One line of `metrics/metrics.jsonl`: a value or a histogram."""

    name: str = Field(examples=["train/loss", "test/spearman"])
    """What was measured."""
    value: float | None = None
    """The value; null where it is undefined, and in the line of a histogram."""
    histogram: Counts | None = None
    """The histogram, where this is one."""
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
    """When (ISO 8601, UTC)."""
