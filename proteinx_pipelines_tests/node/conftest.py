"""A real Redis-protocol server, a WORKDIR with a small real-shaped catalog, and an intake on both."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.talking.connections import master_line, master_queue
from proteinx_pipelines.queue.queue import RedisQueue, connect
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.node.world import FakeRuns, World


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
    return Intake(settings, Ledger(settings.state_path), queue)


@pytest.fixture
def world(intake: Intake) -> Iterator[World]:
    intake.settings.run_dir.mkdir(parents=True)
    master_queue.cache_clear()
    yield World(intake, FakeRuns())
    master_queue.cache_clear()


@pytest.fixture
def step_process() -> Iterator[Callable[[], int]]:
    """Start children that wait for ever, as a stuck stage does; all are gone at the end."""
    started: list[multiprocessing.process.BaseProcess] = []

    def start() -> int:
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        process.start()
        started.append(process)
        assert process.pid is not None
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.join()
