"""The threads of dispatch: rounds, messages of the direct path, and what nodes say. Redis away: wait and go on."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from proteinx_pipelines.clock import steady_seconds
from proteinx_pipelines.contract.keys import QueueKeys
from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.master.dispatch.claiming import Claimer
from proteinx_pipelines.master.dispatch.dispatcher import Dispatcher
from proteinx_pipelines.master.dispatch.listening import Listener
from proteinx_pipelines.master.dispatch.wire import Wire
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.queue.addresses import redis_url
from proteinx_pipelines.queue.queue import connect

log = logging.getLogger(__name__)
IDLE_S = 0.5
"""Longest pause between two rounds, in seconds; a commit or a node's event ends it."""
QUIET_S = 2.0
"""The same while no job is open: nothing can come of a round, and what begins anything rings."""
BUSY_S = 0.1
"""The same while nodes have jobs: their results lie on lists that nobody rings for."""
HOT_S = 0.02
"""The same just after something has happened: a node tells of an end a moment before its result is there."""
HOT_FOR_S = 0.3
"""Seconds for which that is so."""
LEAST_S = 0.02
"""Least seconds from one round to the next: jobs that come by the hundred ring a hundred times a second."""
TROUBLED_S = 1.0
"""Seconds between two tries while Redis or the database does not answer."""


@dataclass
class Dispatch:
    """Dispatch of one Master; `start` and `stop` it."""

    master: Master
    stopping: threading.Event = field(default_factory=threading.Event)
    _rung: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _round_at: float = field(default_factory=steady_seconds)

    def __post_init__(self) -> None:
        self.listener = Listener(self.wire, self._rung.set, self.stopping, self.master.lag.note)

    def start(self) -> None:
        """Start the threads."""
        self.master.bell.also(self._rung.set)
        for name, work in (
            ("dispatch", self._dispatch),
            ("direct", self._claim),
            ("listener", self.listener.listen),
        ):
            thread = threading.Thread(target=self._keep_on, args=(work,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End the threads; each finishes its round."""
        self.stopping.set()
        self._rung.set()
        for thread in self._threads:
            thread.join(timeout=10)

    @property
    def silence_s(self) -> float:
        """Seconds since the last round, or the last try of one."""
        return steady_seconds() - self._round_at

    def wire(self) -> Wire:
        """A new connection to Redis.

        Raises:
            QueueUnavailable: there is no address yet.
        """
        node = self.master.settings.node
        return Wire(connect(redis_url(node)), QueueKeys(node.queue_name, node.result_queue_name))

    def _keep_on(self, work: Callable[[], None]) -> None:
        """Do the work of a thread again and again, whatever happens: nobody else would."""
        is_away = False
        while not self.stopping.is_set():
            try:
                work()
            except BackendError as error:
                self._round_at = steady_seconds()
                if not is_away:
                    log.warning("%s", error)
                is_away = True
            except Exception:
                log.exception("Dispatch goes on after an unexpected error.")
            else:
                is_away = False
            self.stopping.wait(TROUBLED_S)

    def _dispatch(self) -> None:
        wire = self.wire()
        dispatcher = Dispatcher(self.master.settings, self.master.database, wire)
        hot_until = 0.0
        with wire.client:
            while not self.stopping.is_set():
                self._rung.clear()
                if self.stopping.is_set():  # that ring was the last one
                    return
                self._round_at = steady_seconds()
                heard = self.listener.take()
                dispatcher.hear(heard)
                if dispatcher.round() or any(report.status.is_final for report in heard):
                    hot_until = steady_seconds() + HOT_FOR_S
                if steady_seconds() < hot_until:
                    self.stopping.wait(HOT_S)
                else:
                    if not self._rung.wait(BUSY_S if dispatcher.is_busy else IDLE_S) and dispatcher.is_quiet:
                        self._rung.wait(QUIET_S - IDLE_S)
                    self.stopping.wait(max(0.0, self._round_at + LEAST_S - steady_seconds()))

    def _claim(self) -> None:
        wire = self.wire()
        with wire.client:
            side = self.master.settings.node.queue_side
            Claimer(self.master.database, wire, side, self.stopping).work(self._rung.set)
