"""Dagster's run history as the agent sees it: implements `node.lifecycle.runs.Runs`."""

from collections.abc import Sequence

import dagster as dg
from celery.exceptions import OperationalError

from proteinx_pipelines.defs.sending import send_run
from proteinx_pipelines.defs.tags import GENERATION, RUN_KEY
from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd
from proteinx_pipelines.node.lifecycle.runs import HandRun

ENDS = {
    dg.DagsterRunStatus.SUCCESS: RunEnd.SUCCESS,
    dg.DagsterRunStatus.CANCELED: RunEnd.CANCELED,
    dg.DagsterRunStatus.FAILURE: RunEnd.FAILURE,
}
"""Final status of a run -> end of its attempt."""
_BEGUN = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, *_BEGUN,
]  # fmt: skip
"""The statuses of a run that has not ended."""


class RunHistory:
    """The runs in one Dagster instance."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def end_of(self, run_id: str) -> RunEnd | None:
        """Final state of a run; None while it goes on, or when there is no such run."""
        run = self._instance.get_run_by_id(run_id)
        return ENDS.get(run.status) if run is not None else None

    def end(self, run_id: str, message: str) -> None:
        """Mark a run as failed, if it has not ended."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            self._instance.report_run_failed(run, message=message)

    def launch(self, run_id: str) -> None:
        """Queue a run for the run host once more; one that has begun or ended stays as it is.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        try:
            send_run(run_id)
        except OperationalError as error:
            raise QueueUnavailable(f"Redis did not answer while queueing run {run_id}: {error}") from error

    def open_attempts(self) -> Sequence[tuple[str, str]]:
        """(run id, run key) of the queue's runs that have not ended."""
        found = self._instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        return [
            (run.run_id, run.tags[RUN_KEY]) for run in found if GENERATION in run.tags and RUN_KEY in run.tags
        ]

    def by_hand(self) -> Sequence[HandRun]:
        """The runs started in the web interface that have begun and have not ended."""
        found = self._instance.get_runs(dg.RunsFilter(statuses=_BEGUN))
        return [
            HandRun(run.run_id, run.status is dg.DagsterRunStatus.CANCELING)
            for run in found
            if GENERATION not in run.tags
        ]

    def end_left_behind(self) -> None:
        """At the start of the one run host: end runs started by hand that an earlier run host executed.

        The queue's runs are not touched: the reconciler sees that their host is gone, and starts them again.
        """
        for run in self.by_hand():
            self.end(run.run_id, "The run host that executed it is gone.")
