"""Planning: what an experiment would reuse, take over and compute, and how long that may take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.contract.request import ExperimentRequest
from proteinx_pipelines.flags.reading import in_words
from proteinx_pipelines.pipeline.plan import Plan
from proteinx_pipelines.services.estimate import PastRuns
from proteinx_pipelines.services.ports import Planner, Problem


@dataclass(frozen=True)
class Outlook:
    """A plan with its times."""

    plan: Plan
    unread: str
    """Names the flags that nothing reads with this model, in one sentence; empty where there are none."""
    problems: tuple[Problem, ...]
    """What it would fail at; empty where nothing is foreseen."""
    rows_matched: Mapping[str, str]
    """Flag that names a file -> how many variants found theirs in it, in words; what was not tried is left out."""
    seconds: Mapping[str, float]
    """Stage -> expected seconds of computing; stages without a comparable past run are left out."""

    @property
    def total_s(self) -> float:
        """Expected seconds of the stages to be computed whose time is known."""
        return sum(self.seconds.get(stage, 0.0) for stage in self.plan.to_compute)

    @property
    def is_complete(self) -> bool:
        """Whether the time of every stage to be computed is known."""
        return all(stage in self.seconds for stage in self.plan.to_compute)

    def document(self) -> dict[str, Any]:
        """The outlook as JSON types."""
        stages = [
            {"stage": each.stage, "action": each.action, "reason": each.reason, "key": each.key,
             "seconds": self.seconds.get(each.stage)}
            for each in self.plan.stages
        ]  # fmt: skip
        return {
            "stages": stages, "to_compute": list(self.plan.to_compute), "seconds": self.total_s,
            "seconds_are_complete": self.is_complete, "unread_flags": self.unread,
            "rows_matched": dict(self.rows_matched),
            "problems": [{"code": problem.code, "text": problem.text} for problem in self.problems],
        }  # fmt: skip


def plan(planner: Planner, request: ExperimentRequest) -> Outlook:
    """What a message would do now."""
    found = planner.plan(request.experiment_id, request.flags, request.payload_ref)
    tried = planner.rehearse(request.flags, request.payload_ref)
    return Outlook(
        found,
        in_words(request.flags),
        tuple(tried.problems),
        tried.rows_matched,
        PastRuns(planner.past_stages()).expected_seconds(request.flags),
    )
