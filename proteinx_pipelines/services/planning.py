"""Plans an experiment: the stages it would reuse, take and compute, and the expected time."""

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
    """One sentence naming the flags that this model does not read; empty where there are none."""
    problems: tuple[Problem, ...]
    """Foreseeable failures; empty where none is found."""
    rows_matched: Mapping[str, str]
    """Flag that names a file -> sentence with the number of variants found in it; files not tried are omitted."""
    seconds: Mapping[str, float]
    """Stage -> expected run time in seconds; stages without a comparable past run are omitted."""

    @property
    def total_s(self) -> float:
        """Total expected seconds of the stages to be computed, as far as their times are known."""
        return sum(self.seconds.get(stage, 0.0) for stage in self.plan.to_compute)

    @property
    def is_complete(self) -> bool:
        """True if the time of every stage to be computed is known."""
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
    """Plan a message as it would run now."""
    found = planner.plan(request.experiment_id, request.flags, request.payload_ref)
    tried = planner.rehearse(request.flags, request.payload_ref)
    return Outlook(
        found,
        in_words(request.flags),
        tuple(tried.problems),
        tried.rows_matched,
        PastRuns(planner.past_stages()).expected_seconds(request.flags),
    )
