"""What the Master does by itself: at once when there is news, and rarely while there is none."""

from proteinx_pipelines.master.background import Background, Task, background_of
from proteinx_pipelines.master.master import Master
from proteinx_pipelines_tests.waiting import wait_until


def test_a_task_without_news_is_left_alone_and_one_with_news_is_done() -> None:
    """Counted beside a task that is done all the time: how long that takes does not matter."""
    asked, always = list[None](), list[None]()
    background = Background(
        (
            Task("asked", 0.01, lambda: asked.append(None), quiet_s=3600.0),
            Task("always", 0.01, lambda: always.append(None)),
        )
    )
    background.start()
    try:
        for times in (1, 2, 3):  # what was there before the start is news
            wait_until(lambda times=times: len(asked) == times, pause_s=0.01)
            before = len(always)
            wait_until(lambda before=before: len(always) > before + 5, pause_s=0.01)
            assert len(asked) == times
            background.ring()
    finally:
        background.stop()


def test_a_task_that_fails_is_done_again_when_there_is_news() -> None:
    tried = list[None]()

    def fail() -> None:
        tried.append(None)
        raise ValueError("no")

    background = Background((Task("fails", 0.01, fail, quiet_s=3600.0),))
    background.start()
    try:
        wait_until(lambda: len(tried) == 1, pause_s=0.01)
        background.ring()
        wait_until(lambda: len(tried) == 2, pause_s=0.01)
    finally:
        background.stop()


def test_a_commit_is_news(master: Master) -> None:
    background = background_of(master)
    background._rung.clear()
    master.database.write(lambda _connection: None)
    wait_until(background._rung.is_set)
