"""Crews: the nodes of one training with `trainer.num_nodes` above 1.

The first one gets the job; the others lend their machines to it and get no job meanwhile. All are chosen at once, of
nodes that have nothing to do, so that two crews cannot wait for one another. While too few are idle, nodes are kept
free for the first such job in order, and for a while at most: whoever holds nothing cannot block the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from proteinx_pipelines.clock import steady_seconds
from proteinx_pipelines.flags.model import ModelFlags
from proteinx_pipelines.flags.reading import reads_trainer
from proteinx_pipelines.master.dispatch.placement import fitting
from proteinx_pipelines.master.nodes.node import Node

HOLD_S = 900.0
"""Longest time, in seconds, that nodes are kept free for one job; then others have them for as long."""
_MUST_EQUAL = ("proteinx-infra", "torch", "lightning", "numpy")
_DEFAULT_MODEL: str = ModelFlags.model_fields["name"].default


def size_of(row: Mapping[str, Any]) -> int:
    """Number of nodes that a job's training is to run on; 1 for a model that reads no `trainer` flag."""
    flags = row["flags"]
    asked = (flags.get("trainer") or {}).get("num_nodes")
    name = (flags.get("model") or {}).get("name", _DEFAULT_MODEL)
    return asked if isinstance(asked, int) and asked > 1 and reads_trainer(str(name)) else 1


@dataclass
class Room:
    """The nodes that take jobs and their free slots, as the choices of one round leave them."""

    nodes: Sequence[Node]
    free: dict[str, int]
    idle: set[str]
    """Nodes that have no job and are lent to none."""
    engaged: set[str] = field(default_factory=set)
    """Nodes of crews at work: they have no place for another job, and will not for long."""

    def __post_init__(self) -> None:
        self.use(self.free.keys() & self.engaged)

    def rank(self, node: Node) -> tuple[bool, bool, str]:
        """The smaller, the sooner a node can be one of a crew."""
        return node.name not in self.idle, node.name in self.engaged, node.name

    def use(self, names: Iterable[str]) -> None:
        """Let nodes have no place for another job in this round."""
        for name in names:
            self.free[name] = 0
            self.idle.discard(name)


def with_own_machines(nodes: Sequence[Node]) -> list[Node]:
    """The nodes whose operators lend machines to their trainings by hand."""
    return [node for node in nodes if node.can is not None and node.can.is_lent_by_hand]


def crew_for(firsts: Sequence[Node], others: Sequence[Node], n: int) -> tuple[Node, ...]:
    """A crew of `n` of these nodes, the first one first; empty where there is none.

    Args:
        firsts: nodes that may have the job.
        others: nodes that may lend their machines.
        n: number of nodes.
    """
    for first in sorted(_meeting(firsts), key=_is_loopback):
        fellows = [node for node in others if can_join(node, first)]
        if len(fellows) >= n - 1:
            return (first, *fellows[: n - 1])
    return ()


def most_together(firsts: Sequence[Node], others: Sequence[Node]) -> int:
    """Size of the largest crew that could be made of these nodes."""
    return max((1 + sum(can_join(node, first) for node in others) for first in _meeting(firsts)), default=0)


def can_join(node: Node, first: Node) -> bool:
    """True if a node can lend its machine to a training of another one: same versions, and it reaches its address."""
    if node.name == first.name or not _meeting([node]):
        return False
    is_near = not _is_loopback(first) or _is_loopback(node)
    return is_near and _versions(node) == _versions(first)


def in_order(row: Mapping[str, Any], first: Node | None, room: Room) -> list[Node]:
    """Nodes for a crew of a job, those that are idle first: of `first`, or of any."""
    fit = [node for node in _meeting(fitting(row, room.nodes)) if first is None or can_join(node, first)]
    return sorted(fit, key=room.rank)


def _meeting(nodes: Sequence[Node]) -> list[Node]:
    return [node for node in nodes if node.can is not None and node.can.meeting is not None]


def _is_loopback(node: Node) -> bool:
    host = ((node.can.meeting if node.can is not None else None) or "").rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _versions(node: Node) -> list[str | None]:
    return [None if node.can is None else node.can.versions.get(name) for name in _MUST_EQUAL]


@dataclass
class Hold:
    """Who nodes are kept free for: the first job in order that needs several, until its time is over."""

    _job_id: str | None = None
    _since: float = 0.0
    _rests_until: dict[str, float] = field(default_factory=dict)
    _is_taken: bool = False

    def begin_round(self) -> None:
        """Jobs are looked at in order again."""
        self._is_taken = False

    def may(self, job_id: str) -> bool:
        """True if nodes are kept free for a job now."""
        now = steady_seconds()
        self._rests_until = {job: until for job, until in self._rests_until.items() if until > now}
        if self._is_taken or job_id in self._rests_until:
            return False
        if self._job_id != job_id:
            self._job_id, self._since = job_id, now
        if now - self._since > HOLD_S:
            self._rests_until[job_id], self._job_id = now + HOLD_S, None
            return False
        self._is_taken = True
        return True
