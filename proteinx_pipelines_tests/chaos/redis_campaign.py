"""Messages while Redis is restarted, rolled back and away: the conditions at the end.

The Master of this campaign leaves every result on the list, so that extra copies are seen as well as missing ones.
"""

import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from proteinx_pipelines_tests.chaos.campaign import SOURCE, Campaign, experiment, journal, rows
from proteinx_pipelines_tests.chaos.redis_server import RedisServer
from proteinx_pipelines_tests.story.conftest import ANSWER_WITHIN_S, Node

OUTAGE_EPOCHS_A_SECOND = 10
"""So that a training lasts about as long as the outage: a small perceptron, on a core that others use too."""
_OUTAGE = "FROM generations WHERE experiment_id = 'chaos-outage'"
IN_TRAINING = f"SELECT 1 {_OUTAGE} AND stage = 'train' AND progress > 0"
TRAINED = f"SELECT attempt, losses, failures, state {_OUTAGE}"


class RemoteNode(Node):
    """A node whose Redis is somebody else's."""

    @property
    def redis(self) -> redis.Redis:
        """A plain client, as the Master's."""
        return redis.Redis.from_url(
            self.environment["REDIS_URL"], socket_timeout=30, socket_connect_timeout=10
        )

    def pop(self) -> dict[str, Any]:
        """The next result; asked for again and again, since this server is slow or away at times."""
        end = time.monotonic() + 2 * ANSWER_WITHIN_S
        while time.monotonic() < end:
            with contextlib.suppress(redis.RedisError):
                if found := self.redis.rpop("experiments:results"):
                    return dict(json.loads(found))
            time.sleep(0.2)
        raise AssertionError("no result came")


@dataclass(kw_only=True)
class RedisCampaign(Campaign):
    """One campaign against one node and its server; `messages` is the number beside each fault."""

    server: RedisServer
    restarts: int = 10
    roll_backs: int = 3
    flushes: int = 0
    client_kills: int = 0
    """Kills of every connection to the server, as an administrator does; one after another."""
    outage_s: float = 60.0
    every_s: float = 1.0

    def run(self, within_s: float) -> list[str]:
        """Faults in random order, messages before each; what is wrong when all are answered, or `within_s` later."""
        chance, self._expected = random.Random(self.seed), dict[str, str]()
        faults: list[Callable[[random.Random], None]] = [
            *[self._restart] * self.restarts,
            *[self._roll_back] * self.roll_backs,
            *[self._flush] * self.flushes,
            *[self._kill_clients] * bool(self.client_kills),
            *[self._outage] * bool(self.outage_s),
        ]
        chance.shuffle(faults)
        self.say(
            f"seed {self.seed}: {self.restarts} restarts of Redis, {self.roll_backs} roll-backs, {self.flushes} times "
            f"FLUSHALL, {self.client_kills} kills of all clients, {self.outage_s:g} s of outage, {self.messages} "
            "messages at each"
        )
        began = time.monotonic()
        for fault in faults:
            self._send(self.messages)
            time.sleep(chance.uniform(0.0, 2 * self.every_s))
            fault(chance)
            self.kills[fault.__name__.strip("_")] += 1
        self._wait(lambda: self._answered() >= self._expected.keys(), within_s)
        time.sleep(8.0)  # a second copy of something would come now
        self.say(f"{time.monotonic() - began:.0f} s, faults: {dict(self.kills)}")
        return [*self._problems(self._expected), *self._executed_twice()]

    # ------------------------------------------------------------------ faults
    def _restart(self, _chance: random.Random) -> None:
        self.server.kill()
        self.server.start()

    def _flush(self, _chance: random.Random) -> None:
        """Everything in Redis is gone, Celery's tasks too; the node knows of all that it has taken."""
        self._wait(lambda: not self._in_redis_only(), 60)
        self.server.client.flushall()

    def _kill_clients(self, chance: random.Random) -> None:
        for _ in range(self.client_kills):
            self.server.client.client_kill_filter(_type="normal", skipme=True)
            time.sleep(chance.uniform(0.0, 0.3))

    def _roll_back(self, chance: random.Random) -> None:
        """To a moment at which messages waited, from one at which some have their results."""
        copy = self.server.folder.with_name("older")
        before = self._answered()
        self._send(2)
        self.server.snapshot(copy)
        # What is still only in Redis is lost by a roll-back, and sent again by a Master that hears nothing.
        self._wait(lambda: self._answered() > before and not self._in_redis_only(), 60)
        time.sleep(chance.uniform(0.0, self.every_s))
        self.say(f"rolling back; the list has {len(self._answered())} results")
        self.server.roll_back(copy)

    def _outage(self, _chance: random.Random) -> None:
        """Redis is away in a training, which ends meanwhile or afterwards."""
        epochs = int(self.outage_s * OUTAGE_EPOCHS_A_SECOND)
        train = {"max_epochs": epochs, "patience": epochs}
        flags = {
            "data": {"source": SOURCE},
            "model": {"name": "mlp", "hidden_dims": [8]},
            "train": train,
            "evaluate": {"bootstrap": 10},
        }
        self._expected["chaos-outage"] = "SUCCEEDED"
        self._push("chaos-outage", flags)
        self._wait(lambda: rows(self.node, "state.db", IN_TRAINING), 120)
        self.server.kill()
        time.sleep(self.outage_s)
        self.server.start()

    # ------------------------------------------------------------------ the Master
    def _send(self, count: int) -> None:
        for _ in range(count):
            k = len(self._expected)
            flags, self._expected[f"chaos-{k:04d}"] = experiment(k)
            self._push(f"chaos-{k:04d}", flags)

    def _answered(self) -> set[str]:
        return {result["experiment_id"] for result in self._results()}

    def _in_redis_only(self) -> bool:
        client = self.node.redis
        try:
            return bool(
                client.llen("experiments") or any(map(client.llen, client.keys("experiments:processing:*")))
            )
        except redis.RedisError:  # late, on a busy machine: asked again
            return True

    def _wait(self, until: Callable[[], Any], within_s: float) -> None:
        end = time.monotonic() + within_s
        while time.monotonic() < end and not until():
            time.sleep(0.2)

    def _executed_twice(self) -> list[str]:
        begun = Counter(
            (fact["id"], fact["generation"], fact["stage"])
            for fact in journal(self.node)
            if fact["event"] == "begin"
        )
        problems = [f"{key} was executed {count} times" for key, count in begun.items() if count > 1]
        if self.outage_s and rows(self.node, "state.db", TRAINED) != [(1, 0, 0, "SUCCEEDED")]:
            problems.append(f"the training in the outage: {rows(self.node, 'state.db', TRAINED)}")
        return problems


def redis_node(folder: Path, server: RedisServer, environment: dict[str, str]) -> RemoteNode:
    """A node on `server`."""
    return RemoteNode(folder, {**environment, "REDIS_URL": server.url, "PROTEINX_NODE_NAME": "redis-chaos"})
