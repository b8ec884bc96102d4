"""Taking over stored stages: every byte is read, which takes long and counts as progress."""

import os
from typing import Any

import pytest

from proteinx_pipelines.errors import Cancelled
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.publishing import Publisher
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.planning import plan_experiment
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.execution.test_attempt import QUICK
from proteinx_pipelines_tests.execution.test_store import run


@pytest.fixture
def state(settings: Settings) -> Ledger:
    return Ledger(settings.state_path)


def begun(settings: Settings, state: Ledger) -> Attempt:
    """The first attempt at `b`, which runs."""
    state.accept(
        experiment_id="b", message_key="m", message_id=None, priority=0,
        payload_ref=None, flags={}, raw=b"{}",
    )  # fmt: skip
    token = state.begin("b", 1, 1, run_id="run", host_pid=1, timeout_s=None)
    return Attempt(settings, "b", parse_flags(QUICK), state=state, token=token)


def test_an_attempt_that_takes_stages_over_says_so(
    settings: Settings, state: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was silent until its first own stage, and after a minute the reconciler took it for dead."""
    run(settings, "a")
    plan = plan_experiment(settings, "b", parse_flags(QUICK), None).document()
    taken = [stage for stage, planned in plan.items() if planned["action"] == "taken"]
    assert taken
    attempt = begun(settings, state)
    seen: list[Generation] = []
    take = Publisher.take

    def look(self: Publisher, *about: Any) -> Any:
        current = state.latest("b")
        assert current is not None
        seen.append(current)
        return take(self, *about)

    monkeypatch.setattr(Publisher, "take", look)
    try:
        attempt.take_planned(plan)
    finally:
        attempt.close()
    assert [(current.stage, current.worker_pid) for current in seen] == [
        (stage, os.getpid()) for stage in taken
    ]


def test_an_experiment_that_was_cancelled_takes_nothing_over(settings: Settings, state: Ledger) -> None:
    run(settings, "a")
    plan = plan_experiment(settings, "b", parse_flags(QUICK), None).document()
    attempt = begun(settings, state)
    state.request_cancel("b")
    with pytest.raises(Cancelled):
        attempt.take_planned(plan)
    attempt.close()
    assert not attempt.directory.selected.exists()
