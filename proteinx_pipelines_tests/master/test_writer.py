"""The one writer: what fails leaves nothing and disturbs no other; what is answered is on disk."""

import threading

import pytest
from sqlalchemy import event, func, insert, select

from proteinx_pipelines.master.database.engine import MasterStateError
from proteinx_pipelines.master.database.tables import facts
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.nodes import registry


def test_a_change_that_fails_leaves_nothing_and_disturbs_no_other(master: Master) -> None:
    start = threading.Event()
    held = master.database.submit(lambda _connection: start.wait(10))

    def wrong(connection):
        connection.execute(insert(facts).values(name="wrong", value=1))
        raise ValueError("no")

    right = master.database.submit(
        lambda connection: connection.execute(insert(facts).values(name="right", value=1))
    )
    failed = master.database.submit(wrong)
    start.set()
    held.result(10), right.result(10)
    with pytest.raises(ValueError, match="no"):
        failed.result(10)
    with master.database.reading() as connection:
        names = set(connection.execute(select(facts.c.name)).scalars())
    assert "right" in names
    assert "wrong" not in names


def test_every_one_of_many_threads_is_written(master: Master) -> None:
    def add(name: str) -> None:
        master.database.write(lambda c: c.execute(insert(facts).values(name=name, value=0)))

    threads = [threading.Thread(target=add, args=(f"n{k}",)) for k in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with master.database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(facts)).scalar_one() >= 50


def test_a_change_that_meets_the_end_is_made_or_refused_and_never_waits_for_ever(master: Master) -> None:
    """Incident: a change that was queued just behind the end was waited for for ever."""
    database, real = master.database, master.database._changes
    closing = threading.Thread(target=database.close)

    class Late:
        """A queue into which a change comes a moment after it was begun: time enough for somebody to close."""

        def put(self, asked):
            if asked is not None and not closing.is_alive():
                closing.start()
                closing.join(0.3)
            real.put(asked)

    database._changes = Late()
    future = database.submit(lambda _connection: "made")
    database._changes = real
    try:
        assert future.result(20) == "made"
    finally:
        closing.join(20)
    with pytest.raises(MasterStateError, match="stopping"):
        database.submit(lambda _connection: None)


def test_a_request_that_was_broken_off_does_not_end_the_writer(master: Master) -> None:
    """Incident: the value of a cancelled change could not be set, and nothing was written any more."""
    begun, start = threading.Event(), threading.Event()
    held = master.database.submit(lambda _connection: begun.set() or start.wait(10))
    assert begun.wait(60)  # otherwise both are taken up together, and what has begun cannot be broken off
    made = []
    broken_off = master.database.submit(lambda _connection: made.append(1))
    assert broken_off.cancel()
    start.set()
    assert held.result(10)
    assert master.database.submit(lambda _connection: "goes on").result(10) == "goes on"
    assert made == []


def test_changes_of_a_kind_are_made_together_and_fail_alone(master: Master) -> None:
    """One that raises, one that has an error: the others are written, and each caller gets its own."""
    start, calls = threading.Event(), []

    def add_all(connection, names):
        calls.append(list(names))
        if "raises" in names:
            raise ValueError("no")
        for name in names:
            if name != "refused":
                connection.execute(insert(facts).values(name=name, value=1))
        return [KeyError(name) if name == "refused" else name for name in names]

    held = master.database.submit(lambda _connection: start.wait(10))
    good = [master.database.submit_together(add_all, name) for name in ("a", "refused", "b")]
    between = master.database.submit(lambda _connection: "between")
    bad = [master.database.submit_together(add_all, name) for name in ("c", "raises", "d")]
    start.set()
    assert held.result(10)
    assert between.result(10) == "between"
    assert [good[0].result(10), good[2].result(10), bad[0].result(10), bad[2].result(10)] == list("abcd")
    with pytest.raises(KeyError):
        good[1].result(10)
    with pytest.raises(ValueError, match="no"):
        bad[1].result(10)
    assert calls == [["a", "refused", "b"], ["c", "raises", "d"], ["c"], ["raises"], ["d"]]
    with master.database.reading() as connection:
        names = set(connection.execute(select(facts.c.name)).scalars())
    assert names >= set("abcd")
    assert names.isdisjoint({"refused", "raises"})


def _side_by_side(master: Master, change, names: str) -> list:
    """Futures of changes that are of one kind and in one commit."""
    begun, start = threading.Event(), threading.Event()
    held = master.database.submit(lambda _connection: begun.set() or start.wait(60))
    assert begun.wait(60)
    futures = [master.database.submit_together(change, name) for name in names]
    start.set()
    assert held.result(60)
    return futures


def test_changes_of_one_kind_need_no_savepoint_and_one_that_raises_still_fails_alone(master: Master) -> None:
    """SQLite copies every page aside that changes below a savepoint: half of what a commit of jobs wrote."""
    points = []
    event.listen(master.database.engine, "savepoint", lambda _connection, name: points.append(name))

    def add_all(connection, names):
        connection.execute(insert(facts), [{"name": name, "value": 1} for name in names])
        if "x" in names:
            raise ValueError("no")
        return names

    assert [each.result(60) for each in _side_by_side(master, add_all, "abc")] == list("abc")
    assert points == []
    left, wrong, right = _side_by_side(master, add_all, "lxr")
    assert (left.result(60), right.result(60)) == ("l", "r")
    with pytest.raises(ValueError, match="no"):
        wrong.result(60)
    assert points
    with master.database.reading() as connection:
        names = set(connection.execute(select(facts.c.name)).scalars())
    assert names & set("abclxr") == set("abclr")


def test_a_commit_that_failed_is_not_tried_again(master: Master) -> None:
    """Whether it is on disk is not known: PostgreSQL may have committed what it could not answer any more."""
    calls = []

    def fail(_connection) -> None:
        if calls:
            raise OSError("the line is cut")

    def add_all(_connection, names):
        calls.append(list(names))
        return names

    event.listen(master.database.engine, "commit", fail)
    futures = _side_by_side(master, add_all, "abc")
    for future in futures:
        with pytest.raises(OSError, match="the line is cut"):
            future.result(60)
    event.remove(master.database.engine, "commit", fail)
    assert calls == [list("abc")]
    assert master.database.write(lambda _connection: "goes on") == "goes on"


def test_a_heartbeat_that_says_nothing_new_wakes_nobody(master: Master) -> None:
    """It is on disk all the same, and what shares its commit rings."""
    rung = []
    master.bell.also(lambda: rung.append(1))
    for is_new, rings in ((True, 1), (False, 1), (True, 2)):
        master.database.submit(lambda _c, is_new=is_new: is_new, is_news=bool).result(10)
        master.database.submit(lambda _c: None, is_news=bool).result(
            10
        )  # the bell rings before the next change
        assert len(rung) == rings
    beat = {"heartbeat": {}}
    seen = [
        master.database.write(lambda c, more=more: registry.seen(c, "n1", {**beat, **more}, over_http=True))
        for more in ({}, {}, {"capabilities": {"models": []}})
    ]
    assert seen == [True, False, True]
