"""The one writer: what fails leaves nothing and disturbs no other; what is answered is on disk."""

import threading

import pytest
from sqlalchemy import func, insert, select

from proteinx_pipelines.master.database.tables import facts
from proteinx_pipelines.master.master import Master


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
