"""Decides what may start now: intake, plans, and the look-ahead that keeps the run host busy.

Used by the sensor, which only translates. One process at a time holds a WORKDIR's intake lock: a web server
started by hand beside a running node never takes its messages.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from proteinx_pipelines.errors import ArtifactError, QueueUnavailable
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.document import write_document
from proteinx_pipelines.execution.generations import archive_generation
from proteinx_pipelines.execution.pulling import bring_along
from proteinx_pipelines.experiment_dir.documents import read_report
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.ledger.engine import StateError
from proteinx_pipelines.ledger.generation import Generation, Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.attempt_end import finish_generation, plain_failure, settle, stages_of
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.lifecycle.planning import plan_generation
from proteinx_pipelines.node.lifecycle.suspects import MOST_DEATHS
from proteinx_pipelines.node.processes.locks import PartLock, ProcessLock
from proteinx_pipelines.node.processes.ready_parts import mark_ready
from proteinx_pipelines.node.processes.workdir import prepare_workdir
from proteinx_pipelines.node.talking.connections import master_queue
from proteinx_pipelines.settings import Settings, load_settings

log = logging.getLogger(__name__)
LOOK_AHEAD = 4
"""Most runs that exist and have not ended: the next one is ready when the current one ends."""
BUSY_WAIT_S = 0.25
"""Wait for a message while something runs, in seconds: its end makes room for another."""
RECOVER_S = 5.0
"""Seconds between two looks for messages claimed and not decided."""
IDLE_WAIT_S = 2.0
"""Wait for a message while nothing runs, in seconds."""

Ready = tuple[Generation, tuple[str, ...]]
"""A generation that may start, and the stages its run has to contain."""


@dataclass
class Dispatch:
    """Decides what may start. One per process."""

    settings: Settings
    state: Ledger
    intake: Intake
    lock: ProcessLock
    recover_at: float = field(default=0.0)
    on_unchanged: Callable[[Generation], object] = field(default=lambda _current: None)
    """Called with each generation that ended without a run, because nothing had to be computed."""

    def attach_runs(self, run_of: Callable[[Generation], str | None]) -> None:
        """Remember the runs that Dagster has created for what earlier ticks requested."""
        self.lock.acquire()
        for current in self.state.due(LOOK_AHEAD):
            run_id = run_of(current)
            if run_id is not None:
                self.state.attach_run(current, run_id)

    def wait_for_work(self, seconds: float) -> list[Ready]:
        """Take messages in until something may start, for at most `seconds`.

        Raises:
            NodeBusy: another process takes this WORKDIR's messages.
            QueueUnavailable: Redis did not answer.
        """
        self.lock.acquire()
        end = time.monotonic() + seconds
        try:
            while True:
                self._recover()
                self.intake.take_waiting()
                ready = self._ready()
                mark_ready(self.settings, "sensor")
                if ready or time.monotonic() >= end:
                    return ready
                busy = bool(self.state.in_state("RUNNING", "PENDING", limit=1))
                self.intake.wait(BUSY_WAIT_S if busy else min(IDLE_WAIT_S, max(0.05, end - time.monotonic())))
        except BaseException:
            # What is claimed, decided and acknowledged is unknown: looked at before anything else is claimed.
            self.recover_at = 0.0
            raise

    def _recover(self) -> None:
        """Look for messages claimed and not decided, or decided and not acknowledged, as a lost reply leaves them.

        Soon, not once a tick: results wait until a decided message is acknowledged (`node.talking.still_claimed`).
        """
        if time.monotonic() >= self.recover_at:
            self.intake.recover()
            self.recover_at = time.monotonic() + RECOVER_S

    def _ready(self) -> list[Ready]:
        room = LOOK_AHEAD - self.state.in_flight()
        if room <= 0:
            return []
        return [ready for current in self.state.due(room) if (ready := self._prepare(current)) is not None]

    def _prepare(self, current: Generation) -> Ready | None:
        """Plan a generation; finish it at once when nothing has to run or it was cancelled while it waited."""
        if current.cancel_requested:
            finish_generation(
                self.settings,
                self.state,
                current,
                Outcome("CANCELLED", "cancelled", "Cancelled before it started."),
            )
            return None
        try:
            with self.intake.suspects.looking_at(current.run_key) as deaths:
                if deaths < MOST_DEATHS:
                    return self._planned(current)
            message = f"The node ended {deaths} times while it planned this experiment; its log says more."
            finish_generation(self.settings, self.state, current, Outcome("FAILED", "internal", message))
        except (StateError, QueueUnavailable):
            raise  # the node's trouble, not this experiment's: planned again later
        except ArtifactError as error:
            log.warning("%s: %s It is planned again without it.", current.run_key, error)
        except Exception as error:
            # One experiment that cannot be prepared must not keep the others from starting.
            log.exception("%s cannot start.", current.run_key)
            settle(self.settings, self.state, current, plain_failure(error))
        return None

    def _planned(self, current: Generation) -> Ready | None:
        directory = ExperimentDir(self.settings.experiments_dir, current.experiment_id)
        directory.refuse_links()
        bring_along(self.settings, current.experiment_id, current.generation)
        archive_generation(directory, current.generation)
        plan = plan_generation(self.settings, current)
        self.state.planned(current.experiment_id, current.generation, plan.document())
        with self.state.held():  # whoever ends it now waits, and writes its end over this
            if not self.state.stands_as_read(current):
                return None
            write_document(
                directory, generation=current.generation, attempt=current.attempt, status="PENDING",
                flags=current.flags, pipeline=read_pipeline(directory.pipeline),
            )  # fmt: skip
        if plan.to_compute:
            return current, plan.to_compute
        self._finish_unchanged(current, directory)
        return None

    def _finish_unchanged(self, current: Generation, directory: ExperimentDir) -> None:
        # Nothing to compute: the result is the one on disk, and no run is needed to say so.
        planned = self.state.generation(current.experiment_id, current.generation) or current
        attempt = Attempt(
            self.settings,
            current.experiment_id,
            current.tree,
            generation=current.generation,
            number=current.attempt,
            payload_ref=current.payload_ref,
        )
        try:
            attempt.take_planned(planned.plan or {})
        finally:
            attempt.close()
        stages = stages_of(self.settings, planned)
        summary = read_report(directory).summary
        finish_generation(
            self.settings, self.state, current, Outcome("SUCCEEDED", summary=summary, stages=stages)
        )
        self.on_unchanged(planned)


@lru_cache(maxsize=1)
def node_dispatch() -> Dispatch:
    """Dispatch of this process, from its settings."""
    settings = load_settings()
    prepare_workdir(settings)
    lock = PartLock(settings.paths, "intake", "The intake")
    state = Ledger(settings.state_path)
    return Dispatch(settings, state, Intake(settings, state, master_queue(settings)), lock)
