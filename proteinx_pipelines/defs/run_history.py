"""Dagster's run history as the agent sees it: the answers to `node.runs.Runs`."""

from collections.abc import Sequence

import dagster as dg

from proteinx_pipelines.defs.tags import GENERATION, RUN_KEY
from proteinx_pipelines.node.finish import RunEnd

ENDS = {
    dg.DagsterRunStatus.SUCCESS: RunEnd.SUCCESS,
    dg.DagsterRunStatus.CANCELED: RunEnd.CANCELED,
    dg.DagsterRunStatus.FAILURE: RunEnd.FAILURE,
}
"""How each final status of a run ends its attempt."""
_OPEN = [
    dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip


class RunHistory:
    """The runs in one Dagster instance."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def end_of(self, run_id: str) -> RunEnd | None:
        """How a run ended; None while it goes on, or when there is no such run."""
        run = self._instance.get_run_by_id(run_id)
        return ENDS.get(run.status) if run is not None else None

    def end(self, run_id: str, message: str) -> None:
        """Mark a run as failed, if it has not ended."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            self._instance.report_run_failed(run, message=message)

    def launch(self, run_id: str) -> None:
        """Queue a run for the run host once more; one that has begun or ended stays as it is."""
        from proteinx_pipelines.defs.tasks import send_run

        send_run(run_id)

    def open_attempts(self) -> Sequence[tuple[str, str]]:
        """(run id, run key) of the queue's runs that have not ended."""
        found = self._instance.get_runs(dg.RunsFilter(statuses=_OPEN))
        return [
            (run.run_id, run.tags[RUN_KEY]) for run in found if GENERATION in run.tags and RUN_KEY in run.tags
        ]
