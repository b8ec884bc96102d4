"""The Redis lists between the Master and its nodes, as the Master sees them.

One list of messages for each node, so that a message can be taken back while nobody has claimed it. Every error of
Redis is a `QueueUnavailable`: the caller waits and goes on, the database is the truth.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis

from proteinx_pipelines.contract.keys import HEARTBEATS, NodeKeys, QueueKeys
from proteinx_pipelines.contract.lending import Lending
from proteinx_pipelines.contract.status import Status
from proteinx_pipelines.queue.answers import STATUS_KEPT_S, MasterLine
from proteinx_pipelines.queue.queue import unavailable_as_our_error

RESULTS_AT_ONCE = 100
"""Most results read from one node at once."""
NOTED_S = 24 * 3600
"""Life of the note which job was made of a message, in seconds."""
LENT_FOR_S = 600
"""Life of a lending without its Master, in seconds: longer than a Master takes to be started again."""
MASTER = "master"
"""Name under which the Master claims messages and answers them."""


@dataclass(frozen=True)
class Beat:
    """What a node has published of itself; None for what is not there."""

    heartbeat: bytes | None
    gpu_usage: bytes | None
    capabilities: bytes | None


@dataclass(frozen=True)
class Wire:
    """One connection to Redis, and the names of one queue."""

    client: "redis.Redis"
    keys: QueueKeys

    def line(self, node: str = MASTER) -> MasterLine:
        """Writes reports on the lists of senders, in the name of a node."""
        return MasterLine(self.client, self.keys.messages, self.keys.all_results, node)

    # ------------------------------------------------------------------ messages
    def push(self, node: str, message: bytes) -> None:
        """Put a message on a node's list."""
        with unavailable_as_our_error("sending a job"):
            self.client.lpush(self._of(node).messages, message)

    def take_back(self, node: str, message_id: str) -> bool:
        """Take every copy of a message off a node's list; true if one was there: the node has not claimed it."""
        found = False
        for raw in self._on_list(node):
            if message_id_of(raw) == message_id:
                with unavailable_as_our_error("taking a job back"):
                    found = bool(self.client.lrem(self._of(node).messages, 0, cast("Any", raw))) or found
        return found

    def holds(self, node: str, message_id: str) -> bool:
        """True if a message is on a node's list, or claimed there and not decided."""
        with unavailable_as_our_error("looking for a job"):
            claimed = cast("list[bytes]", self.client.lrange(self._of(node).claimed(node), 0, -1))
        return any(message_id_of(raw) == message_id for raw in [*self._on_list(node), *claimed])

    def _on_list(self, node: str) -> list[bytes]:
        with unavailable_as_our_error("reading a node's list"):
            return cast("list[bytes]", self.client.lrange(self._of(node).messages, 0, -1))

    def note_job(self, message_key: str, job_id: str) -> None:
        """Say which job was made of a message, for a sender who waits for the decision."""
        with unavailable_as_our_error("noting a job"):
            self.client.set(self.keys.job(message_key), job_id, ex=NOTED_S)

    # ------------------------------------------------------------------ results
    def results(self, nodes: Sequence[str]) -> dict[str, list[bytes]]:
        """The oldest results of each node that has some, oldest first; they stay until `drop_results`."""
        if not nodes:
            return {}
        with unavailable_as_our_error("reading results"), self.client.pipeline(transaction=False) as pipe:
            for node in nodes:
                pipe.lrange(self._of(node).all_results, -RESULTS_AT_ONCE, -1)
            found = pipe.execute(raise_on_error=False)
        lists = {node: raws for node, raws in zip(nodes, found, strict=True) if isinstance(raws, list)}
        return {node: list(reversed(raws)) for node, raws in lists.items() if raws}

    def drop_results(self, node: str, raws: Iterable[bytes]) -> None:
        """Take results off a node's list: they are in the database."""
        with unavailable_as_our_error("taking results"), self.client.pipeline(transaction=False) as pipe:
            for raw in raws:
                pipe.lrem(self._of(node).all_results, -1, cast("Any", raw))
            pipe.execute()

    # ------------------------------------------------------------------ cancels
    def ask_to_cancel(self, node: str, experiment_id: str) -> None:
        """Put a cancel on a node's list, unless it is there."""
        key = self._of(node).cancels
        with unavailable_as_our_error("asking for a cancel"):
            if self.client.lpos(key, experiment_id) is None:
                self.client.lpush(key, experiment_id)

    def forget_cancel(self, node: str, experiment_id: str) -> None:
        """Take a cancel off a node's list: the node is to run the experiment after all."""
        with unavailable_as_our_error("taking back a cancel"):
            self.client.lrem(self._of(node).cancels, 0, experiment_id)

    # ------------------------------------------------------------------ lending
    def lend(self, node: str, lending: Lending) -> None:
        """Tell a node that its machine is lent, or go on telling it."""
        with unavailable_as_our_error("lending a node"):
            self.client.set(self._of(node).lent, lending.to_json(), ex=LENT_FOR_S)

    def give_back(self, node: str) -> None:
        """Tell a node that its machine is its own again."""
        with unavailable_as_our_error("giving a node back"):
            self.client.delete(self._of(node).lent)

    # ------------------------------------------------------------------ nodes
    def names_of_nodes(self) -> set[str]:
        """Names of all nodes whose heartbeat is there."""
        before, _, behind = HEARTBEATS.partition("*")
        with unavailable_as_our_error("looking for nodes"):
            keys = [
                key.decode("utf-8", "replace") for key in self.client.scan_iter(match=HEARTBEATS, count=1000)
            ]
        return {key.removeprefix(before).removesuffix(behind) for key in keys}

    def beats(self, nodes: Sequence[str]) -> dict[str, Beat]:
        """What each of these nodes has published of itself."""
        if not nodes:
            return {}
        keys = [key for node in nodes for key in NodeKeys(node).all()]
        with unavailable_as_our_error("reading heartbeats"):
            found = cast("list[bytes | None]", self.client.mget(keys))
        return {node: Beat(*found[3 * number : 3 * number + 3]) for number, node in enumerate(nodes)}

    def listens_to_its_own_list(self, node: str) -> bool:
        """True if a node of a version that does not say it in its heartbeat takes messages from its own list."""
        with unavailable_as_our_error("looking for a node's list"):
            return bool(self.client.exists(self._of(node).name(node)))

    # ------------------------------------------------------------------ statuses
    def statuses(self, open_jobs: Sequence[tuple[str, str]]) -> list[Status | None]:
        """The status that each (node, experiment) has published; None where there is none that can be read."""
        with unavailable_as_our_error("reading statuses"), self.client.pipeline(transaction=False) as pipe:
            for node, experiment_id in open_jobs:
                pipe.hgetall(self._of(node).status(experiment_id))
            found = pipe.execute(raise_on_error=False)
        return [_status_of(fields) for fields in found]

    def mirror_status(self, node: str, experiment_id: str) -> None:
        """Copy a node's status hash to where a sender that knows only Redis reads it."""
        target = self.keys.status(experiment_id)
        with unavailable_as_our_error("showing a status"):
            fields = self.client.hgetall(self._of(node).status(experiment_id))
            if fields:
                self.client.hset(target, mapping=cast("Any", fields))
                self.client.expire(target, STATUS_KEPT_S)

    def _of(self, node: str) -> QueueKeys:
        return self.keys.of_node(node)


def message_id_of(raw: bytes) -> str | None:
    """`message_id` of a message or a result; None where there is none."""
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found.get("message_id") if isinstance(found, dict) else None


def _status_of(fields: Mapping[Any, Any] | Exception) -> Status | None:
    if isinstance(fields, Exception) or not fields:
        return None
    try:
        return Status.from_hash(fields)
    except ValueError:
        return None
