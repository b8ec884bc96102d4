"""The reconciler: finds executions without a process or without progress; nothing else starts one again.

It looks at `state.db`, at process ids and at the run history, never at Redis, and does nothing that would be wrong
to do twice: every decision names its attempt, and `state.db` refuses the decision when that attempt is over.
"""

import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.ledger.generation import MAX_BACKOFF_S, Generation, Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.attempt_end import (
    MAX_LOSSES,
    RunEnd,
    finish_attempt,
    finish_generation,
)
from proteinx_pipelines.node.lifecycle.oom import was_killed_for_memory
from proteinx_pipelines.node.lifecycle.runs import HandRun, Runs
from proteinx_pipelines.node.lifecycle.stopper import GRACE_S
from proteinx_pipelines.node.processes.births import cpu_seconds, is_child, kill_tree
from proteinx_pipelines.node.processes.ready_parts import pid_of, process_of
from proteinx_pipelines.node.talking.connections import broker_answers
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
HANG_S = 60.0
"""Seconds without progress and without processor time after which a process is stuck."""
START_LIMIT_S = 60.0
"""Seconds after which an attempt that could begin and has not gets a new run."""
LAUNCH_AGAIN_S = 5.0
"""Seconds after which a run that could begin and has not is queued once more."""
IDLE_HOST_S = 2 * START_LIMIT_S
"""Seconds after which a run host that could begin a run and does not is stuck: a new run did not help."""
MOST_FREED = 2
"""Most kills of a worker that does not take the stages of one attempt, before the attempt is given up."""
ENDED_S = 5.0
"""Seconds that the run host has to turn the end of a run into a result before the reconciler does it."""
_IDLE_CPU_S = 0.3  # a waiting process uses this much: its threads wake up now and then

Clock = Callable[[], float]


