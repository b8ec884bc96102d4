"""Redis connection of the client: the lists, hashes and keys named in `contract.keys`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from proteinx_pipelines.contract.cancel import write_cancel
from proteinx_pipelines.contract.keys import CAPABILITIES, HEARTBEATS, QueueKeys
from proteinx_pipelines.errors import MissingPackage, QueueUnavailable
from proteinx_pipelines.redis_address import EXPECTED, address_problem

if TYPE_CHECKING:
    pass

_SOCKET_TIMEOUT_S = 30.0
"""Socket time-out, longer than every blocking pop: redis-py aborts a call that waits longer."""


class RedisLink:
    """One queue on one server."""

    def __init__(self, url: str, keys: QueueKeys) -> None:
        self._redis = _redis()
        self._keys = keys
        problem = address_problem(url)
        if problem is not None:
            raise QueueUnavailable(f"The address of Redis cannot be used: {problem}. {EXPECTED}.")
        self._client = self._redis.Redis.from_url(
            url, socket_timeout=_SOCKET_TIMEOUT_S, socket_connect_timeout=5, health_check_interval=25
        )

    def send(self, message: bytes) -> None:
        """Push a message; a re-sent message is answered again and runs once."""
        with self._or_unavailable("sending a message"):
            self._client.lpush(self._keys.messages, message)

    def cancel(self, experiment_id: str) -> None:
        """Ask for a cancel."""
        with self._or_unavailable("asking for a cancel"):
            self._client.lpush(self._keys.cancels, write_cancel(experiment_id))

    def result(self, reply_to: str, wait_s: float) -> bytes | None:
        """Take the oldest result off a sender's own list, waiting for at most `wait_s` seconds; None without one."""
        with self._or_unavailable("waiting for a result"):
            key = self._keys.results(reply_to)
            if wait_s <= 0:
                return cast("bytes | None", self._client.rpop(key))
            found = cast("tuple[bytes, bytes] | None", self._client.brpop([key], timeout=cast("int", wait_s)))
        return None if found is None else found[1]

    def status(self, experiment_id: str) -> dict[bytes, bytes]:
        """The status hash of an experiment; empty where there is none."""
        with self._or_unavailable("reading a status"):
            return cast("dict[bytes, bytes]", self._client.hgetall(self._keys.status(experiment_id)))

    def living(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Heartbeats and capabilities of the running nodes, by node name."""
        with self._or_unavailable("looking for nodes"):
            return self._found(HEARTBEATS), self._found(CAPABILITIES)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _found(self, pattern: str) -> dict[str, bytes]:
        keys = sorted(cast("Iterator[bytes]", self._client.scan_iter(match=pattern, count=1000)))
        texts = cast("list[bytes | None]", self._client.mget(keys)) if keys else []
        named = (
            (key.decode("utf-8", "replace").split("/")[1], text)
            for key, text in zip(keys, texts, strict=True)
        )
        return {name: text for name, text in named if text is not None}

    @contextmanager
    def _or_unavailable(self, doing: str) -> Iterator[None]:
        try:
            yield
        except self._redis.RedisError as error:
            raise QueueUnavailable(f"Redis did not answer while {doing}: {error}") from error


def _redis() -> Any:
    """The `redis` package, imported on first use: only pydantic is required, other packages are the sender's choice."""
    try:
        import redis
    except ImportError as error:
        raise MissingPackage(
            "redis is not installed, and addresses that begin with redis:// need it. "
            "Install it with: pip install 'proteinx-client[redis]'"
        ) from error
    return redis
