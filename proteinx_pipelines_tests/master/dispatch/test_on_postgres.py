"""Dispatch with PostgreSQL as the Master's database: the same tests, kill points and random lives as with SQLite."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import create_engine, text

from proteinx_pipelines.master.dispatch import dispatcher
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.master.dispatch import test_direct, test_dispatcher, test_kill_points
from proteinx_pipelines_tests.master.dispatch.conftest import World
from proteinx_pipelines_tests.master.dispatch.test_property import Life
from proteinx_pipelines_tests.postgres import running_postgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture
def world(open_master: Callable[..., Master], valkey_url: str, database_url: str) -> Iterator[World]:
    """An empty world on PostgreSQL."""
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    client = connect(valkey_url)
    client.flushall()
    master = open_master(REDIS_URL=valkey_url, PROTEINX_MASTER_DATABASE_URL=database_url)
    assert master.database.engine.dialect.name == "postgresql"
    yield World(master, client)
    client.close()


def _of(module: object) -> dict[str, object]:
    """The tests of a module; here they run on this module's world."""
    return {name: test for name, test in vars(module).items() if name.startswith("test_") and callable(test)}


globals().update({**_of(test_dispatcher), **_of(test_direct), **_of(test_kill_points)})


@pytest.mark.parametrize("seed", range(3, 5))
def test_the_promises_hold(world: World, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "UNHEARD_S", 0.0)
    monkeypatch.setattr(dispatcher, "CANCEL_AGAIN_S", 0.0)
    assert Life(world, seed).live() == []
