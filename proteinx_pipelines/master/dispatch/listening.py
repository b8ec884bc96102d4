"""Listens to the channels of all nodes; hands what they say to the dispatcher, and on to those who know only Redis."""

import json
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import redis

from proteinx_pipelines.contract.event import Event
from proteinx_pipelines.contract.status import Status
from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.master.dispatch.statuses import Report
from proteinx_pipelines.master.dispatch.wire import Wire
from proteinx_pipelines.queue.queue import unavailable_as_our_error

log = logging.getLogger(__name__)
LOOK_S = 2.0
"""Longest wait for a message of a node, in seconds, between two looks whether to stop."""
MOST_REPORTS = 10_000
"""Most reports that wait for the dispatcher; the oldest is forgotten first, and the status hash has its values."""


@dataclass
class Listener:
    """Hears the nodes; `take` gives what was heard since the last call."""

    connect: Callable[[], Wire]
    wake: Callable[[], None]
    stopping: threading.Event
    note_time: Callable[[str], object] = lambda _timestamp: None
    """Told the time that each event names."""
    _heard: "deque[Report]" = field(default_factory=lambda: deque(maxlen=MOST_REPORTS))

    def take(self) -> list[Report]:
        """Reports since the last call, oldest first."""
        found = []
        while self._heard:
            found.append(self._heard.popleft())
        return found

    def listen(self) -> None:
        """Listen until asked to stop.

        Raises:
            QueueUnavailable: Redis does not answer; call it again.
        """
        wire = self.connect()
        with unavailable_as_our_error("listening to nodes"), wire.client.pubsub() as channel:  # type: ignore[no-untyped-call]
            channel.psubscribe(wire.keys.events_of_nodes)
            while not self.stopping.is_set():
                message = channel.get_message(ignore_subscribe_messages=True, timeout=LOOK_S)
                if message is not None:
                    self._hear(wire, message["channel"], message["data"])

    def _hear(self, wire: Wire, channel: bytes, data: bytes) -> None:
        node = wire.keys.node_of_channel(channel.decode("utf-8", "replace"))
        try:
            event = Event.model_validate(json.loads(data))
            status = Status.model_validate(event.payload)
        except (ValueError, RecursionError):
            log.warning("An event of %s cannot be read: %r", node, data[:200])
            return
        self.note_time(event.timestamp)
        self._heard.append(Report(node, event.experiment_id, status))
        self.wake()
        try:
            wire.line(node).status(event.experiment_id, status, event.event)
        except (QueueUnavailable, redis.RedisError) as error:
            log.warning("%s is not told on: %s", event.experiment_id, error)
