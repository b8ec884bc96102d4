"""Assignment: the best waiting job for each node with a free slot.

A node gets a second job ahead of time only while its jobs are short: what it has taken cannot be moved, overtaken or
given to another node any more.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, or_, select

from proteinx_pipelines.master.database.job_tables import dispatches, jobs, lent
from proteinx_pipelines.master.database.reading import rows
from proteinx_pipelines.master.dispatch.changes import LOST
from proteinx_pipelines.master.dispatch.crews import (
    Hold,
    Room,
    crew_for,
    in_order,
    most_together,
    size_of,
    with_own_machines,
)
from proteinx_pipelines.master.dispatch.placement import able, signature
from proteinx_pipelines.master.jobs.order import ordered
from proteinx_pipelines.master.jobs.states import ON_A_NODE
from proteinx_pipelines.master.nodes.node import Node
from proteinx_pipelines.master.nodes.registry import seconds_since

PAGE = 200
"""Waiting jobs read at once."""
MOST_BLOCKED = 500
"""Most jobs that are written down in one round as fitting no node."""
SHORT_S = 20.0
"""Longest time, in seconds, that a node's last job may have taken for it to get the next one ahead of time."""
COLUMNS = (
    jobs.c.job_id, jobs.c.experiment_id, jobs.c.flags, jobs.c.needs, jobs.c.payload_ref, jobs.c.number,
    jobs.c.retry_of, jobs.c.token, jobs.c.reason, jobs.c.blocked_by,
)  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """A job that is to go to a node, or that cannot go anywhere."""

    job_id: str
    node: str | None
    reason: str | None = None
    """For the job's owner: why no node can take it, or what is different on this one."""
    blocked_by: str | None = None
    """The set of nodes with which no node was found; None when it is looked at again in every round."""
    old_node: str | None = None
    """A node that had the job and was given up: it is to stop."""
    others: tuple[str, ...] = ()
    """Nodes that lend their machines to its training."""
    duplicate_of: str | None = None
    """An earlier job of the same experiment, which may not be repeated."""


@dataclass
class Assigner:
    """Chooses; the caller changes the rows."""

    slots: int
    lease_s: float
    has_store: bool = False
    """True if nodes share a store: the directory of an experiment can come along to another node."""
    last_took_s: dict[str, float] = field(default_factory=dict)
    """Node -> seconds that its last job took."""
    kept_free: frozenset[str] = frozenset()
    """Nodes that get no job, because a training that has begun needs one of them."""
    hold: Hold = field(default_factory=Hold)

    def choices(self, connection: Connection, nodes: Sequence[Node]) -> list[Choice]:
        """What to do with waiting jobs now, best first."""
        room = self.room(connection, nodes)
        ready, free = room.nodes, room.free
        room.use(self.kept_free & free.keys())
        found: list[Choice] = []
        if not any(free.values()):
            return found
        self.hold.begin_round()
        blocked = 0
        by_name, kinds = {node.name: node for node in nodes}, dict[str, tuple[list[Node], str]]()
        busy = _busy_experiments(connection)
        names = _fingerprint(ready)
        for row in _waiting(connection, names):
            if blocked >= MOST_BLOCKED or not any(free.values()):
                break
            kind = signature(row)
            if kind not in kinds:
                kinds[kind] = able(row, ready)
            choice = self._choose(connection, row, kinds[kind], room, busy, by_name, names)
            if choice is not None:
                found.append(choice)
                blocked += choice.node is None
            if choice is not None and choice.node is not None:
                free[choice.node] -= 1
                room.idle.discard(choice.node)
                busy.add(row["experiment_id"].casefold())
        return found

    def _choose(
        self,
        connection: Connection,
        row: Mapping[str, Any],
        able_nodes: tuple[list[Node], str],
        room: Room,
        busy: set[str],
        nodes: Mapping[str, Node],
        names: str | None,
    ) -> Choice | None:
        fit, reason = able_nodes
        if row["experiment_id"].casefold() in busy:
            return None
        home, earlier = _home(connection, row)
        if earlier is not None and not _may_repeat(row):
            return Choice(row["job_id"], None, duplicate_of=earlier)
        told, until = None, names
        if home is not None:
            at_home = nodes.get(home)
            if self._is_gone(at_home):
                rest = "it comes from the store" if self.has_store else "everything is computed anew"
                told = f"node {home}, which had its directory, is gone: {rest}"
            elif self.has_store and at_home is not None and at_home.is_drained:
                told = f"node {home}, which has its directory, is drained: it comes from the store"
            else:
                fit, until = [node for node in fit if node.name == home], None  # its time may run out
                reason = reason or f"waits for node {home}, which has its directory{_why_away(at_home)}"
        if not fit:
            is_known = (row["reason"], row["blocked_by"]) == (reason, until)
            return None if is_known else Choice(row["job_id"], None, reason, blocked_by=until)
        n, by_hand = size_of(row), with_own_machines(fit)
        if n > 1 and not by_hand:
            return self._choose_crew(connection, row, fit, n, room, until, told)
        fit = by_hand if n > 1 else fit
        open_now = {node.name: room.free.get(node.name, 0) for node in fit}
        best = max(fit, key=lambda node: (open_now[node.name], node.name))
        if open_now[best.name] <= 0:
            return Choice(row["job_id"], None) if row["blocked_by"] is not None else None
        return Choice(row["job_id"], best.name, told, old_node=_given_up_by(connection, row, best.name))

    def _choose_crew(
        self,
        connection: Connection,
        row: Mapping[str, Any],
        fit: Sequence[Node],
        n: int,
        room: Room,
        until: str | None,
        told: str | None,
    ) -> Choice | None:
        """All nodes of a training at once; while too few are idle, those that would do are kept free for a while."""
        others = in_order(row, None, room)
        firsts = [node for node in fit if node in room.nodes]
        crew = crew_for([node for node in firsts if node.name in room.idle],
                        [node for node in others if node.name in room.idle], n)  # fmt: skip
        if crew:
            names = tuple(node.name for node in crew)
            room.use(names[1:])
            room.free[names[0]] = 1  # and no further job ahead of time
            text = f"trains on {', '.join(names)}"
            reason = text if told is None else f"{told}; {text}"
            given_up = _given_up_by(connection, row, names[0])
            return Choice(row["job_id"], names[0], reason, others=names[1:], old_node=given_up)
        possible = crew_for(sorted(firsts, key=room.rank), others, n)
        if not possible:
            most = most_together(firsts, others)
            reason = f"needs {n} nodes that can train together: of those that are there, {most} can"
        else:
            until = None
            reason = f"waits until {n} nodes that can train together have nothing else to do"
            if self.hold.may(row["job_id"]):
                room.use(node.name for node in possible)
        is_known = (row["reason"], row["blocked_by"]) == (reason, until)
        return None if is_known else Choice(row["job_id"], None, reason, blocked_by=until)

    def _is_gone(self, node: Node | None) -> bool:
        """True if a node will not be back in time to do what only it can do."""
        return node is None or (node.is_lost and seconds_since(node.lost_at) > self.lease_s)

    def room(self, connection: Connection, nodes: Sequence[Node]) -> Room:
        """The nodes that take jobs, with their free slots; one that is lent has none."""
        ready = [node for node in nodes if node.takes_jobs]
        free, busy = self._free_slots(connection, ready)
        return Room(ready, free, {node.name for node in ready} - busy, engaged(connection))

    def _free_slots(self, connection: Connection, nodes: Sequence[Node]) -> tuple[dict[str, int], set[str]]:
        """Free slots of each node, and the nodes that have a job."""
        query = (
            select(jobs.c.node, func.count(), func.min(jobs.c.assigned_at))
            .where(jobs.c.state.in_(ON_A_NODE))
            .group_by(jobs.c.node)
        )
        open_jobs = {node: (count, first) for node, count, first in connection.execute(query)}
        free = {}
        for node in nodes:
            count, first = open_jobs.get(node.name, (0, None))
            slots = self.slots if self._takes_ahead(node.name, first) else 1
            free[node.name] = max(0, slots - count)
        return free, set(open_jobs)

    def _takes_ahead(self, node: str, first_assigned: str | None) -> bool:
        if first_assigned is not None and seconds_since(first_assigned) > SHORT_S:
            return False
        return self.last_took_s.get(node, float("inf")) <= SHORT_S


