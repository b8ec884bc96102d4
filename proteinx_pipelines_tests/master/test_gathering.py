"""Changes of an event loop are gathered into groups: one commit for requests that came together, and none lost."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, insert, select

from proteinx_pipelines.master.database import gathering
from proteinx_pipelines.master.database.asked import Asked
from proteinx_pipelines.master.database.engine import MasterStateError
from proteinx_pipelines.master.database.tables import facts
from proteinx_pipelines.master.master import Master


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group lasts as long as changes come: on a busy machine, they may take their time."""
    monkeypatch.setattr(gathering, "LONGEST_S", 60.0)


@contextlib.contextmanager
def held(master: Master) -> Iterator[None]:
    """The writer is at work while the block lasts."""
    begun, going_on = threading.Event(), threading.Event()
    master.database.submit(lambda _connection: begun.set() or going_on.wait(60))
    assert begun.wait(60)
    try:
        yield
    finally:
        going_on.set()


class Adding:
    """A change that writes facts, and notes which of them came together."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []

    def __call__(self, connection: Connection, names: list[str]) -> list[str]:
        self.groups.append(list(names))
        connection.execute(insert(facts), [{"name": name, "value": 1} for name in names])
        return [name.upper() for name in names]


@pytest.mark.usefixtures("patient")
def test_requests_that_come_together_have_one_commit(master: Master) -> None:
    """Incident: the first of 32 had a commit for itself, which then took ten times as long beside the others."""
    adding = Adding()

    async def ask(k: int) -> str:
        for _ in range(k % gathering.QUIET_TURNS):  # some are a turn of the loop behind
            await asyncio.sleep(0)
        return await master.database.awrite_together(adding, f"n{k}")

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*map(ask, range(32)))

    assert asyncio.run(all_of_them()) == [f"N{k}" for k in range(32)]
    assert [len(group) for group in adding.groups] == [32]


def test_a_group_ends_though_more_keep_coming(master: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LONGEST_S", 0.0)
    adding = Adding()

    async def crowd() -> None:
        tasks = [asyncio.create_task(master.database.awrite_together(adding, "first"))]
        end = time.monotonic() + 60
        while not tasks[0].done():  # without a bound, each turn's new one would keep the group open
            assert time.monotonic() < end
            tasks.append(asyncio.create_task(master.database.awrite_together(adding, f"n{len(tasks)}")))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    asyncio.run(crowd())
    assert "first" in adding.groups[0]


def test_each_request_of_a_group_gets_its_own_error(master: Master) -> None:
    def some_are_wrong(_connection: Connection, names: list[str]) -> list[str | Exception]:
        return [KeyError(name) if name == "wrong" else name for name in names]

    async def ask() -> list[str | BaseException]:
        asked = [master.database.awrite_together(some_are_wrong, name) for name in ("a", "wrong", "b")]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, second, third = asyncio.run(ask())
    assert (first, third) == ("a", "b")
    assert isinstance(second, KeyError)


def test_a_request_that_is_broken_off_while_it_waits_changes_nothing(master: Master) -> None:
    async def break_off() -> None:
        change = master.database.awrite(
            lambda connection: connection.execute(insert(facts).values(name="x", value=1))
        )
        task = asyncio.create_task(change)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with held(master):
        asyncio.run(break_off())
    assert master.database.write(lambda _connection: "goes on") == "goes on"
    with master.database.reading() as connection:
        assert "x" not in set(connection.execute(select(facts.c.name)).scalars())


def test_a_request_at_the_end_is_made_or_refused(master: Master) -> None:
    """None waits for ever, whether its group had been queued or not."""

    async def ask_while_closing(delay: int) -> None:
        asked = asyncio.create_task(master.database.awrite(lambda _connection: "made"))
        for _ in range(delay):
            await asyncio.sleep(0)
        master.database._is_closed = True  # what `close` does first
        try:
            assert await asyncio.wait_for(asked, 60) == "made"
        except MasterStateError as error:
            assert "stopping" in str(error)  # noqa: PT017  # both are right
        finally:
            master.database._is_closed = False

    for delay in range(2 * gathering.QUIET_TURNS):
        asyncio.run(ask_while_closing(delay))


def test_a_loop_that_has_ended_does_not_end_the_writer(master: Master) -> None:
    loop = asyncio.new_event_loop()
    gone = Asked(lambda _connection: "for nobody", future=loop.create_future())
    loop.close()
    master.database._queue([gone])
    assert master.database.write(lambda _connection: "goes on") == "goes on"


def test_a_commit_that_fails_is_told_to_everyone_in_it(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full, say: who had an error of its own keeps it."""

    def own(_connection: Connection) -> None:
        raise KeyError("own")

    async def ask() -> list[object]:
        with held(master):
            asked = [master.database.awrite(lambda _connection: 1), master.database.awrite(own)]
            both = asyncio.gather(*asked, return_exceptions=True)
            await asyncio.sleep(0.05)
            real = master.database._writing

            @contextlib.contextmanager
            def full():
                with real() as connection:
                    yield connection
                    raise OSError("no space left")

            monkeypatch.setattr(master.database, "_writing", full)
        found = await asyncio.wait_for(both, 60)
        monkeypatch.undo()
        return found

    commit, error = asyncio.run(ask())
    assert isinstance(commit, OSError)
    assert isinstance(error, KeyError)
