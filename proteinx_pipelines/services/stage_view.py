"""Stages of a generation as shown to people: past, present and planned."""

from collections.abc import Mapping
from dataclasses import dataclass

from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.pipeline.stages import STAGES, planned_stages

WAITING, RUNNING, NOT_RUN = "waiting", "running", "not run"
_ENDED_IN = {"FAILED": "failed", "CANCELLED": "cancelled"}
"""State of the stage at which a generation ended."""


@dataclass(frozen=True)
class StageView:
    """One stage."""

    stage: str
    status: str
    """`reused`, `taken`, `computed`, `failed`, `cancelled`, or one of the three above."""
    reason: str
    """Reason for reusing, taking or computing it, from the plan; its progress message while it runs."""
    fraction: float
    """Completed fraction, 0 to 1."""


def stage_views(current: Generation) -> list[StageView]:
    """The stages of a generation, in order."""
    return [_view(current, stage) for stage in planned_stages(current.plan)]


def _view(current: Generation, stage: str) -> StageView:
    planned: Mapping[str, str] = (current.plan or {}).get(stage, {})
    action, reason = planned.get("action"), planned.get("reason", "")
    done = current.stages.get(stage)
    if done is None and action in ("reused", "taken"):
        done = action
    if done is not None:
        return StageView(stage, done, reason, 1.0)
    if current.state == "RUNNING" and current.stage == stage:
        return StageView(stage, RUNNING, current.note or reason, current.progress or 0.0)
    if current.stage == stage and current.state in _ENDED_IN:
        return StageView(stage, _ENDED_IN[current.state], current.error_code or reason, 0.0)
    return StageView(stage, NOT_RUN if current.is_terminal else WAITING, reason, 0.0)


def stages_sentence(stages: Mapping[str, str]) -> str:
    """`computed split, train, evaluate; reused selection; taken embedding`."""
    groups: dict[str, list[str]] = {}
    for stage in STAGES:
        if stage in stages:
            groups.setdefault(stages[stage], []).append(stage)
    return "; ".join(f"{action} {', '.join(names)}" for action, names in groups.items())
