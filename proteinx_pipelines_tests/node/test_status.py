"""The status hash holds every field that the Master's page shows, also for an experiment that needed no run."""

from dataclasses import replace
from typing import Any

import pytest

from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.talking import status as publishing
from proteinx_pipelines.node.talking.status import progress_publisher, publish_state
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines.settings import Settings


def test_an_experiment_that_needed_no_run_stands_behind_its_last_stage(
    settings: Settings, intake: Intake
) -> None:
    intake.ingest(b'{"experiment_id": "a", "flags": {"data": {"source": "GB1"}}}')
    client = connect(settings.redis_url or "")
    current = intake.state.latest("a")
    assert current is not None
    publish_state(settings, current, "accepted")
    assert client.hget("experiments:status:a", "stage") == b"selection"
    publish_state(settings, replace(current, state="SUCCEEDED", progress=1.0), "finished")
    status = client.hgetall("experiments:status:a")
    assert {b"state", b"stage", b"progress", b"generation", b"attempt", b"position"} <= set(status)
    assert status[b"stage"] == b"evaluate"


class Away:
    """A line to a Redis that does not answer, on a clock that shows what each try costs."""

    def __init__(self, seconds_a_try: float) -> None:
        self.now, self.tries, self._cost = 100.0, 0, seconds_a_try

    def monotonic(self) -> float:
        return self.now

    def status(self, *_: Any) -> None:
        self.tries += 1
        self.now += self._cost
        raise QueueUnavailable("Redis did not answer")


@pytest.mark.parametrize(("cost", "most"), [(0.0, 20), (5.0, 12), (30.0, 2)])
def test_a_redis_that_is_away_does_not_slow_a_training(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cost: float, most: int
) -> None:
    """Once, each second of training published its progress and waited 5 s for the connection."""
    intake.ingest(b'{"experiment_id": "a", "flags": {"data": {"source": "GB1"}}}')
    current = intake.state.latest("a")
    assert current is not None
    away = Away(cost)
    monkeypatch.setattr(publishing, "time", away)
    monkeypatch.setattr(publishing, "master_line", lambda _settings: away)
    tell = progress_publisher(intake.settings, current)
    for _ in range(600):  # ten minutes of training
        away.now += 1
        tell("train", 0.5, "epoch 1/2")
    assert 1 < away.tries <= most
    assert len(caplog.messages) == away.tries


def test_progress_is_told_again_when_redis_is_back(
    settings: Settings, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.ingest(b'{"experiment_id": "a", "flags": {"data": {"source": "GB1"}}}')
    current = intake.state.latest("a")
    assert current is not None
    away = Away(0.0)
    monkeypatch.setattr(publishing, "time", away)
    tell = progress_publisher(settings, current)
    with monkeypatch.context() as broken:
        broken.setattr(publishing, "master_line", lambda _settings: away)
        tell("train", 0.25, "")
    away.now += publishing.SILENT_S + 1
    tell("train", 0.5, "epoch 1/2")
    assert connect(settings.redis_url or "").hget("experiments:status:a", "note") == b"epoch 1/2"
