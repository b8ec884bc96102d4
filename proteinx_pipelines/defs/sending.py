"""Sends the node's two Celery tasks by their names.

A sender need not load the code that executes a task: the launcher, the executor and the run history send,
`defs.tasks` executes. The arguments are names, never objects.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from proteinx_pipelines.node.processes.celery_app import RUN_TASK, STEPS_TASK, current_app


def send_steps(
    run_id: str, step_keys: Sequence[str], job: Mapping[str, Any], task_id: str | None = None
) -> Any:
    """Queue steps for the step worker; returns Celery's result object. With `task_id`, sends the same task once more.

    Raises:
        celery.exceptions.OperationalError: Redis did not answer.
    """
    kwargs = {"run_id": run_id, "step_keys": list(step_keys), "job": dict(job)}
    return current_app().send_task(STEPS_TASK, kwargs=kwargs, task_id=task_id)


def send_run(run_id: str) -> None:
    """Queue a run for the run host.

    Raises:
        celery.exceptions.OperationalError: Redis did not answer.
    """
    current_app().send_task(RUN_TASK, kwargs={"run_id": run_id}, ignore_result=True)
