"""The guards that make a repetition harmless, each with its twin: the same thing without the guard goes wrong."""

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Ignore

from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.talking.outbox import deliver_results
from proteinx_pipelines.queue.answers import MasterLine
from proteinx_pipelines.queue.queue import connect


def refused(intake: Intake) -> Intake:
    """A node with one answer that is stored, and that the Master does not have yet."""
    intake.ingest(b"not json")
    return intake


def delivered_twice(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> int:
    """Die between pushing a result and noting it, then deliver again; how many copies the Master has."""
    with monkeypatch.context() as dying:
        dying.setattr(type(intake.state), "delivered", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            deliver_results(intake.settings, intake.state)
    deliver_results(intake.settings, intake.state)
    return int(connect(intake.settings.redis_url or "").llen("experiments:results"))


def test_a_result_pushed_and_not_noted_is_not_pushed_again(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert delivered_twice(refused(intake), monkeypatch) == 1


def test_without_the_marker_beside_the_results_it_would_be(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def push(line: Any, _result_id: str, _copy: int, payload: str, _reply_to: str | None) -> None:
        line._client.lpush(line.result_list(), payload)

    monkeypatch.setattr(MasterLine, "deliver", push)
    assert delivered_twice(refused(intake), monkeypatch) == 2


class Deliveries:
    """The step worker's task, and what it has executed. Dagster itself is in the stories."""

    def __init__(self, tasks: Any) -> None:
        self.tasks = tasks
        self.executed: list[str] = []

    def twice(self) -> list[str]:
        """Deliver a task twice, as Celery does after a visibility time-out or reconnect, or the run host by a copy."""
        for _ in range(2):
            try:
                self.tasks.execute_steps.run(run_id="run-1", step_keys=["train"], job={})
            except Ignore:
                continue
        return self.executed


@pytest.fixture
def deliveries(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> Deliveries:
    monkeypatch.setenv(
        "REDIS_URL", intake.settings.redis_url or ""
    )  # the tasks' application wants an address
    tasks = importlib.import_module("proteinx_pipelines.defs.tasks")
    found = Deliveries(tasks)
    run = SimpleNamespace(run_id="run-1", tags={}, is_finished=False)
    monkeypatch.setattr(tasks, "node_state", lambda: intake.state)
    monkeypatch.setattr(tasks, "node_instance", lambda: SimpleNamespace(get_run_by_id=lambda _: run))
    monkeypatch.setattr(tasks, "attempt_is_current", lambda _run: True)
    monkeypatch.setattr(
        tasks.execution, "execute_steps", lambda _, run_id, *__, **___: found.executed.append(run_id)
    )
    return found


def test_a_task_that_is_delivered_twice_is_executed_once(deliveries: Deliveries) -> None:
    assert deliveries.twice() == ["run-1"]


def test_without_the_claim_it_would_be_executed_twice(
    deliveries: Deliveries, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(intake.state), "claim_steps", lambda *_: True)
    assert deliveries.twice() == ["run-1", "run-1"]


def test_a_task_whose_attempt_is_over_is_not_executed(
    deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries.tasks, "attempt_is_current", lambda _run: False)
    assert deliveries.twice() == []