@dataclass
class Reconciler:
    """Compares the executions that should run with those that do."""

    settings: Settings
    state: Ledger
    runs: Runs
    clock: Clock = time.monotonic
    _since: dict[tuple[str, str], tuple[Hashable, float]] = field(default_factory=dict)
    _cpu: dict[int, float] = field(default_factory=dict)
    _launched_at: dict[str, float] = field(default_factory=dict)
    _freed: dict[str, int] = field(default_factory=dict)
    """Run key -> number of kills of workers that did not take its stages."""
    _seen_running: set[str] = field(default_factory=set)
    """Run keys of the attempts that ran at the last look."""
    _after_a_stop: bool = False

    def begin(self) -> None:
        """At the start of the node: end runs that no process executes any more, and queue those that wait once more.

        Notes whether the node was stopped cleanly.
        """
        marker = self.settings.paths.stopped_cleanly
        self._after_a_stop = marker.exists()
        self.look()
        self._after_a_stop = False
        marker.unlink(missing_ok=True)
        open_keys = {current.run_key for current in self.state.in_state("RUNNING", "PENDING")}
        for run_id, run_key in self.runs.open_attempts():
            if run_key not in open_keys:
                self.runs.end(run_id, "Its attempt is over.")
        for current in self.state.in_state("PENDING"):  # before any new one: their messages may be gone
            if current.run_id is not None:
                self._launch(current, current.run_id)

    def stopped_cleanly(self) -> None:
        """At a clean stop of the node: current attempts are not lost and do not count as losses when they continue."""
        (self.settings.paths.stopped_cleanly).touch()

    def look(self) -> None:
        """Check everything once."""
        running = self.state.in_state("RUNNING")
        for current in running:
            why = self._why_lost(current)
            if why is not None:
                self._lost(current, why)
        self._send_overtaken(running)
        if running or self._works_by_hand():  # the runs behind these wait for a reason
            waits = ("launch", "begins")
            self._since = {key: value for key, value in self._since.items() if key[1] not in waits}
            return
        launched = [current for current in self.state.in_state("PENDING") if current.run_id is not None]
        for current in launched:
            self._push(current)
        self._free_idle_host(bool(launched))

    # ------------------------------------------------------------------ what runs
    def _why_lost(self, current: Generation) -> str | None:
        """Reason why an attempt will not end by itself, or None."""
        if current.host_pid != process_of(self.settings, "host"):
            return "the run host that executed it is gone"
        if self._has_ended(current):
            return None
        worker = pid_of(self.settings, "worker")
        if current.worker_pid is None:
            # A restarted worker gets the whole time; while there is no worker, the time stands still.
            still = self._still(current.run_key, "begin", (current.beat_at, worker, worker or self.clock()))
            return self._why_not_begun(current, worker) if still > START_LIMIT_S else None
        if not self._is_step_process(current.worker_pid):
            return "the process that executed its stages is gone"
        return "its process has done nothing for a minute" if self._is_stuck(current) else None

    def _why_not_begun(self, current: Generation, worker: int | None) -> str | None:
        """Reason to end an attempt whose first stage should have begun; None where a hanging worker is to blame.

        The run host sends the steps again to the replacement worker: the attempt goes on.
        """
        if worker is not None and self.state.step_process(current.run_id or "") is None:
            freed = self._freed.get(current.run_key, 0)
            if freed < MOST_FREED:
                if self._free("worker", worker):
                    self._freed = {current.run_key: freed + 1}
                else:
                    self._since.pop((current.run_key, "begin"), None)  # Redis is away: the time stands still
                return None
        return f"no stage began within {START_LIMIT_S:.0f} s"

    def _has_ended(self, current: Generation) -> bool:
        """Finish an attempt whose run has ended, when the run host did not do so."""
        end = self.runs.end_of(current.run_id or "")
        if end is None:
            return False
        if self._still(current.run_key, "end", end) > ENDED_S:
            log.warning("%s: its run ended as %s and has no result yet.", current.run_key, end.value)
            finish_attempt(self.settings, self.state, current, end)
        return True

    def _is_stuck(self, current: Generation) -> bool:
        """True if a process neither reports progress nor uses the processor: it is stopped, or waits for ever."""
        assert current.worker_pid is not None
        used, before = cpu_seconds(current.worker_pid), self._cpu.get(current.worker_pid, 0.0)
        if abs(used - before) > _IDLE_CPU_S:
            self._cpu = {current.worker_pid: used}
            before = used
        return (
            self._still(current.run_key, "progress", (current.worker_pid, current.beat_at, before)) > HANG_S
        )

    def _still(self, of: str, question: str, value: Hashable) -> float:
        """Seconds for which the answer to a question about an attempt or a run has been the same."""
        key = (of, question)
        known, since = self._since.get(key, (None, 0.0))
        if known != value or key not in self._since:
            since = self.clock()
            self._since[key] = (value, since)
        return self.clock() - since

    # ------------------------------------------------------------------ runs started by hand
    def _works_by_hand(self) -> bool:
        """True if the run host executes a run of the web interface; ends a run that will not end by itself."""
        runs = self.runs.by_hand()
        open_ids = {run.run_id for run in runs}
        about_runs = ("gone", "stopping")
        self._since = {
            key: value for key, value in self._since.items() if key[1] not in about_runs or key[0] in open_ids
        }
        for run in runs:
            why = self._why_ended_by_hand(run)
            if why is not None:
                log.warning("Run %s, started by hand: %s.", run.run_id, why)
                self.runs.end(run.run_id, f"Ended by the node: {why}.")
        return bool(runs)

    def _why_ended_by_hand(self, run: HandRun) -> str | None:
        pid = self.state.step_process(run.run_id)
        works = pid is not None and self._is_step_process(pid)
        if pid is not None and not works and self._still(run.run_id, "gone", pid) > ENDED_S:
            return "the process that executed its stages is gone"
        if run.is_stopping and self._still(run.run_id, "stopping", pid) > GRACE_S:
            if pid is None:
                return "it was asked to stop, and no stage had begun"
            if works:  # the run host waits for this task; it sees the worker's end and ends the run
                kill_tree(pid)
        return None

    # ------------------------------------------------------------------ what waits
    def _send_overtaken(self, running: list[Generation]) -> None:
        """Queue runs once more that one behind them has overtaken: it would wait for as long as others come.

        The run host's queue keeps its order, so that the message of an overtaken one got lost: with the queue of an
        earlier program, or of a Redis that came back with an older state.
        """
        begun = {current.run_key for current in running}
        if begun <= self._seen_running:
            self._seen_running = begun
            return
        self._seen_running = begun
        line = self.state.in_state("RUNNING", "PENDING")
        last = max((place for place, each in enumerate(line) if each.run_key in begun), default=0)
        for current in line[:last]:
            if current.state == "PENDING" and current.run_id is not None:
                self._launch(current, current.run_id)

    def _push(self, current: Generation) -> None:
        """Queue a waiting run once more: its message got lost between Dagster, Celery and the run host."""
        assert current.run_id is not None
        waited = self._still(current.run_key, "launch", current.run_id)
        if waited > START_LIMIT_S or self.runs.end_of(current.run_id) is not None:
            self._again(current, "its run did not begin")
        elif (
            waited > LAUNCH_AGAIN_S
            and self.clock() - self._launched_at.get(current.run_id, 0) > LAUNCH_AGAIN_S
        ):
            self._launch(current, current.run_id)

    def _launch(self, current: Generation, run_id: str) -> None:
        """Queue a run once more; harmless where its message is there after all."""
        self._launched_at[run_id] = self.clock()
        try:
            self.runs.launch(run_id)
        except QueueUnavailable as error:
            log.warning("%s: its run is queued once more when Redis is back: %s", current.run_key, error)

    # ------------------------------------------------------------------ parts
    def _free_idle_host(self, waits: bool) -> None:
        """Kill a run host that lives and begins nothing, although runs wait and none is running."""
        host = pid_of(self.settings, "host")
        if not waits or host is None:
            self._since.pop(("host", "begins"), None)
        elif self._still("host", "begins", host) > IDLE_HOST_S:
            self._free("host", host)
            self._since.pop(("host", "begins"), None)

    def _free(self, part: str, pid: int) -> bool:
        """Kill a part that makes no progress, for the supervisor to replace. Not while Redis is away."""
        if not broker_answers(self.settings):
            return False
        log.warning("%s (process %d) takes no work; killing it.", part, pid)
        kill_tree(pid)
        return True

    # ------------------------------------------------------------------ again
    def _again(self, current: Generation, why: str) -> None:
        """Request a new run for an attempt that never began: the experiment is not to blame, whatever the reason."""
        log.warning("%s: %s.", current.run_key, why)
        delay = min(MAX_BACKOFF_S, float(current.attempt - 1))
        self.state.retry(current, delay_s=delay, reason=why, counts=None)
        self._forget(current, why)

    def _lost(self, current: Generation, why: str) -> None:
        log.warning("%s: %s.", current.run_key, why)
        self._kill_step_process(current)
        known = current.error_code is not None or was_killed_for_memory(self.settings, current)
        if current.cancel_requested or known:
            finish_attempt(self.settings, self.state, current, RunEnd.FAILURE)
        elif current.losses >= MAX_LOSSES:
            message = f"The node lost this experiment {MAX_LOSSES + 1} times; the last time {why}."
            finish_generation(self.settings, self.state, current, Outcome("FAILED", "worker_lost", message))
        else:
            reason = "the node was stopped" if self._after_a_stop else why
            delay = 0.0 if self._after_a_stop else min(MAX_BACKOFF_S, float(current.losses))
            counts = None if self._after_a_stop else False
            self.state.retry(current, delay_s=delay, reason=reason, counts=counts)
        self._forget(current, why)

    def _forget(self, current: Generation, why: str) -> None:
        self._since = {key: value for key, value in self._since.items() if key[0] != current.run_key}
        if current.run_id is not None:
            self._launched_at.pop(current.run_id, None)
            self.runs.end(current.run_id, f"Attempt {current.attempt}: {why}.")

    def _kill_step_process(self, current: Generation) -> None:
        """Kill the step process of a lost attempt: its work is useless and would make the next attempt wait."""
        if current.worker_pid is not None and self._is_step_process(current.worker_pid):
            kill_tree(current.worker_pid)

    def _is_step_process(self, pid: int) -> bool:
        """True if a process is our worker's; a process that later got the same number does not count."""
        worker = process_of(self.settings, "worker")
        return worker is not None and is_child(pid, worker)
