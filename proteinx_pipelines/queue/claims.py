"""Registry in Redis of the WORKDIR that has taken each message, shared by every node on the same list.

    <queue>:message:<hash of its key>   the WORKDIR that has taken the message: a re-sent copy is its business
    <queue>:owner:<WORKDIR>             there while a node works in that WORKDIR
    <queue>:name:<node>                 the WORKDIR whose node has that name
    <queue>:for:<WORKDIR>               copies that another node has taken from the list, for that WORKDIR to answer

A WORKDIR is named by an id of its `state.db`, not by its node's name: that may change from one start to the next. One
that has given no sign of life for `OWNER_S` seconds owns nothing any more.
"""

from typing import Any, cast

import redis

from proteinx_pipelines.contract.keys import NodeKeys, QueueKeys
from proteinx_pipelines.queue.queue import unavailable_as_our_error

OWNER_S = 600
"""Seconds without a sign of life after which another node takes over a WORKDIR's claimed, unanswered messages."""
SAME_NAME_S = 30
"""The same, in seconds, for a WORKDIR whose node had this node's name: names are unique, so it is this node's past,
whose `state.db` was lost."""
MESSAGE_S = 30 * 24 * 3600
"""Life of the note that names a message's WORKDIR, in seconds."""


class MessageClaims:
    """The claims of one WORKDIR, on one Redis connection."""

    def __init__(self, client: "redis.Redis", queue_name: str, workdir_id: str, node: str) -> None:
        self._client = client
        self._keys = QueueKeys(queue_name)
        self._id = workdir_id
        self._node = node

    def renew(self) -> None:
        """Record that a node works in this WORKDIR."""
        with unavailable_as_our_error("saying who is here"), self._client.pipeline(transaction=False) as pipe:
            self._sign(pipe)
            pipe.execute()

    def claim(self, message_key: str) -> str | None:
        """Take a message for this WORKDIR, unless another one that lives has taken it.

        Returns:
            The id of the WORKDIR that has the message; None when it is this one.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        key = self._keys.taken(message_key)
        with unavailable_as_our_error("claiming a message's key"):
            with self._client.pipeline(transaction=False) as pipe:
                self._sign(pipe)
                pipe.set(key, self._id, nx=True, ex=MESSAGE_S)
                pipe.get(key)
                holder = _text(pipe.execute()[-1])
            if holder in (None, self._id):
                return None
            return self._take_over(key)

    def hand_on(self, workdir_id: str, message: bytes) -> None:
        """Leave a message to the WORKDIR that has taken it before; the caller acknowledges its own copy afterwards."""
        with unavailable_as_our_error("handing a message on"):
            # One after the other, not a transaction: with a push that fails, the caller's copy has to stay.
            self._client.lpush(self._keys.handed_on(workdir_id), message)
            self._client.sadd(self._keys.handed, workdir_id)

    def handed_on(self) -> list[str]:
        """Keys of lists with messages handed on to this WORKDIR, or to one that is gone since."""
        with unavailable_as_our_error("looking for messages that were handed on"):
            handed = {_text(raw) for raw in cast("set[bytes]", self._client.smembers(self._keys.handed))}
            return [
                self._keys.handed_on(other)
                for other in sorted(filter(None, handed))
                if self._is_ours_or_gone(other)
            ]

    def claimed_before(self, former_names: list[str]) -> list[str]:
        """Keys of lists with messages that this WORKDIR has claimed under former names of its node.

        Excludes a name that another node has by now: the messages there belong to that node.
        """
        with unavailable_as_our_error("looking for claimed messages"):
            return [self._keys.claimed(name) for name in former_names if self._is_free(name)]

    def _take_over(self, key: str) -> str | None:
        """Replace the claim of a WORKDIR that is gone; returns the id of another new holder, or None."""
        with self._client.pipeline() as pipe:
            while True:
                try:
                    pipe.watch(key)  # type: ignore[no-untyped-call]
                    holder = _text(cast("bytes | None", pipe.get(key)))
                    if holder == self._id:
                        return None
                    if holder is not None and self._lives(holder):
                        return holder
                    pipe.multi()
                    pipe.set(key, self._id, ex=MESSAGE_S)
                    pipe.execute()
                    return None
                except redis.WatchError:
                    continue

    def _is_ours_or_gone(self, workdir_id: str) -> bool:
        return workdir_id == self._id or not self._lives(workdir_id)

    def _lives(self, workdir_id: str) -> bool:
        """True if a WORKDIR has given a sign of life lately."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.get(self._keys.owner(workdir_id))
            pipe.ttl(self._keys.owner(workdir_id))
            name, left = pipe.execute()
        if name is None:
            return False
        return _text(name) != self._node or int(left) > OWNER_S - SAME_NAME_S

    def _is_free(self, name: str) -> bool:
        """True if no node of another WORKDIR has this name now."""
        holder = _text(cast("bytes | None", self._client.get(self._keys.name(name))))
        if holder is not None:
            return holder == self._id
        return not self._client.exists(
            NodeKeys(name).heartbeat
        )  # a node of a version that did not record its WORKDIR

    def _sign(self, pipe: Any) -> None:
        pipe.set(self._keys.owner(self._id), self._node, ex=OWNER_S)
        pipe.set(self._keys.name(self._node), self._id, ex=OWNER_S)


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "replace")
