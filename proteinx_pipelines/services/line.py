"""The waiting line: order, expected time and reason for waiting of each open experiment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.stages import stages_of
from proteinx_pipelines.services.estimate import PastRuns
from proteinx_pipelines.services.ports import Lives

MOST_OPEN = 1000
"""Largest number of open experiments placed in line."""
MOST_ESTIMATED = 50
"""Number of open experiments, from the front, whose time is estimated: each estimate scans all past runs."""


@dataclass(frozen=True)
class Place:
    """One open generation in the line."""

    position: int
    """0: running; 1: next."""
    eta_s: float | None
    """Expected seconds until it ends; None where a stage has no comparable past run."""
    reason: str
    """Reason why it does not run yet; empty while it runs."""


def places(
    lives: Lives, past: Iterable[tuple[str, StageEntry]], *, heard: bool = True
) -> dict[tuple[str, int], Place]:
    """(experiment id, generation) -> its place in the line, for every open generation.

    Args:
        lives: of the experiments.
        past: stages that were computed, for the times.
        heard: whether a node takes messages now.
    """
    running = lives.in_state("RUNNING", limit=MOST_OPEN)
    waiting = lives.in_state("PENDING", limit=MOST_OPEN)
    seen = PastRuns(past if running or waiting else ())
    found: dict[tuple[str, int], Place] = {}
    until: float | None = 0.0
    for number, current in enumerate([*running, *waiting]):
        position = max(0, number - len(running) + 1)
        left = _seconds_left(current, seen) if number < MOST_ESTIMATED else None
        until = None if until is None or left is None else until + left
        reason = "" if position == 0 else _reason(lives, current, position, [*running, *waiting], heard=heard)
        found[current.experiment_id, current.generation] = Place(position, until, reason)
    return found


def _seconds_left(current: Generation, past: PastRuns) -> float | None:
    """Expected seconds of the remaining stages; None where one is unknown."""
    try:
        flags = current.tree
    except FlagError:  # written by another version
        return None
    expected, total = past.expected_seconds(flags), 0.0
    for stage in (stage.name for stage in stages_of(flags)):
        planned: Mapping[str, Any] = (current.plan or {}).get(stage, {})
        if stage in current.stages or planned.get("action") in ("reused", "taken"):
            continue
        if stage not in expected:
            return None
        done = (current.progress or 0.0) if current.state == "RUNNING" and current.stage == stage else 0.0
        total += expected[stage] * (1.0 - done)
    return total


def _reason(
    lives: Lives, current: Generation, position: int, line: Sequence[Generation], *, heard: bool
) -> str:
    if current.cancel_requested:
        return "is being cancelled"
    if not heard:
        return "no node takes messages now"
    if any(_is_before(other, current) for other in line):
        return "an earlier generation of it has not ended"
    if current.attempt > 1:
        history = lives.history(current.experiment_id)
        return f"attempt {current.attempt}: {history[-1]['reason'] if history else 'tried again'}"
    if position > 1:
        return f"{position - 1} before it"
    return "its run is being started" if current.run_id else "is next"


def _is_before(other: Generation, current: Generation) -> bool:
    return other.experiment_id == current.experiment_id and other.generation < current.generation
