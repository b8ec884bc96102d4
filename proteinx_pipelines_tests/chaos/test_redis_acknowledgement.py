"""A worker whose acknowledgement failed because Redis was away still takes the next message.

Seen on a node: Redis was killed in the moment between two runs; the run host slept for ever, with its connections
closed by the server, and every later experiment was lost after a minute.
"""

from pathlib import Path
from typing import Any

import pytest
from kombu import Connection
from kombu.transport import redis as kombu_redis

from proteinx_pipelines.node.processes.celery_app import ForgivingQoS, make_app
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.chaos.redis_server import RedisServer

pytestmark = pytest.mark.slow


def can_consume_after_a_lost_acknowledgement(server: RedisServer) -> bool:
    """True if a consumer of one message at a time may take another one."""
    with Connection(server.url) as connection:
        queue = connection.SimpleQueue("q")
        queue.put({"run": 1})
        channel: Any = queue.channel
        channel.basic_qos(0, 1, False)
        message = queue.get(timeout=5)
        assert not channel.qos.can_consume()
        server.kill()
        with pytest.raises(connection.connection_errors):
            message.ack()
        server.start()
        return bool(channel.qos.can_consume())


def test_a_lost_acknowledgement_does_not_end_the_consuming(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kombu_redis.Channel, "QoS", ForgivingQoS)
    assert can_consume_after_a_lost_acknowledgement(server)


def test_without_that_it_would_end_for_ever(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kombu_redis.Channel, "QoS", kombu_redis.QoS)
    assert not can_consume_after_a_lost_acknowledgement(server)


def test_the_nodes_application_uses_it(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kombu_redis.Channel, "QoS", kombu_redis.QoS)
    make_app(load_settings({"REDIS_URL": server.url, "PROTEINX_WORKDIR": str(tmp_path / "w")}, tmp_path))
    assert kombu_redis.Channel.QoS is ForgivingQoS
