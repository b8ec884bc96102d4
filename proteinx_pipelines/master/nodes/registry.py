"""The table of nodes: written by heartbeats, over Redis or HTTP; read by dispatch and by the routes."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from proteinx_pipelines.clock import now_utc, timestamp
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.reading import first, rows
from proteinx_pipelines.master.database.tables import nodes
from proteinx_pipelines.master.dispatch.wire import Beat
from proteinx_pipelines.master.nodes.node import Node

_ALL = select(nodes).order_by(nodes.c.name)
_LOST = select(nodes.c.is_lost, nodes.c.lost_at).where(nodes.c.name == bindparam("named"))
_UPDATE = update(nodes).where(nodes.c.name == bindparam("named"))
"""Statements of heartbeats: made once, for fifty nodes send ten of them a second, with documents of kilobytes."""


def all_nodes(connection: Connection) -> list[Node]:
    """Every node that has ever been there, by name."""
    return [Node.of(row) for row in rows(connection, _ALL)]


def one_node(connection: Connection, name: str) -> Node | None:
    """One node; None where there is none of this name."""
    row = first(connection, select(nodes).where(nodes.c.name == name))
    return None if row is None else Node.of(row)


def seen(
    connection: Connection,
    name: str,
    documents: Mapping[str, Any],
    queue: str | None = None,
    *,
    over_http: bool = False,
    at: str | None = None,
) -> bool:
    """Record a sign of life; one that was lost is back. True if anything is new: the node, or what it can do.

    Args:
        connection: of the change.
        name: of the node.
        documents: `heartbeat`, `capabilities`, `gpu_usage`, as far as they were sent.
        queue: the list that it takes messages from; None: none of this Master.
        over_http: true for a sign that says nothing of the list: jobs travel over Redis.
        at: when it came (ISO 8601); None: now.
    """
    now = at or timestamp()
    before = connection.execute(_LOST, {"named": name}).first()
    values = {**documents, "last_seen": now, "is_lost": False, "lost_at": None}
    if not over_http:
        values["queue"] = queue
    if before is None:
        connection.execute(insert(nodes).values(name=name, first_seen=now, is_drained=False, **values))
        events.record(connection, "node.joined", {"queue": queue}, node=name)
        return True
    connection.execute(_UPDATE, {"named": name, **values})
    if before.is_lost:
        events.record(connection, "node.back", {"lost_at": before.lost_at}, node=name)
    return bool(before.is_lost) or "capabilities" in documents


def lost(connection: Connection, name: str) -> None:
    """Record that a node gives no sign of life any more."""
    where = (nodes.c.name == name) & (~nodes.c.is_lost)
    if connection.execute(update(nodes).where(where).values(is_lost=True, lost_at=timestamp())).rowcount:
        events.record(connection, "node.lost", {}, node=name)


def drain(connection: Connection, name: str, *, is_drained: bool) -> bool:
    """Give a node no more jobs, or jobs again; false where there is no such node."""
    changed = connection.execute(update(nodes).where(nodes.c.name == name).values(is_drained=is_drained))
    if not changed.rowcount:
        return False
    events.record(connection, "node.drained" if is_drained else "node.undrained", {}, node=name)
    return True


def documents_of(beat: Beat) -> dict[str, Any]:
    """The documents of a heartbeat over Redis; one that cannot be read is left out."""
    found = {"heartbeat": beat.heartbeat, "gpu_usage": beat.gpu_usage, "capabilities": beat.capabilities}
    documents = {name: _document(raw) for name, raw in found.items()}
    return {name: document for name, document in documents.items() if document is not None}


def queue_of(beat: Beat) -> str | None:
    """The list that a node takes messages from, as its heartbeat says; None where it does not say."""
    found = (_document(beat.heartbeat) or {}).get("queue")
    return None if found is None else str(found)


def _document(raw: bytes | None) -> dict[str, Any] | None:
    try:
        document = None if raw is None else json.loads(raw)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def seconds_since(text: str | None) -> float:
    """Seconds since a time as `timestamp` writes it; endless for None."""
    if text is None:
        return float("inf")
    return (now_utc() - datetime.fromisoformat(text)).total_seconds()
