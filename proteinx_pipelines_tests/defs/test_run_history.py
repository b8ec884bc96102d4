"""The agent's queries to Dagster's history, when something that it needs is away."""

import json

import dagster as dg
import pytest
import redis

from proteinx_pipelines.defs import sending
from proteinx_pipelines.defs.run_history import RunHistory
from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.node.processes.celery_app import RUN_TASK, make_app, runs_queue
from proteinx_pipelines.node.processes.ports import free_port
from proteinx_pipelines.settings import load_settings


def test_a_broker_that_is_away_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's own error ended the agent, which started again and tried the same."""
    nobody = load_settings({"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"})
    monkeypatch.setattr(sending, "current_app", lambda: make_app(nobody))
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(QueueUnavailable, match="run-1"):
        RunHistory(instance).launch("run-1")


def test_a_run_is_sent_by_its_name_to_the_run_hosts_queue(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender loads no task: both ends share only the name and the queue."""
    settings = load_settings({"REDIS_URL": redis_url, "PROTEINX_NODE_NAME": "sender"})
    monkeypatch.setattr(sending, "current_app", lambda: make_app(settings))
    with dg.DagsterInstance.ephemeral() as instance:
        RunHistory(instance).launch("run-1")
    waiting = redis.Redis.from_url(redis_url).lrange(
        f"proteinx:{settings.node_name}:{runs_queue(settings)}", 0, -1
    )
    assert [json.loads(message)["headers"]["task"] for message in waiting] == [RUN_TASK]
