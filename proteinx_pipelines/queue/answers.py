"""The Master's view of the node besides messages: results, status hashes, events, heartbeats, cancels.

Keys are those of the public contract; this module does not decide their contents.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import redis

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.capabilities import Capabilities
from proteinx_pipelines.contract.event import Event
from proteinx_pipelines.contract.heartbeat import ALIVE_FOR_S, GpuUsage, Heartbeat
from proteinx_pipelines.contract.keys import NodeKeys, QueueKeys
from proteinx_pipelines.contract.lending import Lending
from proteinx_pipelines.contract.status import OPEN_STATES, Status
from proteinx_pipelines.errors import WrongKeyType
from proteinx_pipelines.queue.queue import unavailable_as_our_error

CANCELS_AT_ONCE = 100
"""Most cancels of unknown experiments read at once."""
CANCELS_READ = 50_000
"""Most cancels read at once, to find those of experiments that are open here."""
CANCEL_BYTES_READ = 8 * 1024**2
"""Most bytes of the cancels read at once; an id has at most a hundred."""
_CANCELS_A_COMMAND = 1_000
REPLIES_KEPT_S = 7 * 24 * 3600
"""Life of a list that one sender asked for (`reply_to`), in seconds from the last result on it."""
MARKERS_KEPT_S = 9 * 24 * 3600
"""Life of the markers of deliveries from the last one on, in seconds; longer than the node looks back."""
STATUS_KEPT_S = 30 * 24 * 3600
"""Life of the status hash of an experiment that has ended, in seconds."""
MARKERS_AT_ONCE = 1000
"""Most markers of deliveries read or removed by one command."""


class MasterLine:
    """Writes all reports of the node to the Master, on one Redis connection."""

    def __init__(self, client: "redis.Redis", queue_name: str, result_queue_name: str, node: str) -> None:
        self._client = client
        self._keys = QueueKeys(queue_name, result_queue_name)
        self._node_keys = NodeKeys(node)
        self._node = node

    def deliver(self, result_id: str, copy: int, payload: str, reply_to: str | None = None) -> bool:
        """Append a result to the Master's list, once for each (result_id, copy), however often this is called.

        The marker and the push are one transaction: a reply that got lost does not double the result. A transaction
        of Redis has no roll-back, so the list is checked before and watched until then: if the push failed, the marker
        alone would remain. The marker is the time of the last such call; `forget_deliveries` uses it.

        Args:
            result_id: of the result.
            copy: its number, from 1: a message that was sent again is answered again.
            payload: the document.
            reply_to: name of the list of one sender; None is the list of all results.

        Returns:
            True if it was appended; false when an earlier call had done so.

        Raises:
            WrongKeyType: the list's or the markers' key holds another type; nothing was changed.
            QueueUnavailable: Redis did not answer.
        """
        marker, target = self._keys.delivered, self.result_list(reply_to)
        field = f"{result_id}/{copy}"
        with unavailable_as_our_error("delivering a result"), self._client.pipeline() as pipe:
            while True:
                try:
                    pipe.watch(marker, target)  # type: ignore[no-untyped-call]
                    is_new = not pipe.hexists(marker, field)
                    if is_new:
                        _refuse_unless_list(target, cast("bytes", pipe.type(target)))
                    pipe.multi()
                    if is_new:
                        pipe.lpush(target, payload)
                    if is_new and reply_to is not None:
                        pipe.expire(target, REPLIES_KEPT_S)
                    pipe.hset(marker, field, timestamp())
                    pipe.expire(marker, MARKERS_KEPT_S)
                    pipe.execute()
                    return is_new
                except redis.WatchError:
                    continue

    def take_reply(self, reply_to: str) -> bytes | None:
        """Take the oldest result off the list of one sender, which asked for it; None when there is none."""
        with unavailable_as_our_error("looking for an answer"):
            return cast("bytes | None", self._client.rpop(self.result_list(reply_to)))

    def job_of(self, message_key: str) -> str | None:
        """Id of the job that a Master has made of a message; None where it has not, or there is no Master."""
        with unavailable_as_our_error("looking for a job"):
            found = cast("bytes | None", self._client.get(self._keys.job(message_key)))
        return None if found is None else found.decode("utf-8", "replace")

    def result_list(self, reply_to: str | None = None) -> str:
        """Key of the list that results go to: one sender's, or that of all results."""
        return self._keys.results(reply_to)

    def missing(self, delivered: Sequence[tuple[str, int]]) -> list[bool]:
        """For each (result_id, copy) that was delivered, true if Redis has no record of it any more."""
        if not delivered:
            return []
        fields = [f"{result_id}/{copy}" for result_id, copy in delivered]
        with unavailable_as_our_error("comparing what was delivered"):
            return [
                found is None for found in cast("list[Any]", self._client.hmget(self._keys.delivered, fields))
            ]

    def forget_deliveries(self, before: str) -> int:
        """Remove the markers of deliveries before a time (as `timestamp` writes it); returns how many.

        Their results are not compared any more, and no copy of them is numbered as they are.
        """
        removed, old = 0, list[bytes]()
        with unavailable_as_our_error("forgetting old deliveries"):
            for field, at in self._client.hscan_iter(self._keys.delivered, count=MARKERS_AT_ONCE):
                if at == b"1":  # from a version that did not record the time: its age counts from now
                    self._client.hset(self._keys.delivered, field, timestamp())
                elif at.decode("ascii", "replace") < before:
                    old.append(field)
            for start in range(0, len(old), MARKERS_AT_ONCE):
                fields = old[start : start + MARKERS_AT_ONCE]
                removed += self._client.hdel(self._keys.delivered, *cast("list[str]", fields))
        return removed

    def status(self, experiment_id: str, change: Status, event: str) -> None:
        """Set fields of `experiments:status:<id>`, which names this node, and publish an event about them."""
        now = timestamp()
        document = Event(event=event, experiment_id=experiment_id, timestamp=now, payload=change.changed())
        kept = change.model_copy(update={"node": self._node, "updated_at": now, "schema_version": 1})
        with (
            unavailable_as_our_error("publishing a status"),
            self._client.pipeline(transaction=False) as pipe,
        ):
            key = self._keys.status(experiment_id)
            pipe.hset(key, mapping=cast("Any", kept.to_hash()))
            if change.is_final:
                pipe.expire(key, STATUS_KEPT_S)
            else:
                pipe.persist(key)
            pipe.publish(self._keys.events, document.to_json())
            pipe.execute()

    def is_open_elsewhere(self, experiment_id: str) -> bool:
        """True if another node reports the experiment as waiting or running: two nodes may share the Master's list."""
        with unavailable_as_our_error("reading a status"):
            found = self._client.hmget(self._keys.status(experiment_id), ["node", "state"])
        node, state = cast("list[bytes | None]", found)
        return node not in (None, self._node.encode()) and (state or b"").decode() in OPEN_STATES

    def forget_status(self, experiment_id: str) -> bool:
        """Delete `experiments:status:<id>`; true if it was there."""
        with unavailable_as_our_error("removing a status"):
            return bool(self._client.delete(self._keys.status(experiment_id)))

    def positions(self, positions: Mapping[str, int]) -> None:
        """Set the position in the queue of each waiting experiment (1 is next)."""
        with (
            unavailable_as_our_error("publishing positions"),
            self._client.pipeline(transaction=False) as pipe,
        ):
            for experiment_id, position in positions.items():
                pipe.hset(self._keys.status(experiment_id), "position", str(position))
            pipe.execute(raise_on_error=False)  # one key of the wrong type must not stop the others

    def beat(self, heartbeat: Heartbeat, usage: GpuUsage, capabilities: Capabilities | None = None) -> None:
        """Renew the keys of this node; without capabilities, their key expires by itself."""
        keys = self._node_keys
        with (
            unavailable_as_our_error("sending a heartbeat"),
            self._client.pipeline(transaction=False) as pipe,
        ):
            if capabilities is not None:  # first: a reader who sees the heartbeat finds them
                pipe.set(keys.capabilities, capabilities.to_json(), ex=ALIVE_FOR_S)
            pipe.set(keys.heartbeat, heartbeat.to_json(), ex=ALIVE_FOR_S)
            pipe.set(keys.gpu_usage, usage.to_json(), ex=ALIVE_FOR_S)
            pipe.execute()

    def lent(self) -> Lending | None:
        """The training that the Master has given this machine to; None where it has not, or cannot be read."""
        with unavailable_as_our_error("looking for a training to take part in"):
            raw = cast("bytes | None", self._client.get(self._keys.lent))
        try:
            return None if raw is None else Lending.model_validate_json(raw)
        except ValueError:
            return None

    def stop_beating(self) -> None:
        """Delete the keys of this node: it has stopped cleanly."""
        with unavailable_as_our_error("removing the heartbeat"):
            self._client.delete(*self._node_keys.all())

    def ask_to_cancel(self, experiment_id: str) -> None:
        """Ask for a cancel, as the Master does."""
        with unavailable_as_our_error("asking for a cancel"):
            self._client.lpush(self._keys.cancels, experiment_id)

    def cancel_requests(self) -> list[str]:
        """Ids on `experiments:cancel`, oldest first; they stay there until `cancel_taken`.

        At most `CANCELS_READ`, or the first that have `CANCEL_BYTES_READ`.
        """
        found, size = list[bytes](), 0
        with unavailable_as_our_error("reading cancel requests"):
            while len(found) < CANCELS_READ and size < CANCEL_BYTES_READ:
                newest, oldest = -len(found) - _CANCELS_A_COMMAND, -len(found) - 1
                more = cast("list[bytes]", self._client.lrange(self._keys.cancels, newest, oldest))
                found.extend(reversed(more))
                size += sum(map(len, more))
                if len(more) < _CANCELS_A_COMMAND:
                    break
        return [raw.decode("utf-8", "surrogateescape") for raw in found]

    def cancel_taken(self, experiment_id: str) -> None:
        """Take a cancel off the list: it is durable here, or matches nothing."""
        with unavailable_as_our_error("taking a cancel request"):
            raw = experiment_id.encode("utf-8", "surrogateescape")
            self._client.lrem(self._keys.cancels, -1, cast("Any", raw))

    def cancel_later(self, experiment_id: str) -> None:
        """Put a cancel behind all others, so that they are read before it comes again."""
        with unavailable_as_our_error("keeping a cancel request"), self._client.pipeline() as pipe:
            raw = experiment_id.encode("utf-8", "surrogateescape")
            pipe.lrem(self._keys.cancels, -1, cast("Any", raw))
            pipe.lpush(self._keys.cancels, raw)
            pipe.execute()


def _refuse_unless_list(key: str, kind: bytes) -> None:
    if kind not in (b"none", b"list"):
        raise WrongKeyType(
            f"`{key}` in Redis is a {kind.decode('ascii', 'replace')}; a list is expected there. Rename or delete it: "
            "results for it wait on this node's disk until then."
        )
