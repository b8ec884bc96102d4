"""Work of the run host on a run: begin the attempt, run Dagster's loop, finish the attempt."""

import os

import dagster as dg

from proteinx_pipelines.defs.private import execution
from proteinx_pipelines.defs.run_history import ENDS
from proteinx_pipelines.defs.tags import identity_of
from proteinx_pipelines.defs.unrun_stages import report_left_out
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd, finish_attempt
from proteinx_pipelines.node.lifecycle.oom import count_oom_kills
from proteinx_pipelines.settings import Settings


def host_run(instance: dg.DagsterInstance, settings: Settings, state: Ledger, run_id: str) -> None:
    """Execute one run from its launch to its result."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return
    identity = identity_of(run.tags)
    if identity.generation is None:
        execution.execute_run(instance, run_id)
        return
    current = state.generation(identity.experiment_id, identity.generation)
    token = None
    if current is not None:
        timeout_s = settings.time_limit(current.tree.run.timeout_s)
        token = state.begin(
            current.experiment_id, current.generation, identity.attempt, run_id=run_id, host_pid=os.getpid(),
            timeout_s=timeout_s, oom_kills=count_oom_kills(settings),
        )  # fmt: skip
    if current is None or token is None:
        # Cancelled while it waited, already run, or superseded by a later attempt: this run must not start.
        instance.report_run_canceled(run, message="This attempt is no longer wanted.")
        return
    report_left_out(instance, settings, current)
    execution.execute_run(instance, run_id)
    finish_run(instance, settings, state, run_id)


def finish_run(instance: dg.DagsterInstance, settings: Settings, state: Ledger, run_id: str) -> None:
    """Turn the end of a run into the attempt's end: terminal state and result, or a retry."""
    current = state.by_run(run_id)
    run = instance.get_run_by_id(run_id)
    if current is None or run is None or current.state != "RUNNING":
        return
    finish_attempt(settings, state, current, ENDS.get(run.status, RunEnd.FAILURE))
