"""Messages that a node has claimed and not decided yet, for any reader.

Usually there are none: a message is decided within milliseconds. One stays when a plugin of the node is broken, or when
the node that had claimed it is gone.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import redis

from proteinx_pipelines.contract.keys import NodeKeys, QueueKeys, literally
from proteinx_pipelines.experiment_id import experiment_id_problem
from proteinx_pipelines.queue.queue import unavailable_as_our_error

MOST_SHOWN = 100
"""Most messages of one list that are read."""
_PARSED_BYTES = 1024 * 1024


@dataclass(frozen=True)
class ClaimedMessage:
    """One message on the list of what a node has claimed."""

    node: str
    """Name under which it was claimed."""
    experiment_id: str | None
    """The experiment; None where the message has no usable id."""
    raw: bytes


@dataclass(frozen=True)
class UnusableKey:
    """A key of the node that holds the wrong type."""

    key: str
    found: str
    expected: str


class QueueView:
    """The lists of one queue, read only."""

    def __init__(self, client: "redis.Redis", queue_name: str, result_queue_name: str) -> None:
        self._client = client
        self._keys = QueueKeys(queue_name, result_queue_name)

    def claimed(self, node: str) -> list[ClaimedMessage]:
        """Messages that a node has claimed, oldest first, at most `MOST_SHOWN`."""
        with unavailable_as_our_error("reading claimed messages"):
            found = self._client.lrange(self._keys.claimed(node), -MOST_SHOWN, -1)
        return [
            ClaimedMessage(node, _experiment_id(raw), raw) for raw in reversed(cast("list[bytes]", found))
        ]

    def nodes_with_claims(self) -> list[str]:
        """Names of the nodes that have claimed messages, working or not."""
        start = self._keys.claimed("")
        with unavailable_as_our_error("looking for claimed messages"):
            keys = self._client.scan_iter(match=literally(start) + "*", count=1000)
            return sorted(key.decode("utf-8", "replace").removeprefix(start) for key in keys)

    def is_at_work(self, node: str) -> bool:
        """True if a node of this name has given a sign of life in the last ten minutes."""
        with unavailable_as_our_error("looking for a sign of life"):
            return bool(self._client.exists(self._keys.name(node), NodeKeys(node).heartbeat))

    def unusable_keys(self, node: str) -> Iterator[UnusableKey]:
        """The lists and hashes of a node whose keys hold the wrong type."""
        keys = self._keys
        lists = [keys.messages, keys.claimed(node), keys.cancels, keys.all_results]
        expected = {**dict.fromkeys(lists, "list"), keys.delivered: "hash"}
        with unavailable_as_our_error("looking at the types of keys"):
            for key, kind in expected.items():
                found = cast("bytes", self._client.type(key)).decode("ascii", "replace")
                if found not in ("none", kind):
                    yield UnusableKey(key, found, kind)


def _experiment_id(raw: bytes) -> str | None:
    try:
        document: Any = json.loads(raw[:_PARSED_BYTES])
        found = document["experiment_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return str(found) if experiment_id_problem(found) is None else None
