"""The job's executor: dagster-celery's, sending all chosen steps of a run to the step worker as one task."""

import dagster as dg

from proteinx_pipelines.defs.private.execution import NodeExecutor
from proteinx_pipelines.defs.sending import send_steps


@dg.executor(name="celery", requirements=dg.multiple_process_executor_requirements())
def node_executor(_context: dg.InitExecutorContext) -> NodeExecutor:
    """Steps run one after another in the node's step worker (Celery, concurrency 1)."""
    from proteinx_pipelines.defs.attempts import attempt_is_current, node_state

    return NodeExecutor(
        send=send_steps,
        may_go_on=attempt_is_current,
        begun=lambda run: node_state().steps_are_claimed(run.run_id),
    )
