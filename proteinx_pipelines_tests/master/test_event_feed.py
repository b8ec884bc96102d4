"""Many who follow the events share one reader: each gets every event once, in order, wherever it began."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from proteinx_pipelines.master import events
from proteinx_pipelines.master.http import event_feed
from proteinx_pipelines.master.http import events as routes
from proteinx_pipelines.master.http.event_feed import EventFeed
from proteinx_pipelines.master.master import Master
from proteinx_pipelines_tests.master.experiments import new_job

STREAMS, EVENTS = 40, 8


class Stream:
    """One stream, and what it has told so far."""

    def __init__(self, feed: EventFeed, master: Master, seq: int, job_id: str | None = None) -> None:
        self.told: list[Any] = []
        self.pause_s = 0.0
        self._lines = routes.follow(feed, master, seq, job_id)
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for lines in self._lines:
            for line in lines.decode().splitlines():
                if line.startswith("data: "):
                    self.told.append(json.loads(line.removeprefix("data: ")).get("data", {}).get("k"))
            await asyncio.sleep(self.pause_s)


def tell(master: Master, k: int, job_id: str | None = None, **columns: Any) -> None:
    """Write an event, and columns of its job."""

    def work(connection) -> None:
        if columns:
            connection.execute(
                routes.job_rows.update().where(routes.job_rows.c.job_id == job_id).values(**columns)
            )
        events.record(connection, "test", {"k": k}, job_id=job_id)

    master.database.write(work)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that comes."""
    async with asyncio.timeout(120):
        while not is_so():
            await asyncio.sleep(0.02)


def run(master: Master, work: Callable[[EventFeed, Callable[..., Stream]], Awaitable[None]]) -> EventFeed:
    """Do the work in an event loop, with a feed and a way to open streams; they end with the Master's."""

    async def whole() -> EventFeed:
        master.bell.attach(asyncio.get_running_loop())
        feed, opened = EventFeed(master.database, master.bell), list[Stream]()

        def open_stream(*arguments: Any) -> Stream:
            opened.append(Stream(feed, master, *arguments))
            return opened[-1]

        await work(feed, open_stream)
        master.bell.stop()
        async with asyncio.timeout(120):
            await asyncio.gather(*(stream.task for stream in opened), return_exceptions=True)
        return feed

    return asyncio.run(whole())


def in_a_thread(function: Callable[..., Any], *arguments: Any, **more: Any) -> Coroutine[Any, Any, Any]:
    return asyncio.to_thread(partial(function, *arguments, **more))


def test_all_get_every_event_once_and_one_reader_reads_for_all(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Incident: each of 200 open pages read the database for itself at every commit, for seconds of processor time."""
    own_looks: list[int] = []
    real = routes._behind
    monkeypatch.setattr(
        routes, "_behind", lambda *given, **more: (own_looks.append(1), real(*given, **more))[1]
    )

    async def work(feed: EventFeed, open_stream: Callable[..., Stream]) -> None:
        for k in range(3):
            await in_a_thread(tell, master, k)
        streams = [open_stream(0) for _ in range(STREAMS)]
        await until(lambda: feed.followers == STREAMS)
        before = len(own_looks)
        for k in range(3, EVENTS):
            await in_a_thread(tell, master, k)
            await until(lambda k=k: all(stream.told[-1:] == [k] for stream in streams))
        assert [stream.told for stream in streams] == [list(range(EVENTS))] * STREAMS
        assert len(own_looks) == before

    assert run(master, work).followers == 0


def test_a_stream_that_is_too_slow_for_the_feed_reads_for_itself(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "KEPT", 2)
    monkeypatch.setattr(event_feed, "GATHER_S", 0.0)

    async def work(feed: EventFeed, open_stream: Callable[..., Stream]) -> None:
        quick, slow = open_stream(0), open_stream(0)
        slow.pause_s = 0.3
        await until(lambda: feed.followers == 2)
        for k in range(EVENTS):
            await in_a_thread(tell, master, k)
            await until(lambda k=k: k in quick.told)
        await until(lambda: len(slow.told) >= EVENTS)
        assert quick.told == slow.told == list(range(EVENTS))

    run(master, work)


def test_a_reader_that_names_a_number_ahead_of_all_events_silences_nobody(master: Master) -> None:
    async def work(feed: EventFeed, open_stream: Callable[..., Stream]) -> None:
        await in_a_thread(tell, master, 0)
        ahead = open_stream(10**30)
        await until(lambda: feed.followers == 1)
        other = open_stream(0)
        await until(lambda: feed.followers == 2)
        await in_a_thread(tell, master, 1)
        await until(lambda: 1 in ahead.told and 1 in other.told)
        assert (ahead.told, other.told) == ([1], [0, 1])

    run(master, work)


def test_streams_of_jobs_tell_their_own_events_and_end_with_their_job(master: Master) -> None:
    first, second = new_job(master, "first"), new_job(master, "second")

    async def work(feed: EventFeed, open_stream: Callable[..., Stream]) -> None:
        streams = [open_stream(0, job_id) for job_id in (first, second)]
        await until(lambda: feed.followers == 2)
        for k, job_id in enumerate((first, second, first)):
            await in_a_thread(tell, master, k, job_id)
        await until(lambda: streams[0].told[-1:] == [2] and streams[1].told[-1:] == [1])
        await in_a_thread(tell, master, 3, first, state="FAILED")
        await until(streams[0].task.done)
        assert not streams[1].task.done()
        # `job.created`, and `end`, have no number
        assert [stream.told for stream in streams] == [[None, 0, 2, 3, None], [None, 1]]

    run(master, work)


def test_a_database_that_fails_ends_the_streams_and_the_next_one_reads_again(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(feed: EventFeed, open_stream: Callable[..., Stream]) -> None:
        streams = [open_stream(0) for _ in range(3)]
        await until(lambda: feed.followers == 3)

        def fail(_seq: int) -> None:
            raise OSError("no")

        with monkeypatch.context() as patched:
            patched.setattr(feed, "_behind", fail)
            await in_a_thread(tell, master, 0)
            await until(lambda: all(stream.task.done() for stream in streams))
        assert all(isinstance(stream.task.exception(), OSError) for stream in streams)
        again = open_stream(0)
        await until(lambda: again.told == [0])
        await until(lambda: feed.followers == 1)
        await in_a_thread(tell, master, 1)
        await until(lambda: again.told == [0, 1])

    run(master, work)


def test_who_goes_away_is_not_read_for(master: Master) -> None:
    async def work(feed: EventFeed, open_stream: Callable[..., Stream]) -> None:
        stream = open_stream(0)
        await until(lambda: feed.followers == 1)
        stream.task.cancel()
        await until(lambda: feed.followers == 0)
        assert feed._task is None

    run(master, work)
