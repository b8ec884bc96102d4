"""The agent: heartbeats, undelivered results, cancel requests, and the reconciler that nothing escapes.

It runs in a process of its own and computes nothing, so that a busy or hung worker cannot silence it. The reconciler is
the only one that starts an execution again; it looks at `state.db` and at process ids, never at Redis.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.node.finish import MAX_LOSSES, finish_generation
from proteinx_pipelines.node.line import master_line
from proteinx_pipelines.node.nudge import was_asked_to_reconcile
from proteinx_pipelines.node.outbox import deliver_results
from proteinx_pipelines.node.parts import PARTS, is_ready, pid_of
from proteinx_pipelines.node.usage import gpu_usage, machine_usage
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.state.generation import Generation, Outcome
from proteinx_pipelines.state.store import StateStore

log = logging.getLogger(__name__)
ROUND_S = 0.5
"""Pause between two rounds (cancels, results), in seconds."""
HEARTBEAT_S = 5.0
"""Seconds between two heartbeats."""
RECONCILE_S = 10.0
"""Seconds between two looks at what runs."""
GRACE_S = 10.0
"""Seconds that a cancelled or timed-out stage has to stop by itself before its process is killed."""
START_LIMIT_S = 60.0
"""Seconds after which a run that was created and has not begun is requested again."""

EndRun = Callable[[str, str], None]
"""(run id, message): mark a Dagster run as failed, if it has not ended."""


@dataclass
class Agent:
    """One node's agent."""

    settings: Settings
    state: StateStore
    end_run: EndRun
    stopping: threading.Event = field(default_factory=threading.Event)
    _stop_asked_at: dict[str, float] = field(default_factory=dict)
    _waiting_since: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Work until `stopping` is set; then take the heartbeat away."""
        beat_at = reconcile_at = 0.0
        while not self.stopping.is_set():
            now = time.monotonic()
            try:
                self.cancel_requested()
                deliver_results(self.settings, self.state)
                if now >= beat_at and self.beat():
                    beat_at = now + HEARTBEAT_S
            except QueueUnavailable as error:
                log.warning("%s", error)
                self.stopping.wait(1.0)
            self.stop_overdue()
            if now >= reconcile_at or was_asked_to_reconcile(self.settings):
                reconcile_at = now + RECONCILE_S
                self.reconcile()
            self.stopping.wait(ROUND_S)
        try:
            master_line(self.settings).stop_beating()
        except QueueUnavailable:
            log.info("Redis is gone; the heartbeat ends by itself within seconds.")

    # ------------------------------------------------------------------ heartbeat
    def beat(self) -> bool:
        """Renew the heartbeat, if the node can run a message; whether it can."""
        if not all(is_ready(self.settings, part) for part in PARTS):
            return False
        running = next(iter(self.state.in_state("RUNNING", limit=1)), None)
        line = master_line(self.settings)
        line.beat(
            {
                "node": self.settings.node_name,
                "time": timestamp(),
                "worker_pid": pid_of(self.settings, "worker"),
                "state": "idle" if running is None else "busy",
                "experiment_id": running.experiment_id if running else None,
                "generation": running.generation if running else None,
                "stage": running.stage if running else None,
                "progress": running.progress if running else None,
                "note": running.note if running else None,
                "last_progress_at": running.beat_at if running else None,
                "experiments": self.state.counts(),
                **machine_usage(),
            },
            {"node": self.settings.node_name, "time": timestamp(), "gpus": gpu_usage(), **machine_usage()},
        )
        waiting = self.state.in_state("PENDING", limit=1000)
        line.positions({current.experiment_id: place for place, current in enumerate(waiting, start=1)})
        return True

    # ------------------------------------------------------------------ cancel and time limits
    def cancel_requested(self) -> None:
        """Take the Master's cancels and pass them to the experiments they name."""
        for experiment_id in master_line(self.settings).cancel_requests():
            self.cancel(experiment_id)

    def cancel(self, experiment_id: str) -> bool:
        """Cancel an experiment: at once while it waits, through its worker while it runs; false when it is not open."""
        current = self.state.request_cancel(experiment_id)
        if current is None:
            log.warning("Cancel of %r: no such experiment is open.", experiment_id[:120])
            return False
        if current.state == "PENDING" and current.run_id is None:
            outcome = Outcome("CANCELLED", "cancelled", "Cancelled before it started.")
            finish_generation(self.settings, self.state, current, outcome)
        return True

    def stop_overdue(self) -> None:
        """Kill the process of a stage that was told to stop and did not."""
        now = time.time()
        for current in self.state.in_state("RUNNING"):
            key = current.run_key
            overdue = current.cancel_requested or (current.deadline is not None and now > current.deadline)
            if not overdue:
                self._stop_asked_at.pop(key, None)
                continue
            asked = self._stop_asked_at.setdefault(key, now)
            if now - asked > GRACE_S and current.worker_pid is not None:
                if not current.cancel_requested and current.token is not None:
                    message = f"`run.timeout_s` passed during {current.stage}; its process was killed."
                    self.state.note_error(current.token, "timeout", message, "")
                self._kill(current.worker_pid)
                self._stop_asked_at[key] = now

    def _kill(self, pid: int) -> None:
        worker = pid_of(self.settings, "worker")
        # Only a child of our own worker: the number may belong to another program by now.
        if worker is None or not _is_child(pid, worker):
            return
        log.warning("Killing step process %d: it did not stop by itself.", pid)
        try:
            process = psutil.Process(pid)
            for child in process.children(recursive=True):
                child.kill()
            process.kill()
        except psutil.NoSuchProcess:
            return

    # ------------------------------------------------------------------ reconciler
    def reconcile(self) -> None:
        """Find attempts whose processes are gone and runs that never began, and start them again."""
        for current in self.state.in_state("RUNNING"):
            why = self._why_lost(current)
            if why is not None:
                self._lost(current, why)
        for current in self.state.in_state("PENDING"):
            self._reconcile_waiting(current)

    def _why_lost(self, current: Generation) -> str | None:
        host, worker = pid_of(self.settings, "host"), pid_of(self.settings, "worker")
        if host is None or current.host_pid != host:
            return "the run host that executed it is gone"
        if worker is None:
            return None  # the supervisor starts another one; until then nothing can be said
        if current.worker_pid is not None:
            return (
                None
                if _is_child(current.worker_pid, worker)
                else "the process that executed its stages is gone"
            )
        silent_s = time.time() - (current.beat_at or 0.0)
        return f"no stage began within {START_LIMIT_S:.0f} s" if silent_s > START_LIMIT_S else None

    def _reconcile_waiting(self, current: Generation) -> None:
        """A run that was created and never begins: its launch got lost between Dagster and Celery."""
        if current.run_id is None or self.state.in_state("RUNNING", limit=1):
            self._waiting_since.pop(current.run_key, None)
            return
        since = self._waiting_since.setdefault(current.run_key, time.monotonic())
        if time.monotonic() - since > START_LIMIT_S:
            self._lost(current, f"its run did not begin within {START_LIMIT_S:.0f} s")

    def _lost(self, current: Generation, why: str) -> None:
        log.warning("%s: %s; it starts again.", current.run_key, why)
        if current.cancel_requested:
            outcome = Outcome("CANCELLED", "cancelled", "The experiment was cancelled.")
            finish_generation(self.settings, self.state, current, outcome)
        elif current.losses >= MAX_LOSSES:
            message = f"The node lost this experiment {MAX_LOSSES} times; the last time {why}."
            finish_generation(self.settings, self.state, current, Outcome("FAILED", "worker_lost", message))
        else:
            self.state.retry(current, delay_s=float(current.losses), reason=why, counts=False)
        if current.run_id is not None:
            self.end_run(current.run_id, f"Attempt {current.attempt}: {why}.")


def _is_child(pid: int, parent: int) -> bool:
    if pid == parent:
        return True  # Celery's solo pool: the worker executes the stages itself
    try:
        return psutil.Process(pid).ppid() == parent
    except psutil.NoSuchProcess:
        return False
