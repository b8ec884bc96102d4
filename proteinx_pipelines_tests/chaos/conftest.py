"""The node's own fixtures, for faults at the point of intake, and a server that can be killed and rolled back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from proteinx_pipelines_tests.chaos.redis_server import RedisServer
from proteinx_pipelines_tests.node.conftest import intake, settings

__all__ = ["intake", "settings"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis-protocol server of this test's own, with an append-only file."""
    found = RedisServer(tmp_path / "redis")
    found.start()
    yield found
    found.kill()
