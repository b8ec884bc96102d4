"""Watch over the nodes: the table of nodes follows their heartbeats.

What becomes of a lost node's jobs is the dispatcher's task.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from proteinx_pipelines.clock import steady_seconds
from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.dispatch.looks import Looks
from proteinx_pipelines.master.dispatch.wire import Beat, Wire
from proteinx_pipelines.master.nodes import registry
from proteinx_pipelines.master.nodes.node import Node

BEATS_S = 1.0
"""Seconds between two looks at the heartbeats of known nodes."""
FIND_S = 5.0
"""Seconds between two searches for nodes that are not known yet."""


@dataclass
class NodeWatch:
    """Nodes as the database has them."""

    database: Database
    wire: Wire
    looks: Looks
    alive_for_s: float
    """Life of a heartbeat, in seconds."""
    nodes: list[Node] = field(default_factory=list)
    _trusted_from: float = 0.0
    """Time from which a missing heartbeat means a lost node: all of them had time to renew theirs."""
    _known_beats: dict[str, Beat] = field(default_factory=dict)
    _known_abilities: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Node -> its capabilities as they were last written down, without their time."""

    def reconnected(self) -> None:
        """Redis was away: heartbeats could not be renewed, so that their absence says nothing for a while."""
        self._trusted_from = steady_seconds() + self.alive_for_s

    def look_at_nodes(self) -> None:
        """Bring the table of nodes up to date with their heartbeats."""
        if not self.looks.is_due("beats", BEATS_S):
            return
        if self.looks.is_news("nodes"):
            self._read_nodes()
        known = {node.name for node in self.nodes}
        if self.looks.is_due("find", FIND_S):
            known |= self.wire.names_of_nodes()
        beats = self.wire.beats(sorted(known))
        alive = {name: beat for name, beat in beats.items() if beat.heartbeat is not None}
        fresh = {name: beat for name, beat in alive.items() if self._known_beats.get(name) != beat}
        queues = {name: self._queue_of(name, beat) for name, beat in fresh.items()}
        gone = [node.name for node in self.nodes if node.name not in alive and self._is_gone(node)]
        if fresh or gone:
            told = {name: self._news_of(name, beat) for name, beat in fresh.items()}
            # Every node says every five seconds that it is there: only news wakes those who wait for a commit.
            self.database.submit(
                lambda connection: _note_nodes(connection, told, queues, gone), is_news=bool
            ).result()
            self._known_beats.update(fresh)
            for name in gone:
                self._known_beats.pop(name, None)
                self._known_abilities.pop(name, None)
            self._read_nodes()

    def _news_of(self, name: str, beat: Beat) -> dict[str, Any]:
        """The documents of a heartbeat; without the capabilities, where they are those that it told before."""
        documents = registry.documents_of(beat)
        told = documents.get("capabilities")
        abilities = None if told is None else {key: told[key] for key in told if key != "time"}
        if abilities is not None and self._known_abilities.get(name) == abilities:
            del documents["capabilities"]
        elif abilities is not None:
            self._known_abilities[name] = abilities
        return documents

    def _read_nodes(self) -> None:
        with self.database.reading() as connection:
            self.nodes = registry.all_nodes(connection)

    def _queue_of(self, name: str, beat: Beat) -> str | None:
        """The node's list where it is one of this Master's; None for a node that works for somebody else."""
        own = self.wire.keys.of_node(name).messages
        said = registry.queue_of(beat)
        if said is None:
            return own if self.wire.listens_to_its_own_list(name) else None
        return own if said == own else None

    def _is_gone(self, node: Node) -> bool:
        """True if a node's heartbeat has ended, in Redis and over HTTP."""
        if node.is_lost or steady_seconds() < self._trusted_from:
            return False
        return registry.seconds_since(node.last_seen) > (self.alive_for_s if node.queue is None else 0.0)


def _note_nodes(
    connection: Connection,
    told: Mapping[str, Mapping[str, Any]],
    queues: Mapping[str, str | None],
    gone: list[str],
) -> bool:
    """Write down what nodes told, and which are gone; true if any of it is news."""
    news = [registry.seen(connection, name, documents, queues[name]) for name, documents in told.items()]
    for name in gone:
        registry.lost(connection, name)
    return any(news) or bool(gone)
