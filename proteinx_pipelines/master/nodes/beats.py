"""Signs of life over HTTP, written once a second for all nodes: fifty of them send ten a second.

A sign says what the next one will say again in five seconds, so that it needs no commit of its own. It is kept here,
written by a timer or when somebody asks for nodes, and lost with a Master that is killed. What is news is written at
once: a node that was not heard of for a while, and what a node can do.
"""

import contextlib
import threading
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from proteinx_pipelines.clock import steady_seconds, timestamp
from proteinx_pipelines.contract.heartbeat import ALIVE_FOR_S
from proteinx_pipelines.master.database.engine import MasterStateError
from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.nodes import registry

WRITE_EVERY_S = 1.0
"""Seconds from the first sign that is kept to the commit of all: dispatch looks as often."""


@dataclass(frozen=True)
class _Sign:
    documents: Mapping[str, Any]
    at: str


@dataclass
class Beats:
    """The signs of one Master that are not written yet; called from any thread."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _kept: dict[str, _Sign] = field(default_factory=dict)
    _heard: dict[str, float] = field(default_factory=dict)
    """Node -> the steady time of its last sign."""
    _period_until: float = 0.0
    _writing: "Future[bool] | None" = None
    """The last change that wrote signs."""

    def keep(self, name: str, documents: Mapping[str, Any]) -> bool:
        """Keep a sign that is to be written later; false for one that is news, which the caller writes.

        Args:
            name: of the node.
            documents: as for `registry.seen`.
        """
        now = steady_seconds()
        with self._lock:
            last, self._heard[name] = self._heard.get(name), now
            if last is None or now - last > ALIVE_FOR_S or "capabilities" in documents:
                self._kept.pop(name, None)  # it is older
                return False
            earlier = self._kept.get(name)
            merged = documents if earlier is None else {**earlier.documents, **documents}
            self._kept[name] = _Sign(merged, timestamp())
        return True

    def is_timer_wanted(self) -> bool:
        """True once for each period in which signs are kept: the caller then calls `write_soon` at its end."""
        now = steady_seconds()
        with self._lock:
            is_wanted = now >= self._period_until
            if is_wanted:
                self._period_until = now + WRITE_EVERY_S
        return is_wanted

    def write_soon(self, database: Database) -> None:
        """Have what is kept written; nothing where the Master stops."""
        with contextlib.suppress(MasterStateError):
            self._writing = database.submit(self.written, is_news=bool)

    def write(self, database: Database) -> None:
        """Write what is kept and wait until it is on disk, what the timer writes now too; mostly there is nothing.

        Raises:
            MasterStateError: the Master stops.
        """
        if self._kept:
            self._writing = database.submit(self.written, is_news=bool)
        if self._writing is not None:
            wait([self._writing])

    def written(self, connection: Connection) -> bool:
        """The change that writes what is kept; true if any of it is news after all."""
        with self._lock:
            kept, self._kept = self._kept, {}
        found = [
            registry.seen(connection, name, sign.documents, over_http=True, at=sign.at)
            for name, sign in kept.items()
        ]
        return any(found)
