"""A node that keeps the protocol and computes nothing: for tests of dispatch with a real Redis."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import redis

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.keys import NodeKeys, QueueKeys

MODELS, METRICS = ["ridge", "mlp"], ["spearman", "pearson", "mse", "ndcg", "top10_recall"]


@dataclass
class StandIn:
    """One node; its memory (`decided`, `results`) is what a real one keeps in `state.db`."""

    client: "redis.Redis"
    name: str
    labels: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    embedders: dict[str, str] = field(default_factory=lambda: {"onehot": "none"})
    more: dict[str, Any] = field(default_factory=dict)
    """Further capabilities."""
    claimed: list[bytes] = field(default_factory=list)
    decided: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    """Message ids in the order of their execution."""

    @property
    def keys(self) -> QueueKeys:
        return QueueKeys().of_node(self.name)

    def beat(self, alive_for_s: float = 15.0) -> None:
        capabilities = {
            "node": self.name, "time": timestamp(), "models": MODELS, "metrics": METRICS, "labels": self.labels,
            "stores": self.stores,
            "embedders": [{"name": name, "weights": weights} for name, weights in self.embedders.items()],
            "memory_total_bytes": 16_000_000_000, "cpu_count": 4, **self.more,
        }  # fmt: skip
        heartbeat = {"node": self.name, "time": timestamp(), "state": "idle", "queue": self.keys.messages}
        keys, life = NodeKeys(self.name), int(alive_for_s * 1000)
        self.client.set(keys.capabilities, json.dumps(capabilities), px=life)
        self.client.set(keys.heartbeat, json.dumps(heartbeat), px=life)

    def die(self) -> None:
        """Without a heartbeat, as 15 s after a SIGKILL."""
        self.client.delete(*NodeKeys(self.name).all())

    def claim(self) -> dict[str, Any] | None:
        """Take the next message, as a node does; a copy of a decided one is answered with its stored result."""
        raw: Any = self.client.lmove(self.keys.messages, self.keys.claimed(self.name), "RIGHT", "LEFT")
        if raw is None:
            return None
        message = json.loads(raw)
        known = message["message_id"] in self.decided
        self.decided[message["message_id"]] = message
        self.client.lrem(self.keys.claimed(self.name), 1, raw)
        if known:
            if message["message_id"] in self.results:
                self._deliver(self.results[message["message_id"]])
            return None
        self.tell(message, "accepted", state="PENDING", generation=1, attempt=1)
        return message

    def lent(self) -> dict[str, Any] | None:
        """What the Master has lent this machine to."""
        raw: Any = self.client.get(self.keys.lent)
        return None if raw is None else json.loads(raw)

    def cancels(self) -> list[str]:
        return [raw.decode() for raw in self.client.lrange(self.keys.cancels, 0, -1)]

    def tell(self, message: dict[str, Any], event: str, **fields: Any) -> None:
        experiment_id = message["experiment_id"]
        self.client.hset(
            self.keys.status(experiment_id), mapping={name: str(value) for name, value in fields.items()}
        )
        document = {
            "event": event, "experiment_id": experiment_id, "timestamp": timestamp(), "payload": fields,
        }  # fmt: skip
        self.client.publish(self.keys.events, json.dumps(document))

    def finish(self, message: dict[str, Any], status: str = "SUCCEEDED", **more: Any) -> dict[str, Any]:
        """Execute a message in no time, and put its result on the list."""
        self.executed.append(message["message_id"])
        error = None if status == "SUCCEEDED" else {"code": status.lower(), "message": "said the stand-in"}
        is_rejected = status == "REJECTED"
        result = {
            "result_id": f"{self.name}-{time.time_ns()}", "message_id": message["message_id"],
            "experiment_id": message["experiment_id"], "generation": None if is_rejected else 1,
            "attempt": None if is_rejected else 1, "status": status,
            "summary": {"test/spearman": 0.5} if status == "SUCCEEDED" else {},
            "stages": {"train": "computed", "evaluate": "computed"} if status == "SUCCEEDED" else {}, "error": error,
            "artifacts": {"directory": None, "files": []}, "trace": None, "started_at": timestamp(),
            "finished_at": timestamp(), "node": self.name, "schema_version": 1, **more,
        }  # fmt: skip
        self.results[message["message_id"]] = result
        if not is_rejected:
            self.tell(message, "finished", state=status)
        self._deliver(result)
        return result

    def work(self) -> bool:
        """Claim and finish one message; false when there was none."""
        message = self.claim()
        if message is None:
            return False
        is_cancelled = message["experiment_id"] in self.cancels()
        if is_cancelled:
            self.client.lrem(self.keys.cancels, 0, message["experiment_id"])
        self.finish(message, "CANCELLED" if is_cancelled else "SUCCEEDED")
        return True

    def _deliver(self, result: dict[str, Any]) -> None:
        self.client.lpush(self.keys.all_results, json.dumps(result))
