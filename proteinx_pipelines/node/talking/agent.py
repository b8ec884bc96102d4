"""The agent: heartbeats, undelivered results, cancels, time limits, and the reconciler.

It runs in a process of its own and computes nothing, so that a busy or hung worker cannot silence it.
"""

import contextlib
import logging
import threading
import time
from dataclasses import dataclass, field

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.heartbeat import BEAT_EVERY_S, GpuUsage, Heartbeat
from proteinx_pipelines.errors import BackendError, QueueUnavailable, WrongKeyType
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.health.journal import count_in_background
from proteinx_pipelines.node.health.metrics_server import serve_metrics
from proteinx_pipelines.node.lifecycle.capabilities import publishable_capabilities
from proteinx_pipelines.node.lifecycle.disk_reserve import keep_reserve
from proteinx_pipelines.node.lifecycle.lender import Lender
from proteinx_pipelines.node.lifecycle.reconciler import Reconciler
from proteinx_pipelines.node.lifecycle.runs import Runs
from proteinx_pipelines.node.lifecycle.sending import send_in_background
from proteinx_pipelines.node.lifecycle.stopper import Stopper
from proteinx_pipelines.node.lifecycle.telling import tell_in_background
from proteinx_pipelines.node.processes.ready_parts import PARTS, beat, is_ready, pid_of
from proteinx_pipelines.node.talking.connections import master_line, message_claims
from proteinx_pipelines.node.talking.forwarder import forwarder_of
from proteinx_pipelines.node.talking.outbox import deliver_lost, deliver_results, forget_deliveries
from proteinx_pipelines.node.talking.reconcile_request import was_asked_to_reconcile
from proteinx_pipelines.node.talking.usage import disk_usage, gpu_usage, machine_usage
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
ROUND_S = 0.5
"""Pause between two rounds (cancels, results), in seconds."""
RECONCILE_S = 5.0
"""Seconds between two rounds of the reconciler."""
COMPARE_S = 5.0
"""Seconds between two checks that Redis still has the delivered results."""
FORGET_S = 6 * 3600.0
"""Seconds between two removals of old markers of deliveries."""
LENDER_END_S = 5.0
"""Seconds for the end of the ranks that this machine lends."""
TROUBLED_S = 2.0
"""Seconds between two tries while Redis does not answer or the disk is full."""


@dataclass
class Agent:
    """One node's agent."""

    settings: Settings
    state: Ledger
    runs: Runs
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.stopper = Stopper(self.settings, self.state, self.runs)
        self.reconciler = Reconciler(self.settings, self.state, self.runs)
        self.lender = Lender(self.settings)
        self._beat_at = 0.0
        self._sign_at = 0.0
        self._compare_at = 0.0
        self._forget_at = 0.0
        self._reconcile_at: float | None = None

    def run(self) -> None:
        """Work until `stopping` is set; then take the heartbeat away."""
        forwarder = forwarder_of(self.settings, self.state, self.stopping)
        if forwarder is not None:
            forwarder.start()
        send_in_background(self.settings, self.stopping)
        tell_in_background(self.settings, self.stopping)
        count_in_background(self.settings, self.state, self.stopping)
        serve_metrics(self.settings, self.stopping)
        lender = threading.Thread(target=self.lender.run, args=(self.stopping,), name="lender", daemon=True)
        if self.settings.meeting is not None:  # else no Master lends this machine
            lender.start()
        while not self.stopping.is_set():
            # Without Redis the time limits and the reconciler go on; with a full disk, heartbeats do.
            for work in (self._talk, self._watch):
                beat(self.settings, "agent")
                try:
                    work()
                except BackendError as error:
                    log.warning("%s", error)
                    self.stopping.wait(TROUBLED_S)
            self.stopping.wait(ROUND_S)
        self._say_goodbye()
        if lender.is_alive():
            lender.join(LENDER_END_S)

    def _talk(self) -> None:
        """Do the work that needs Redis. A key of the wrong type blocks its own purpose and nothing else."""
        for work in (
            self._sign,
            self._beat,
            self._compare,
            self.stopper.take_cancels,
            self._deliver,
            self._forget,
        ):
            try:
                work()
            except WrongKeyType as error:
                log.warning("%s", error)

    def _sign(self) -> None:
        """Record that a node works in this WORKDIR, ready or not, so that its claims are not taken over meanwhile."""
        if (now := time.monotonic()) >= self._sign_at:
            message_claims(self.settings, self.state.workdir_id()).renew()
            self._sign_at = now + BEAT_EVERY_S

    def _beat(self) -> None:
        if (now := time.monotonic()) >= self._beat_at and self.beat():
            self._beat_at = now + BEAT_EVERY_S

    def _compare(self) -> None:
        if (now := time.monotonic()) >= self._compare_at:
            self._compare_at = now + COMPARE_S
            deliver_lost(self.settings, self.state)

    def _deliver(self) -> None:
        deliver_results(self.settings, self.state)

    def _forget(self) -> None:
        if (now := time.monotonic()) >= self._forget_at:
            forget_deliveries(self.settings)
            self._forget_at = now + FORGET_S

    def _watch(self) -> None:
        """Do the work that needs only `state.db`."""
        self.stopper.end_cancelled()
        self.stopper.end_late()
        self.stopper.stop_overdue()
        asked, now = was_asked_to_reconcile(self.settings), time.monotonic()
        if self._reconcile_at is None:
            self.reconciler.begin()
        elif asked or now >= self._reconcile_at:
            self.reconciler.look()
        else:
            return
        keep_reserve(self.settings)
        self._reconcile_at = now + RECONCILE_S

    def _say_goodbye(self) -> None:
        self.reconciler.stopped_cleanly()
        try:
            master_line(self.settings).stop_beating()
        except QueueUnavailable:
            log.info("Redis is gone; the heartbeat ends by itself within seconds.")

    def beat(self) -> bool:
        """Renew the heartbeat if the node can run a message; true if it can."""
        if not all(is_ready(self.settings, part) for part in PARTS):
            return False
        running = next(iter(self.state.in_state("RUNNING", limit=1)), None)
        line = master_line(self.settings)
        heartbeat = Heartbeat(
            node=self.settings.node_name,
            time=timestamp(),
            worker_pid=pid_of(self.settings, "worker"),
            state="idle" if running is None and self.lender.lending is None else "busy",
            experiment_id=running.experiment_id if running else None,
            generation=running.generation if running else None,
            stage=running.stage if running else None,
            progress=running.progress if running else None,
            note=running.note if running else None,
            last_progress_at=running.beat_at if running else None,
            experiments=self.state.counts(),
            queue=self.settings.queue_name,
            **disk_usage(self.settings.workdir),
            **machine_usage(),
        )
        gpus = gpu_usage()
        usage = GpuUsage(node=self.settings.node_name, time=timestamp(), gpus=gpus, **machine_usage())
        line.beat(heartbeat, usage, publishable_capabilities(self.settings, gpus))
        line.positions(self._positions())
        with contextlib.suppress(OSError):  # read by `/metrics` alone
            self.settings.paths.heartbeat_sent.touch()
        return True

    def _positions(self) -> dict[str, int]:
        """Place in the queue of each waiting experiment, that of its first generation: 1 is next.

        Experiments with a run go first: a few runs are launched ahead, and a higher priority does not move them.
        """
        waiting = self.state.in_state("PENDING", limit=1000)
        waiting.sort(key=lambda current: current.run_id is None)  # stable sort: otherwise the order is kept
        places: dict[str, int] = {}
        for place, current in enumerate(waiting, start=1):
            places.setdefault(current.experiment_id, place)
        return places
