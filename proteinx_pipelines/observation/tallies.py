"""Counts events of stages (`logs/events/`, the schema `journal_event`) for Prometheus.

A `Tally` is plain numbers that survive a restart as JSON. Names of events that plugins invent count as `other`, so that
the number of series is bounded.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from proteinx_pipelines.observation.exposition import Filling, Sample
from proteinx_pipelines.observation.table import STAGE_BUCKETS_S

EVENTS = frozenset(
    {
        "stage_started",
        "stage_finished",
        "epoch_finished",
        "embedding_finished",
        "model_fitted",
        "training_continued",
        "precision_chosen",
        "evidence_warning",
        "library_kept",
    }
)
"""Events that are counted by name."""
OTHER = "other"
MOST_REASONS = 100
"""Most codes of errors that are counted by name."""


@dataclass
class Tally:
    """Numbers of one node since its WORKDIR was made."""

    stages: dict[str, int] = field(default_factory=dict)
    """`<stage> <action>` -> number."""
    seconds: dict[str, list[int]] = field(default_factory=dict)
    """Stage -> number of computations in each bucket of `STAGE_BUCKETS_S`, and above."""
    seconds_sum: dict[str, float] = field(default_factory=dict)
    """Stage -> sum of the seconds of its computations."""
    events: dict[str, int] = field(default_factory=dict)
    """Event -> number."""
    ended: dict[str, int] = field(default_factory=dict)
    """`<state> <code of the error>` -> number of experiments."""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` wrote; what does not fit begins at 0."""
        known = {name: document.get(name) for name in cls.__dataclass_fields__}
        tally = cls(**{name: value for name, value in known.items() if isinstance(value, dict)})
        length = len(STAGE_BUCKETS_S) + 1
        tally.seconds = {name: counts for name, counts in tally.seconds.items() if len(counts) == length}
        return tally

    def document(self) -> dict[str, Any]:
        """The numbers as JSON types."""
        return asdict(self)

    def event(self, event: Mapping[str, Any]) -> None:
        """Count one line of a journal; a line of another form counts as an unknown event."""
        name, stage, payload = event.get("event"), event.get("stage"), event.get("payload")
        _add(self.events, name if name in EVENTS else OTHER)
        if name != "stage_finished" or not isinstance(stage, str) or not isinstance(payload, Mapping):
            return
        action, seconds = payload.get("action"), payload.get("seconds")
        if isinstance(action, str):
            _add(self.stages, f"{stage} {action}")
        if action == "computed" and isinstance(seconds, int | float) and math.isfinite(seconds):
            counts = self.seconds.setdefault(stage, [0] * (len(STAGE_BUCKETS_S) + 1))
            counts[bisect_left(STAGE_BUCKETS_S, seconds)] += 1
            self.seconds_sum[stage] = self.seconds_sum.get(stage, 0.0) + seconds

    def end(self, state: str, code: str | None) -> None:
        """Count the end of an experiment."""
        key = f"{state} {code or ''}"
        _add(self.ended, key if key in self.ended or len(self.ended) < MOST_REASONS else f"{state} {OTHER}")

    def samples(self, node: str) -> Iterator[Sample]:
        """The numbers as samples."""
        for name, number in sorted(self.events.items()):
            yield Sample("proteinx_journal_events_total", number, {"node": node, "event": name})
        for key, number in sorted(self.stages.items()):
            stage, _, action = key.partition(" ")
            labels = {"node": node, "stage": stage, "action": action}
            yield Sample("proteinx_stages_total", number, labels)
        for stage, counts in sorted(self.seconds.items()):
            filling = Filling(tuple(counts), self.seconds_sum.get(stage, 0.0))
            yield Sample("proteinx_stage_seconds", filling, {"node": node, "stage": stage})
        for key, number in sorted(self.ended.items()):
            state, _, reason = key.partition(" ")
            labels = {"node": node, "state": state, "reason": reason}
            yield Sample("proteinx_experiments_ended_total", number, labels)


def _add(counts: dict[str, int], name: Any) -> None:
    counts[name] = counts.get(name, 0) + 1
