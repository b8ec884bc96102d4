"""Enforces cancels and time limits: asks the stage first, and kills its process when it does not react.

A stage learns of both when it reports progress (`execution.monitor`), within about a second. A stage that does not
report is killed `GRACE_S` seconds later; the end of the run then says why.
"""

import logging
import time
from dataclasses import dataclass, field

from proteinx_pipelines.experiment_id import experiment_id_problem
from proteinx_pipelines.ledger.generation import Generation, Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd, finish_attempt, finish_generation
from proteinx_pipelines.node.lifecycle.runs import Runs
from proteinx_pipelines.node.processes.births import is_child, kill_tree
from proteinx_pipelines.node.processes.ready_parts import process_of
from proteinx_pipelines.node.talking.connections import master_line, master_queue
from proteinx_pipelines.queue.answers import CANCELS_AT_ONCE, MasterLine
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
_REMEDY = (
    "Raise `run.timeout_s` (where the node's own limit, PROTEINX_MAX_TIMEOUT_S, allows it), or make the experiment "
    "smaller."
)
_KNOWN_AT_ONCE = 1_000
"""Most cancels of open experiments passed on at once."""
GRACE_S = 10.0
"""Seconds that a cancelled or timed-out stage has to stop by itself before its process is killed."""


@dataclass
class Stopper:
    """Ends cancelled experiments and those that have run too long."""

    settings: Settings
    state: Ledger
    runs: Runs
    _asked_at: dict[str, float] = field(default_factory=dict)
    """Run key -> time when it was first seen to be overdue (monotonic seconds)."""

    def take_cancels(self) -> None:
        """Pass the Master's cancels on to the experiments they name.

        A cancel may overtake its experiment: it stays on the list while waiting messages could be its target. It stays
        there too for another node on the same list, as long as the status says that the experiment is open there.
        Cancels of what is open here come first, however many others stand before them.

        Raises:
            QueueUnavailable: Redis did not answer; the list is looked at again.
        """
        line = master_line(self.settings)
        requests = line.cancel_requests()
        if not requests:
            return
        open_here = self.state.open_ids()
        known = [request for request in requests if request.strip().casefold() in open_here]
        for request in known[:_KNOWN_AT_ONCE]:
            self.state.request_cancel(request.strip())
            line.cancel_taken(request)
        unknown = [request for request in requests if request.strip().casefold() not in open_here]
        self._look_at_unknown(unknown[:CANCELS_AT_ONCE], line)

    def _look_at_unknown(self, requests: list[str], line: MasterLine) -> None:
        """Drop cancels that match nothing; those that may match something later go behind all others."""
        arriving = bool(requests) and self._messages_wait()
        for request in requests:
            experiment_id = request.strip()
            usable = experiment_id_problem(experiment_id) is None
            to_come = usable and arriving and self.state.latest(experiment_id) is None
            if not (to_come or (usable and line.is_open_elsewhere(experiment_id))):
                log.warning("Cancel of %r: no such experiment is open.", request[:120])
                line.cancel_taken(request)
            elif (
                len(requests) == CANCELS_AT_ONCE
            ):  # there may be more: these must not keep them from being seen
                line.cancel_later(request)

    def end_cancelled(self) -> None:
        """End generations that were cancelled before they began."""
        for current in self.state.to_cancel():
            outcome = Outcome("CANCELLED", "cancelled", "Cancelled before it started.")
            finish_generation(self.settings, self.state, current, outcome)
            if current.run_id is not None:
                self.runs.end(current.run_id, "Cancelled before it started.")

    def end_late(self) -> None:
        """End generations that wait for another attempt beyond their time limit: time passes between attempts too."""
        for current in self.state.between_attempts():
            if current.is_late:
                message = f"The time limit passed while it waited for attempt {current.attempt}. {_REMEDY}"
                finish_generation(self.settings, self.state, current, Outcome("FAILED", "timeout", message))
                if current.run_id is not None:
                    self.runs.end(current.run_id, "Its time limit has passed.")

    def stop_overdue(self) -> None:
        """Kill the process of a stage that was asked to stop and did not."""
        running = self.state.in_state("RUNNING")
        overdue = {
            current.run_key: current for current in running if current.cancel_requested or current.is_late
        }
        self._asked_at = {key: self._asked_at.get(key, time.monotonic()) for key in overdue}
        for key, current in overdue.items():
            if time.monotonic() - self._asked_at[key] > GRACE_S:
                self._force(current)
                del self._asked_at[key]

    def _force(self, current: Generation) -> None:
        if not current.cancel_requested and current.token is not None:
            message = (
                f"The time limit passed {'during ' + current.stage if current.stage else 'before a stage began'}; its "
                f"process was killed. {_REMEDY}"
            )
            self.state.note_error(current.token, "timeout", message, "")
        worker = process_of(self.settings, "worker")
        # Only a child of our own worker: the number may belong to another program by now.
        if current.worker_pid is not None and worker is not None and is_child(current.worker_pid, worker):
            log.warning("%s: killing process %d, it did not stop.", current.run_key, current.worker_pid)
            kill_tree(current.worker_pid)
            return  # the run host sees it and ends the attempt
        renewed = self.state.generation(current.experiment_id, current.generation)
        if renewed is not None and renewed.state == "RUNNING" and renewed.attempt == current.attempt:
            finish_attempt(self.settings, self.state, renewed, RunEnd.FAILURE)
            if current.run_id is not None:
                self.runs.end(current.run_id, "Stopped before a stage began.")

    def _messages_wait(self) -> bool:
        """True if undecided messages wait: a cancel may be meant for one of them."""
        queue = master_queue(self.settings)
        return bool(queue.waiting() or queue.claimed())
