"""A real Redis-protocol server, a WORKDIR with a small real-shaped catalog, and an intake on both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from proteinx_pipelines.inbox.queue import RedisQueue, connect
from proteinx_pipelines.node.intake import Intake
from proteinx_pipelines.node.line import master_line
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines.state.store import StateStore


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> Iterator[Settings]:
    """A node's settings on an empty WORKDIR and an empty server."""
    connect(redis_url).flushdb()
    master_line.cache_clear()
    yield load_settings(
        {
            "REDIS_URL": redis_url,
            "PROTEINX_WORKDIR": str(tmp_path / "workdir"),
            "PROTEINX_NODE_NAME": "test-node",
        },
        tmp_path,
    )
    master_line.cache_clear()


@pytest.fixture
def intake(settings: Settings) -> Intake:
    """An intake on the server and on a fresh `state.db`."""
    queue = RedisQueue(connect(settings.redis_url or ""), settings.queue_name, settings.node_name)
    return Intake(settings, StateStore(settings.state_path), queue)
