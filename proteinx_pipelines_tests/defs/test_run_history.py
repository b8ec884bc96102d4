"""What the agent asks of Dagster's history, when something that it needs is away."""

import importlib
from typing import Any

import dagster as dg
import pytest
from celery.exceptions import OperationalError

from proteinx_pipelines.defs.run_history import RunHistory
from proteinx_pipelines.errors import QueueUnavailable


def test_a_broker_that_is_away_is_an_error_of_ours(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's own error ended the agent, which started again and tried the same."""
    monkeypatch.setenv("REDIS_URL", redis_url)  # the tasks' application wants an address
    tasks = importlib.import_module("proteinx_pipelines.defs.tasks")

    def away(**_: Any) -> None:
        raise OperationalError("Error 111 connecting to localhost:6379. Connection refused.")

    monkeypatch.setattr(tasks.execute_run, "apply_async", away)
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(QueueUnavailable, match="run-1"):
        RunHistory(instance).launch("run-1")
