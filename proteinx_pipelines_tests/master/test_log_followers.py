"""Many who follow one log share one reader: each gets every line once, in order, wherever it began."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from proteinx_pipelines.master.jobs.errors import UnknownJob
from proteinx_pipelines.master.logs import following, sharing
from proteinx_pipelines.master.logs.receiving import Batch, receive
from proteinx_pipelines.master.master import Master
from proteinx_pipelines_tests.master.experiments import end, new_job

FOLLOWERS, LINES = 60, 12


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Looks of each reader, by its identity."""
    counted: Counter[int] = Counter()
    real, lock = following._Reader.look, threading.Lock()

    def look(self, *, until_end: bool):
        with lock:
            counted[id(self)] += 1
        return real(self, until_end=until_end)

    monkeypatch.setattr(following._Reader, "look", look)
    return counted


def send(master: Master, job_id: str, number: int) -> None:
    batch = Batch(lines=[f"line {number}"], sender="n", first=number)
    master.database.write(lambda connection: receive(connection, job_id, "log", batch))


async def followed(
    master: Master, job_id: str, pause_s: float = 0.0, texts: list[str] | None = None
) -> list[str]:
    """Texts that one follower gets until the job ends."""
    found = [] if texts is None else texts
    async for pieces in following.follow(master, job_id, "log"):
        found += [piece.document["text"] for piece in pieces]
        await asyncio.sleep(pause_s)
    return found


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that comes."""
    async with asyncio.timeout(120):
        while not is_so():
            await asyncio.sleep(0.05)


async def several(master: Master, job_id: str, pauses_s: list[float]) -> list[list[str]]:
    """Followers who come one after another while lines are written; the job ends when all are there."""
    master.bell.attach(asyncio.get_running_loop())
    tasks = []
    for number in range(LINES):
        await asyncio.to_thread(send, master, job_id, number)
        some = pauses_s[number * len(pauses_s) // LINES : (number + 1) * len(pauses_s) // LINES]
        tasks += [asyncio.create_task(followed(master, job_id, pause)) for pause in some]
        await asyncio.sleep(0.1)
    await asyncio.to_thread(end, master, job_id)
    return await asyncio.wait_for(asyncio.gather(*tasks), 120)


@pytest.fixture(autouse=True)
def nothing_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LATE_S", 0.0)


def test_all_get_every_line_wherever_they_began(master: Master) -> None:
    job_id = new_job(master, state="RUNNING")
    found = asyncio.run(several(master, job_id, [0.0] * FOLLOWERS))
    assert found == [[f"line {number}" for number in range(LINES)]] * FOLLOWERS
    assert len(master.followed) == 0


def test_while_lines_come_one_reader_looks_for_all(master: Master, looks: Counter[int]) -> None:
    job_id = new_job(master, state="RUNNING")

    async def run() -> tuple[dict[int, int], dict[int, int], int]:
        master.bell.attach(asyncio.get_running_loop())
        send(master, job_id, 0)
        texts: list[list[str]] = [[] for _ in range(FOLLOWERS)]
        tasks = [asyncio.create_task(followed(master, job_id, texts=each)) for each in texts]
        await until(lambda: len(master.followed) == 1)
        ((shared, _task),) = master.followed._shared.values()
        own = id(shared._reader)
        await until(lambda: shared.followers == FOLLOWERS and all(texts))
        settled = looks[own] + 3  # who has read further than the shared reader joins at its next look
        await until(lambda: looks[own] >= settled)
        before = dict(looks)
        for number in range(1, LINES):
            await asyncio.to_thread(send, master, job_id, number)
            await until(lambda number=number: all(len(each) > number for each in texts))
        after = dict(looks)
        await asyncio.to_thread(end, master, job_id)
        await asyncio.wait_for(asyncio.gather(*tasks), 120)
        return before, after, own

    before, after, own = asyncio.run(run())
    assert after.pop(own) > before.pop(own)
    assert after == before


def test_a_follower_that_is_too_slow_for_the_shared_reader_reads_for_itself(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "KEPT", 2)
    job_id = new_job(master, state="RUNNING")
    found = asyncio.run(several(master, job_id, [0.0, 0.7, 0.3, 0.0]))
    assert found == [[f"line {number}" for number in range(LINES)]] * 4


def test_a_job_that_is_deleted_ends_all_who_follow_it_with_its_error(master: Master) -> None:
    from sqlalchemy import delete

    from proteinx_pipelines.master.database.job_tables import jobs

    job_id = new_job(master, state="RUNNING")

    async def run() -> list[object]:
        master.bell.attach(asyncio.get_running_loop())
        tasks = [asyncio.create_task(followed(master, job_id)) for _ in range(3)]
        await asyncio.sleep(0.3)
        await master.database.awrite(
            lambda c: c.execute(delete(jobs).where(jobs.c.job_id == job_id)).rowcount
        )
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)

    assert all(isinstance(each, UnknownJob) for each in asyncio.run(run()))
    assert len(master.followed) == 0


def test_a_master_that_stops_ends_all_who_follow(master: Master) -> None:
    job_id = new_job(master, state="RUNNING")

    async def run() -> list[list[str]]:
        master.bell.attach(asyncio.get_running_loop())
        await asyncio.to_thread(send, master, job_id, 0)
        tasks = [asyncio.create_task(followed(master, job_id)) for _ in range(5)]
        await asyncio.sleep(0.5)
        master.bell.stop()
        return await asyncio.wait_for(asyncio.gather(*tasks), 60)

    assert asyncio.run(run()) == [["line 0"]] * 5
