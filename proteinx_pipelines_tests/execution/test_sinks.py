"""The monitor's list of sinks: a required sink decides about the experiment; one that only copies may fail."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.errors import Cancelled
from proteinx_pipelines.execution import sinks as sinks_module
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.monitor import ExecutionMonitor
from proteinx_pipelines.execution.sinks import (
    SILENT_S,
    Event,
    EventsFile,
    Fanout,
    Metric,
    MetricsFile,
    News,
    Progress,
    ProgressOnly,
)
from proteinx_pipelines.experiment_dir.json_lines import read_json_lines
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.settings import Settings


@dataclass
class Tracker:
    """A later row of the list: an optional sink, such as one of MLflow."""

    error: BaseException | None = None
    is_required: bool = False
    taken: list[News] = field(default_factory=list)
    asked: int = 0
    closed: bool = False

    def receive(self, news: News) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        self.taken.append(news)

    def close(self) -> None:
        self.closed = True
        if self.error is not None:
            raise self.error


def speak(monitor: ExecutionMonitor) -> None:
    monitor.begin_stage("train")
    monitor.metric("train/loss", 0.5, epoch=1)
    monitor.histogram("weights", [1], [0.0, 1.0])
    monitor.event("epoch_finished", epoch=1)


def test_every_sink_hears_everything_and_says_who_spoke(tmp_path: Path) -> None:
    tracker, files = Tracker(), (MetricsFile(tmp_path / "m"), EventsFile(tmp_path / "e"))
    monitor = ExecutionMonitor(Fanout([tracker, *files]), generation=2, attempt=3)
    speak(monitor)
    monitor.close()
    kinds = [type(news).__name__ for news in tracker.taken]
    assert kinds == ["Event", "Progress", "Metric", "Histogram", "Event"]
    assert {(news.origin.stage, news.origin.generation, news.origin.attempt) for news in tracker.taken} == {
        ("train", 2, 3)
    }
    assert [record["name"] for record in read_json_lines(tmp_path / "m")] == ["train/loss", "weights"]
    assert [record["event"] for record in read_json_lines(tmp_path / "e")] == [
        "stage_started",
        "epoch_finished",
    ]
    assert tracker.closed


@pytest.mark.parametrize("error", [OSError("no route"), ValueError("not JSON"), ImportError("no mlflow")])
def test_an_optional_sink_that_fails_costs_nothing_but_its_own_copy(
    settings: Settings, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """A whole stage, with a tracker whose server is gone."""
    tracker = Tracker(error)
    attempt = Attempt(settings, "e", parse_flags({"data": {"source": "TOY"}}), sinks=[tracker])
    entry = attempt.publish(attempt.run_stage("selection", attempt.record))
    attempt.close()
    assert entry.action == "computed"
    assert tracker.asked == 1, "it is left alone after it failed"
    assert caplog.text.count("Tracker failed") == 1


def test_without_the_guard_it_would_harm_the_experiment(settings: Settings) -> None:
    required = Tracker(ValueError("not JSON"), is_required=True)
    attempt = Attempt(settings, "e", parse_flags({"data": {"source": "TOY"}}), sinks=[required])
    with pytest.raises(ValueError, match="not JSON"):
        attempt.run_stage("selection", attempt.record)
    with pytest.raises(ValueError, match="not JSON"):
        attempt.close()


def test_a_sink_that_failed_is_tried_again_later_and_one_that_waited_long_later_still() -> None:
    now = [0.0]

    def waits(seconds: float) -> Callable[[News], None]:
        def receive(_news: News) -> None:
            slow.asked += 1
            now[0] += seconds
            raise TimeoutError

        return receive

    slow = Tracker()
    slow.receive = waits(20)  # type: ignore[method-assign]
    fan = Fanout([slow], clock=lambda: now[0])
    news = Progress(sinks_module.Origin("train", 1, 1, ""), 0.5, "")
    fan.receive(news)
    for moment, asked in ((20 + SILENT_S + 1, 1), (219.0, 1), (221.0, 2)):
        now[0] = moment
        fan.receive(news)
        assert slow.asked == asked, moment


def test_any_sink_may_say_stop() -> None:
    """A run that somebody ended in the web interface is heard of by a listener, which is no required sink."""

    def listen(stage: str, _fraction: float, _note: str) -> None:
        raise Cancelled(f"ended during {stage}")

    monitor = ExecutionMonitor(Fanout([ProgressOnly(listen)]), attempt=1)
    with pytest.raises(Cancelled, match="during train"):
        monitor.begin_stage("train")


def test_all_are_closed_even_when_the_first_fails(tmp_path: Path) -> None:
    first, second, third = Tracker(OSError("full"), is_required=True), Tracker(OSError("x")), Tracker()
    with pytest.raises(OSError, match="full"):
        Fanout([first, second, third]).close()
    assert (first.closed, second.closed, third.closed) == (True, True, True)


def test_news_are_plain_values(tmp_path: Path) -> None:
    """A sink may put them into JSON as they are."""
    import dataclasses
    import json

    tracker = Tracker()
    monitor = ExecutionMonitor(Fanout([tracker]), attempt=1)
    speak(monitor)
    documents: list[Any] = [dataclasses.asdict(news) for news in tracker.taken]
    assert json.loads(json.dumps(documents)) == documents
    assert {type(news) for news in tracker.taken} >= {Event, Metric, Progress}
