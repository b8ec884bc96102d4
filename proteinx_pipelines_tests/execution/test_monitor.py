"""Partly written lines of metrics and events: a full disk, a power loss."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proteinx_pipelines.execution.monitor import ExecutionMonitor
from proteinx_pipelines.execution.sinks import EventsFile, Fanout, MetricsFile
from proteinx_pipelines.experiment_dir.json_lines import JsonLines, read_json_lines

resource = pytest.importorskip("resource", reason="needs a system that limits the size of files")
ROOM = 100


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file of this process grows beyond `ROOM` bytes; the system ignores the signal, as Python asks it to."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_line_that_does_not_fit_leaves_nothing_behind(tmp_path: Path, little_room: None) -> None:
    """Half a line used to stay, and the next attempt's first line went on in it."""
    lines = JsonLines(tmp_path / "metrics.jsonl")
    lines.append({"name": "a" * 60})
    with pytest.raises(OSError, match="No space left"):
        lines.append({"name": "b" * 60})
    lines.append({"name": "c"})
    lines.close()
    written = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"][0] for line in written] == ["a", "c"]


def test_half_a_line_of_a_power_loss_does_not_take_the_next_one_along(tmp_path: Path) -> None:
    """The two were one damaged line in the middle, and the training failed for good on every retry."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"name": "a"}\n{"name": "b", "val')
    for name in "cd":
        lines = JsonLines(path)
        lines.append({"name": name})
        lines.close()
    assert [record["name"] for record in read_json_lines(path)] == ["a", "c", "d"]


@pytest.mark.parametrize("damage", [b'{"name": "train/lo', b"\0\0\0\n", b"\xff\n", b"7\n", b"\n", b""])
def test_a_damaged_line_costs_no_other(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    before, behind = (
        b'{"name": "train/loss", "value": %d, "epoch": %d}\n' % (5 - epoch, epoch) for epoch in (1, 2)
    )
    path.write_bytes(before + damage)
    assert len(read_json_lines(path)) == 1
    path.write_bytes(before + damage.removesuffix(b"\n") + b"\n" + behind)
    assert len(read_json_lines(path)) == 2


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read_json_lines(tmp_path / "metrics.jsonl") == []


def train(folder: Path, generation: int, epochs: int) -> None:
    """One generation's training of that many epochs."""
    sinks = [MetricsFile(folder / "metrics.jsonl"), EventsFile(folder / "events.jsonl")]
    monitor = ExecutionMonitor(Fanout(sinks), generation=generation, attempt=1)
    for epoch in range(epochs):
        monitor.metric("train/loss", 10.0 * generation + epoch, epoch=epoch)
        monitor.histogram("weights", [1], [0.0, 1.0])
    monitor.close()


def test_lines_of_two_trainings_are_told_apart(tmp_path: Path) -> None:
    """Epochs that a shorter training did not reach were drawn from the longer one before it."""
    train(tmp_path, 1, epochs=5)
    train(tmp_path, 2, epochs=3)
    records = read_json_lines(tmp_path / "metrics.jsonl")
    assert [record["generation"] for record in records] == [1] * 10 + [2] * 6
