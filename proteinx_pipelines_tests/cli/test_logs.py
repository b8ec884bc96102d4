"""Events and train.log as one stream."""

import json
import threading
import time
from datetime import UTC, datetime

import pytest

from proteinx_pipelines.experiment_dir.log_lines import LogReader
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.node.lifecycle.attempt_end import finish_generation


@pytest.fixture
def files(tmp_path):
    events = tmp_path / "events"
    events.mkdir()
    return tmp_path / "train.log", events


def event(second: float, name: str, **payload: object) -> str:
    moment = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp() + second
    stamp = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"event": name, "stage": "train", "timestamp": stamp, "payload": payload}) + "\n"


def log(second: float, text: str) -> str:
    """A line as Python's logging writes it: in local time, with a comma."""
    moment = datetime.fromtimestamp(
        datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp() + second
    ).astimezone()
    return f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03d} {text}\n"


def texts(lines: list[str]) -> list[str]:
    """Without date and time."""
    return [line.split(" ", 2)[2] for line in lines]


def test_two_sources_are_merged_by_time_and_a_trace_stays_with_its_record(files):
    train_log, events = files
    train_log.write_text(
        log(1, "INFO a: one") + log(3, "ERROR a: three") + "Traceback\n  line\n" + log(5, "INFO a: five")
    )
    (events / "g1-a1.jsonl").write_text(
        event(2, "epoch_finished", epoch=0, loss=0.123456789) + event(4, "saved")
    )
    lines = texts(LogReader([train_log], events).new_lines(complete=True))
    assert lines == [
        "INFO a: one",
        "train: epoch_finished epoch=0 loss=0.123457",
        "ERROR a: three\nTraceback\n  line",
        "train: saved",
        "INFO a: five",
    ]


def test_a_half_written_line_waits_for_its_end_and_nothing_is_told_twice(files):
    train_log, events = files
    line = event(1, "saved")
    path = events / "g1-a1.jsonl"
    path.write_text(line[:20])
    reader = LogReader([train_log], events)
    assert reader.new_lines(complete=False) == []
    path.write_text(line)
    assert texts(reader.new_lines(complete=False)) == ["train: saved"]
    assert reader.new_lines(complete=True) == []


def test_what_a_power_loss_left_of_a_line_is_left_out(files):
    """Once, it ended `proteinx logs` of the experiment with a traceback."""
    train_log, events = files
    (events / "g1-a1.jsonl").write_text(event(1, "saved") + event(2, "epoch_finished")[:20])
    assert texts(LogReader([train_log], events).new_lines(complete=True)) == ["train: saved"]


def test_an_attempt_that_begins_later_is_followed_as_well(files):
    train_log, events = files
    reader = LogReader([train_log], events)
    assert reader.new_lines(complete=False) == []
    (events / "g1-a2.jsonl").write_text(event(1, "stage_started"))
    assert texts(reader.new_lines(complete=False)) == ["train: stage_started"]


def test_a_log_that_moves_away_meanwhile_is_told_once_and_to_its_end(files):
    train_log, events = files
    earlier = train_log.with_name("train.log.1")
    reader = LogReader([earlier, train_log], events)
    told = []
    for number in range(1, 7):
        with train_log.open("a") as stream:
            stream.write(log(number, f"INFO a: {number}"))
        if number % 2 == 0:
            told += texts(reader.new_lines(complete=False))
        if number in (3, 5):
            train_log.replace(earlier)
    assert told == [f"INFO a: {number}" for number in range(1, 7)]


def test_follow_ends_with_the_experiment_and_has_its_last_words(proteinx, history):
    current = history.begin("gb1-l")
    events = history.settings.experiments_dir / "gb1-l" / "logs" / "events"
    events.mkdir(parents=True)
    (events / "g1-a1.jsonl").write_text(event(1, "first"))

    def node() -> None:
        time.sleep(0.7)
        with (events / "g1-a1.jsonl").open("a") as stream:
            stream.write(event(2, "last"))
        finish_generation(history.settings, history.state, current, Outcome("SUCCEEDED"))

    thread = threading.Thread(target=node)
    thread.start()
    printed = proteinx("logs", "gb1-l", "-f").output
    thread.join()
    assert printed.index("train: first") < printed.index("train: last")


def test_an_experiment_that_is_not_there_is_said(proteinx, settings):
    assert "proteinx list" in proteinx("logs", "nothing", expect=1).output
    assert "`experiment_id` is '../x'" in proteinx("logs", "../x", expect=1).output
