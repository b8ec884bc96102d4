"""`/metrics` of a node: what it shows, what it counts from journals, and at which address."""

import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proteinx_pipelines.contract.heartbeat import Gpu
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.node.health import numbers
from proteinx_pipelines.node.health.journal import JournalCounter
from proteinx_pipelines.node.health.metrics_server import serve_metrics
from proteinx_pipelines.node.health.numbers import node_metrics
from proteinx_pipelines.node.processes.ports import free_port
from proteinx_pipelines.observation.table import TABLE, series_of
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.node.world import World

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def series(text: str) -> Series:
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(each.name, frozenset(each.labels.items())): each.value for each in found}


def value(found: Series, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset({"node": "test-node", **labels}.items())))


def write_journal(world: World, *events: dict[str, object], attempt: int = 1, name: str = "e") -> None:
    path = ExperimentDir(world.settings.experiments_dir, name).events(1, attempt)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        for event in events:
            line = {"stage": "train", "timestamp": "2026-01-01T00:00:00.000+00:00", "payload": {}, **event}
            stream.write(json.dumps(line) + "\n")


FINISHED = {"event": "stage_finished", "payload": {"action": "computed", "seconds": 2.0}}


def finish(world: World, name: str, state: str = "SUCCEEDED", code: str | None = None) -> None:
    assert world.state.finish(world.latest(name), Outcome(state, error_code=code), f"result-{name}", "{}")


def test_every_metric_of_the_table_is_shown_and_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers, "gpu_usage", lambda: (Gpu(index=0, utilization_percent=50, memory_used_bytes=1,
                                                           memory_total_bytes=2), Gpu(index=1)))  # fmt: skip
    world.begin("e", pid=1)
    world.arrive("waits")
    write_journal(world, FINISHED)
    counter = JournalCounter(world.settings, world.state)
    counter.look()
    finish(world, "e")
    counter.look()
    world.settings.paths.heartbeat_sent.touch()
    connect(world.settings.redis_url or "").lpush("experiments", b"{}")
    found = series(node_metrics(replace(world.settings, store="file:///nowhere")))
    wanted = {name for metric in TABLE if metric.side != "master" for name in series_of(metric)}
    assert {name for name, _ in found} == wanted
    assert value(found, "proteinx_experiments", state="SUCCEEDED") == 1
    assert value(found, "proteinx_experiments_waiting") == 1
    assert value(found, "proteinx_list_waiting") == 1
    assert value(found, "proteinx_redis_up") == 1
    assert value(found, "proteinx_part_up", part="worker") == 1
    assert value(found, "proteinx_part_up", part="daemon") == 0
    assert value(found, "proteinx_gpu_utilization_ratio", gpu="0") == 0.5


def test_a_node_without_redis_shows_the_rest(world: World) -> None:
    away = replace(world.settings, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    found = series(node_metrics(away))
    assert value(found, "proteinx_redis_up") == 0
    assert value(found, "proteinx_list_waiting") is None
    assert value(found, "proteinx_experiments", state="PENDING") == 0


def test_every_line_and_every_end_is_counted_once_over_restarts_of_the_counter(world: World) -> None:
    world.begin("e", pid=1)
    write_journal(world, FINISHED)
    JournalCounter(world.settings, world.state).look()
    write_journal(world, FINISHED, {"event": "epoch_finished"})
    path = ExperimentDir(world.settings.experiments_dir, "e").events(1, 1)
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"event": "half')  # being written
    for _ in range(3):  # the agent was restarted
        JournalCounter(world.settings, world.state).look()
    finish(world, "e", "FAILED", "out_of_memory")
    for _ in range(3):
        JournalCounter(world.settings, world.state).look()
    found = series(node_metrics(world.settings))
    assert value(found, "proteinx_stages_total", stage="train", action="computed") == 2
    assert value(found, "proteinx_stage_seconds_sum", stage="train") == 4
    assert value(found, "proteinx_journal_events_total", event="epoch_finished") == 1
    assert value(found, "proteinx_experiments_ended_total", state="FAILED", reason="out_of_memory") == 1


def test_a_journal_that_is_longer_than_one_reading_is_counted_whole(world: World) -> None:
    world.begin("e", pid=1)
    write_journal(world, *({"event": "epoch_finished", "payload": {"text": "x" * 2000}} for _ in range(1500)))
    JournalCounter(world.settings, world.state).look()
    found = series(node_metrics(world.settings))
    assert value(found, "proteinx_journal_events_total", event="epoch_finished") == 1500


def test_numbers_that_cannot_be_read_begin_again(world: World) -> None:
    world.settings.paths.observed.write_text('{"tally": 3}', encoding="utf-8")
    JournalCounter(world.settings, world.state).look()
    assert value(series(node_metrics(world.settings)), "proteinx_redis_up") == 1


def test_asking_a_workdir_that_has_no_history_makes_none(world: World, tmp_path) -> None:
    empty = replace(world.settings, workdir=tmp_path / "empty")
    assert "proteinx_build_info" in node_metrics(empty)
    assert not (tmp_path / "empty").exists()


def test_the_agent_serves_numbers_at_the_address_of_the_setting(world: World) -> None:
    stopping, port = threading.Event(), free_port()
    thread = serve_metrics(replace(world.settings, metrics_address=("127.0.0.1", port)), stopping)
    assert thread is not None
    try:
        text = ask(f"http://127.0.0.1:{port}/metrics")
        assert value(series(text), "proteinx_redis_up") == 1
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(f"http://127.0.0.1:{port}/other")
    finally:
        stopping.set()
        thread.join(30)
    assert not thread.is_alive()
    assert serve_metrics(world.settings, stopping) is None


def ask(url: str) -> str:
    end = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
