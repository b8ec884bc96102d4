"""Thousands of messages at once while parts of the node are killed: each has exactly one answer, and the right one.

One of a hundred is an experiment; the others are refused for their flags, so that the intake, the outbox and the lists
are what is under load. The guard that it relies on, the claim on a message, has its twin in `test_redis_redelivery`.
"""

import json
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from proteinx_pipelines_tests.chaos.campaign import PATIENCE_S, Campaign, campaign_node, experiment, rows
from proteinx_pipelines_tests.chaos.trials import how_many, how_often, printed_seed

pytestmark = [
    pytest.mark.story,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not how_often(0, 1), reason="takes minutes: make chaos SCENARIO=burst"),
]
BURST = how_many(10_000)
EXPERIMENTS = 100
ENDED = "SELECT count(*) FROM generations WHERE finished_at IS NOT NULL"


@dataclass(kw_only=True)
class Burst(Campaign):
    """All messages in one push, then kills until all are answered."""

    def run(self, within_s: float) -> list[str]:
        chance, began = random.Random(self.seed), time.monotonic()
        messages, expected = burst(self.messages)
        self.node.redis.lpush("experiments", *messages)
        self.say(
            f"seed {self.seed}: {len(messages):,} messages at once, a kill about every {self.every_s:g} s"
        )
        kill_at, ended_before, patience_at = began + self.every_s, -1, 0.0
        while time.monotonic() - began < within_s:
            ended = rows(self.node, "state.db", ENDED)[0][0]
            if time.monotonic() > kill_at and (ended > ended_before or time.monotonic() > patience_at):
                self._strike(chance)
                kill_at = time.monotonic() + chance.uniform(0.5, 1.5) * self.every_s
                ended_before, patience_at = ended, time.monotonic() + PATIENCE_S
            self._continue()
            if not self._stopped and self._answers() >= len(messages):
                break
            time.sleep(0.5)
        time.sleep(5.0)  # a second copy of something would come now
        self.say(f"{time.monotonic() - began:.0f} s, kills: {dict(self.kills)}")
        found = Counter((result["message_id"], result["status"]) for result in self._results())
        right = Counter(dict.fromkeys(expected.items(), 1))
        problems = [f"{what}: {count} too many" for what, count in (found - right).items()]
        return [*problems, *(f"{what}: missing" for what in right - found)][:50]

    def _answers(self) -> int:
        try:
            return int(self.node.redis.llen("experiments:results"))
        except (redis.RedisError, OSError, ValueError):
            return 0


def burst(count: int) -> tuple[list[str], dict[str, str]]:
    """Messages, and the status with which each has to be answered, by its message id."""
    messages, expected = [], {}
    for k in range(count):
        name = f"burst-{k:05d}"
        if k % (count // EXPERIMENTS):
            flags: dict[str, Any] = {"data": {"source": "GB1_Nisthal_2019"}, "train": {"max_epochs": -k}}
            expected[name] = "REJECTED"
        else:
            flags, expected[name] = experiment(k // (count // EXPERIMENTS) * 5)  # a ridge
        messages.append(json.dumps({"experiment_id": name, "message_id": name, "flags": flags}))
    return messages, expected


def test_ten_thousand_messages_at_once_are_answered_once_each_under_kills(tmp_path: Path) -> None:
    node = campaign_node(tmp_path)
    node.start()
    try:
        found = Burst(node, BURST, every_s=5.0, seed=printed_seed("burst"), faults=("kill", "two", "stop"))
        assert found.run(within_s=3000) == []
    finally:
        node.stop()
