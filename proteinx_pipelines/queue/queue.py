"""The queue to and from the Master: an interface, and Redis lists behind it.

`dequeue` moves a message to a processing list; `ack` removes it from there, once it is durable here. A second
queue is a second class. `contract` defines a message; `node.lifecycle.intake` decides about it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from proteinx_pipelines.contract.keys import QueueKeys
from proteinx_pipelines.errors import QueueUnavailable, WrongKeyType
from proteinx_pipelines.redis_address import EXPECTED

SOCKET_TIMEOUT_S = 30.0
"""Above every blocking pop: redis-py aborts a call that waits longer than its socket time-out."""


class QueueClient(Protocol):
    """Interface of the queue that the node needs."""

    def enqueue(self, message: bytes) -> None:
        """Put a message where the node will take it from last."""

    def dequeue(self, wait_s: float) -> bytes | None:
        """Claim the next message, waiting up to `wait_s` seconds (0: not at all); None when there is none."""

    def ack(self, message: bytes) -> None:
        """Forget a claimed message: it is durable on the node."""

    def claimed(self) -> Sequence[bytes]:
        """Messages claimed and not acknowledged, left behind by a crash."""

    def waiting(self) -> int:
        """Number of messages not claimed yet."""

    def dequeue_from(self, source: str) -> bytes | None:
        """Claim the oldest message on another list; None when there is none."""


def connect(url: str, patience_s: float = SOCKET_TIMEOUT_S) -> "redis.Redis":
    """A client that does not repeat commands behind our back: a repeated push would double a result.

    Args:
        url: of the server.
        patience_s: seconds to wait for an answer; at most 5 for a connection.
    """
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=patience_s,
            socket_connect_timeout=min(5.0, patience_s),
            health_check_interval=25,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:  # its text contains a part of the address, which may be a part of the password
        problem = "an option behind its `?` is not one that redis-py takes"
    raise QueueUnavailable(f"The address of Redis cannot be read: {problem}. {EXPECTED}.")


@contextmanager
def unavailable_as_our_error(doing: str) -> Iterator[None]:
    """Turn Redis' own errors into `QueueUnavailable`, naming the failed operation.

    Raises:
        WrongKeyType: a key holds another type than it is for; other keys can be used.
        QueueUnavailable: Redis did not answer, or answered with another error.
    """
    try:
        yield
    except redis.ResponseError as error:
        if "WRONGTYPE" not in str(error):  # in a pipeline the text begins with the command
            raise QueueUnavailable(f"Redis did not answer while {doing}: {error}") from error
        raise WrongKeyType(
            f"Redis has something else where a list or hash of the node belongs (while {doing}): rename or delete "
            "the key. `proteinx doctor` names it."
        ) from error
    except redis.RedisError as error:
        raise QueueUnavailable(f"Redis did not answer while {doing}: {error}") from error


class RedisQueue:
    """Messages on one Redis list, claimed on another (`<name>:processing:<node>`)."""

    def __init__(self, client: "redis.Redis", name: str, node: str, *, take_from: str = "right") -> None:
        self._client = client
        self._name = name
        self._processing = QueueKeys(name).claimed(node)
        self._take_from = take_from.upper()

    def enqueue(self, message: bytes) -> None:
        """Push on the Master's side."""
        with unavailable_as_our_error("pushing a message"):
            if self._take_from == "RIGHT":
                self._client.lpush(self._name, message)
            else:
                self._client.rpush(self._name, message)

    def dequeue(self, wait_s: float) -> bytes | None:
        """Move the next message to the processing list and return it."""
        with unavailable_as_our_error("claiming a message"):
            if wait_s <= 0:
                moved = self._client.lmove(self._name, self._processing, self._take_from, "LEFT")
            else:
                moved = self._client.blmove(
                    self._name, self._processing, cast("int", wait_s), self._take_from, "LEFT"
                )  # Redis takes fractions of a second; the stub knows whole ones
        return cast("bytes | None", moved)

    def ack(self, message: bytes) -> None:
        """Remove one copy of the message from the processing list."""
        with unavailable_as_our_error("acknowledging a message"):
            self._client.lrem(self._processing, 1, cast("Any", message))

    def claimed(self) -> Sequence[bytes]:
        """The processing list, oldest claim first."""
        with unavailable_as_our_error("reading the claimed messages"):
            return list(reversed(cast("list[bytes]", self._client.lrange(self._processing, 0, -1))))

    def waiting(self) -> int:
        """Length of the Master's list."""
        with unavailable_as_our_error("counting messages"):
            return self._client.llen(self._name)

    def dequeue_from(self, source: str) -> bytes | None:
        """Move the oldest message on another list to the processing list and return it."""
        with unavailable_as_our_error("taking over a message"):
            return cast("bytes | None", self._client.lmove(source, self._processing, "RIGHT", "LEFT"))
