"""Interface to Dagster's run history: query outcomes, fail a run, relaunch a run.

The history itself is Dagster's; `defs.run_history` answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd


@dataclass(frozen=True)
class HandRun:
    """A run started in the web interface and executed by the run host; `state.db` has no row for it."""

    run_id: str
    is_stopping: bool
    """True if somebody has asked it to stop."""


class Runs(Protocol):
    """The runs of this node."""

    def end_of(self, run_id: str) -> RunEnd | None:
        """Final state of a run; None while it goes on, or when there is no such run."""

    def end(self, run_id: str, message: str) -> None:
        """Mark a run as failed, if it has not ended."""

    def launch(self, run_id: str) -> None:
        """Queue a run for the run host once more; one that has begun or ended stays as it is.

        Raises:
            QueueUnavailable: Redis did not answer.
        """

    def open_attempts(self) -> Sequence[tuple[str, str]]:
        """(run id, run key) of the queue's runs that have not ended."""

    def by_hand(self) -> Sequence[HandRun]:
        """Runs started in the web interface that have begun and have not ended; normally at most one."""
