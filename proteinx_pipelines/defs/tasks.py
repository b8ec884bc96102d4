"""The two Celery tasks: the run host's and the step worker's. `defs.sending` sends them."""

import os
from functools import lru_cache
from typing import Any

import dagster as dg
from celery.exceptions import Ignore

from proteinx_pipelines.defs.attempts import (
    attempt_is_current,
    close_attempts,
    node_settings,
    node_state,
    note_failure_event,
)
from proteinx_pipelines.defs.private import execution
from proteinx_pipelines.defs.run_host import host_run
from proteinx_pipelines.node.processes.celery_app import RUN_TASK, STEPS_TASK, current_app

app = current_app()


@lru_cache(maxsize=1)
def node_instance() -> dg.DagsterInstance:
    """This process's Dagster instance, opened once: opening it for each run costs more than a small stage."""
    return dg.DagsterInstance.get()


@app.task(name=STEPS_TASK, bind=True)  # type: ignore[untyped-decorator]
def execute_steps(self: Any, run_id: str, step_keys: list[str], job: dict[str, Any]) -> list[str]:
    """Execute the steps of a run once: a second delivery, or one whose attempt is over, does nothing."""
    run = node_instance().get_run_by_id(run_id)
    if run is None or not attempt_is_current(run):
        raise Ignore
    if not node_state().claim_steps(run_id, step_keys, str(self.request.id), os.getpid()):
        raise Ignore  # stores no result: the result of the first execution is kept
    try:
        return execution.execute_steps(
            node_instance(),
            run_id,
            step_keys,
            job,
            worker=self.request.hostname,
            on_failure=lambda event: note_failure_event(run_id, event),
        )
    finally:
        close_attempts()


@app.task(name=RUN_TASK)  # type: ignore[untyped-decorator]
def execute_run(run_id: str) -> None:
    """Begin the attempt behind a run, execute the run, and turn its end into a state and a result."""
    host_run(node_instance(), node_settings(), node_state(), run_id)
