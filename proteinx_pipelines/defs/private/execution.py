"""Sends, executes and awaits the steps of a run, and sets the pace of the sensor daemon.

* `NodeExecutor` subclasses dagster-celery's `CeleryExecutor`, whose loop sleeps a second a step and sends steps one by
  one; ours sends all chosen steps of a run as one task to the one step worker, and waits without polling.
* `execute_steps` does the work of dagster-celery's own task, for several steps at once.
* `execute_run` is the loop of a launched run, here in a warm process.
* `quicken_sensor_daemon`: Dagster starts rounds of sensors five seconds apart. The sensor of this project blocks on
  Redis inside its tick, so the loop needs no pause of its own.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from celery.exceptions import OperationalError
from celery.exceptions import TimeoutError as CeleryTimeout
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.api import create_execution_plan, execute_plan_iterator
from dagster._core.execution.retries import RetryMode
from dagster._serdes import deserialize_value, serialize_value
from dagster_celery.executor import CeleryExecutor

WAIT_SLICE_S = 1.0
"""Seconds that the run loop waits for the steps before it checks that it should go on."""
SEND_AGAIN_S = 5.0
"""Seconds that steps may stay unclaimed before they are sent again: a worker that dies takes its message along."""


class StepsFailedError(Exception):
    """The task that executed the steps did not return a result."""


class NodeExecutor(CeleryExecutor):
    """dagster-celery's executor, sending a run's chosen steps as one task."""

    def __init__(
        self,
        send: Callable[..., Any],
        may_go_on: Callable[[Any], bool],
        begun: Callable[[Any], bool] = lambda _run: True,
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            retries=RetryMode.DISABLED, broker="unused://", backend="unused://"
        )
        self._send = send
        self._may_go_on = may_go_on
        self._begun = begun

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[DagsterEvent]:
        """Send the steps, wait for them, and yield the events that decide how the run ends."""
        run = plan_context.dagster_run
        keys = [step.key for level in execution_plan.get_steps_to_execute_by_level() for step in level]
        if not keys:
            return
        task = {"run_id": run.run_id, "step_keys": keys, "job": plan_context.reconstructable_job.to_dict()}
        result = self._send(**task)
        yield DagsterEvent.engine_event(
            plan_context,
            f"Sent {', '.join(keys)} to the step worker as one task.",
            EngineEventData({"celery task": result.id}),
        )
        yield from self._wait(plan_context.instance, run.run_id, result, task)

    def _wait(
        self, instance: dg.DagsterInstance, run_id: str, result: Any, task: Mapping[str, Any]
    ) -> Iterator[DagsterEvent]:
        away = tuple(result.backend.connection_errors)
        sent_at = time.monotonic()
        while True:
            try:
                # The run host is itself a Celery worker; it waits for another worker's queue, so no deadlock.
                events = result.get(timeout=WAIT_SLICE_S, disable_sync_subtasks=False)
                break
            except CeleryTimeout:
                pass
            except away:
                # Redis is away; the steps go on without it, and their result is fetched when it is back.
                time.sleep(WAIT_SLICE_S)
            run = instance.get_run_by_id(run_id)
            if run is None or not self._may_go_on(run):
                raise StepsFailedError("This attempt was superseded while its steps were running.")
            if time.monotonic() - sent_at > SEND_AGAIN_S and not self._begun(run):
                # The same task: the copy that comes first claims the steps, the other does nothing.
                with contextlib.suppress(*away, OperationalError):
                    self._send(**task, task_id=result.id)
                sent_at = time.monotonic()
        result.forget()
        for text in events:
            yield deserialize_value(text, DagsterEvent)


def execute_steps(
    instance: dg.DagsterInstance, run_id: str, step_keys: Sequence[str], job: Mapping[str, Any], *, worker: str,
    on_failure: Callable[[DagsterEvent], None],
) -> list[str]:  # fmt: skip
    """Execute some steps of a run in this process; returns their failure events, serialised."""
    recon_job = ReconstructableJob.from_dict(dict(job))
    run = instance.get_run_by_id(run_id)
    if run is None:
        raise StepsFailedError(
            f"Run {run_id} is not in this instance; is DAGSTER_HOME the same in every process?"
        )
    plan = create_execution_plan(recon_job, run.run_config, step_keys_to_execute=list(step_keys))
    instance.report_engine_event(
        f"Executing {', '.join(step_keys)} in the step worker.",
        run,
        EngineEventData({"worker": worker}),
        NodeExecutor,
    )
    failures = []
    for event in execute_plan_iterator(
        execution_plan=plan,
        job=recon_job,
        dagster_run=run,
        instance=instance,
        retry_mode=RetryMode.DISABLED,
        run_config=run.run_config,
    ):
        if event.is_step_failure or event.is_resource_init_failure:
            on_failure(event)
            failures.append(serialize_value(event))
    return failures


def execute_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Run the loop of a launched run in this process; its events go to the instance, its failure too."""
    from dagster._cli.api import _execute_run_command_body

    _execute_run_command_body(run_id, instance, lambda _event: None, set_exit_code_on_failure=False)
