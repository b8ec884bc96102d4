"""Dispatch with PostgreSQL as the Master's database: the same tests, kill points and random lives as with SQLite."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import create_engine, text

from proteinx_pipelines.master.database.engine import MasterStateError
from proteinx_pipelines.master.dispatch import dispatcher
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.master.dispatch import test_dispatcher, test_kill_points, test_property
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


globals().update({name: test for name, test in vars(test_dispatcher).items() if name.startswith("test_")})


def test_a_second_master_on_the_database_is_refused_until_the_first_has_stopped(
    world: World, open_master: Callable[..., Master], database_url: str
) -> None:
    with pytest.raises(MasterStateError, match="Another Master works on the database"):
        open_master(PROTEINX_MASTER_DATABASE_URL=database_url)
    world.master.close()
    assert open_master(PROTEINX_MASTER_DATABASE_URL=database_url).seat is not None


@pytest.mark.parametrize("at", [5, 17, 29])
def test_a_master_that_is_killed_loses_nothing_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    test_kill_points.test_a_master_that_is_killed_anywhere_loses_nothing_and_doubles_nothing(
        world, monkeypatch, at
    )


def test_the_promises_hold(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_property, "TURNS", 20)
    monkeypatch.setattr(dispatcher, "UNHEARD_S", 0.0)
    monkeypatch.setattr(dispatcher, "CANCEL_AGAIN_S", 0.0)
    assert Life(world, 3).live() == []