def engaged(connection: Connection) -> set[str]:
    """Names of the nodes of all crews at work."""
    query = select(lent.c.node, jobs.c.node).select_from(lent.outerjoin(jobs, jobs.c.job_id == lent.c.job_id))
    return {name for row in connection.execute(query) for name in row if name is not None}


def _waiting(connection: Connection, names: str) -> Iterator[Mapping[str, Any]]:
    """Waiting jobs in order, but those that were found to fit none of the present nodes."""
    last = 0
    fits = or_(jobs.c.blocked_by.is_(None), jobs.c.blocked_by != names)
    query = ordered(select(*COLUMNS).where(jobs.c.state == "WAITING", fits)).limit(PAGE)
    while found := rows(connection, query.offset(last)):
        yield from found
        last += len(found)


def _busy_experiments(connection: Connection) -> set[str]:
    query = select(jobs.c.experiment_id).where(jobs.c.state.in_(ON_A_NODE))
    return {name.casefold() for name in connection.execute(query).scalars()}


def _home(connection: Connection, row: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The node that has the experiment's directory, and the job that made it; None where there is none."""
    query = (
        select(jobs.c.node, jobs.c.job_id)
        .where(
            jobs.c.experiment_id == row["experiment_id"],
            jobs.c.number < row["number"],
            jobs.c.node.is_not(None),
            jobs.c.generation.is_not(None),
        )
        .order_by(jobs.c.number.desc())
        .limit(1)
    )
    found = connection.execute(query).one_or_none()
    return (None, None) if found is None else (found.node, found.job_id)


def _why_away(node: Node | None) -> str:
    if node is None or node.takes_jobs:
        return ""
    return " and is drained" if node.is_drained else " and is not there now"


def _given_up_by(connection: Connection, row: Mapping[str, Any], chosen: str) -> str | None:
    """The node that had the job last and was lost with it, where that is another one."""
    query = select(dispatches.c.node).where(
        dispatches.c.job_id == row["job_id"],
        dispatches.c.token == row["token"],
        dispatches.c.outcome == LOST,
        dispatches.c.node != chosen,
    )
    found: str | None = connection.execute(query).scalar()
    return found


def _may_repeat(row: Mapping[str, Any]) -> bool:
    return bool(row["flags"].get("run", {}).get("allow_duplicate")) or row["retry_of"] is not None


def _fingerprint(nodes: Sequence[Node]) -> str:
    """Names the set of nodes and what each of them can do."""
    return hashlib.sha256("\n".join(node.fingerprint for node in nodes).encode("utf-8")).hexdigest()[:16]
