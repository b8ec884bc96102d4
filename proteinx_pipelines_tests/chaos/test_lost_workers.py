"""A dead or stopped worker is noticed in time; when a stopped one resumes, its writes are refused.

The strong form, with the limit as shipped and ten trials, is `make chaos SCENARIO=lost_workers`; the continuation of
a killed training is in `test_killed_trainings`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.contract.heartbeat import ALIVE_FOR_S
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.lifecycle.reconciler import HANG_S
from proteinx_pipelines.node.talking.connections import master_line, master_queue
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.chaos.campaign import HERE, SOURCE, environment, part_process, rows
from proteinx_pipelines_tests.chaos.crash import execute, settings_of
from proteinx_pipelines_tests.chaos.trials import how_often, waits_in_vain
from proteinx_pipelines_tests.story.conftest import DEMO, REPOSITORY, Node

ALLOWED_S = float(how_often(60, 15))
"""A loss is noticed within the time after which a sign of life counts as missing, and this; the short form may run on a
busy machine."""


# ---------------------------------------------------------------------- a process that comes back
@pytest.fixture
def state(tmp_path: Path, redis_url: str) -> Iterator[Ledger]:
    """A node that has taken in one experiment."""
    connect(redis_url).flushdb()
    master_line.cache_clear()
    master_queue.cache_clear()
    settings = settings_of(tmp_path, redis_url)
    found = Ledger(settings.state_path)
    Intake(settings, found, master_queue(settings)).ingest(
        b'{"experiment_id": "e", "flags": {"data": {"source": "GB1"}}}'
    )
    yield found
    master_line.cache_clear()
    master_queue.cache_clear()


def come_back(workdir: Path, redis_url: str, state: Ledger, point: str, *options: str) -> str:
    """Stop attempt 1 at a point, let attempt 2 end, continue attempt 1; what it says at its end."""
    script = [sys.executable, "-m", "proteinx_pipelines_tests.chaos.zombie"]
    zombie = subprocess.Popen(
        [*script, str(workdir), redis_url, point, *options], cwd=REPOSITORY, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for(lambda: is_stopped(zombie))
        (current,) = state.in_state("RUNNING")
        assert state.retry(current, delay_s=0, reason="it does not move", counts=False)
        (renewed,) = state.due(1)
        execute(settings_of(workdir, redis_url), state, renewed)
        zombie.send_signal(signal.SIGCONT)
        said, errors = zombie.communicate(timeout=60)
        assert zombie.returncode == 0, errors
        return said.strip()
    finally:
        zombie.kill()
        zombie.wait()


def is_stopped(process: "subprocess.Popen[str]") -> bool:
    """True if a process has stopped; it must not have ended."""
    assert process.poll() is None, process.communicate()[1]
    return bool(psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)


def wait_for(what: Callable[[], Any], within_s: float = 120.0) -> float:
    """Wait until something is true; the seconds it took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < within_s, f"it did not happen within {within_s:g} s"
        time.sleep(0.05)
    return time.monotonic() - began


def written_by(workdir: Path) -> dict[str, int]:
    """Attempt that wrote the experiment's files."""
    root = workdir / "experiments" / "e"
    names = ("artifacts/report.json", "splits/assignment.json", "experiment.json")
    return {name: read_json(root / name)["attempt"] for name in names}


def results(redis_url: str) -> list[int]:
    return [json.loads(raw)["attempt"] for raw in connect(redis_url).lrange("experiments:results", 0, -1)]


@pytest.mark.slow
@pytest.mark.parametrize("_trial", range(how_often(1, 10)))
@pytest.mark.parametrize("point", ["publishing its files", "writing its result"])
def test_a_stopped_process_that_comes_back_writes_nothing(
    tmp_path: Path, redis_url: str, state: Ledger, point: str, _trial: int
) -> None:
    said = come_back(tmp_path, redis_url, state, point)
    assert said == "refused" or point == "writing its result"
    assert set(written_by(tmp_path).values()) == {2}
    assert results(redis_url) == [2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "name"),
    [("publishing its files", "artifacts/report.json"), ("writing its result", "experiment.json")],
)
def test_without_the_fence_it_would_write_over_the_newer_attempt(
    tmp_path: Path, redis_url: str, state: Ledger, point: str, name: str
) -> None:
    assert come_back(tmp_path, redis_url, state, point, "unguarded") == "wrote"
    assert written_by(tmp_path)[name] == 1


# ---------------------------------------------------------------------- a node that notices
@contextmanager
def training_on_a_node(workdir: Path, early: str) -> Iterator[Node]:
    """A node in the middle of a training."""
    import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    given = environment(workdir)
    path = os.pathsep.join([str(HERE / "early"), given["PYTHONPATH"]])
    node = Node(workdir, {**given, "PYTHONPATH": path, "CHAOS_EARLY": early})
    node.start()
    try:
        train = {"max_epochs": 100_000, "patience": 100_000}
        node.push("e", {"data": {"source": SOURCE}, "model": {"name": "mlp"}, "train": train})
        wait_for(
            lambda: rows(node, "state.db", "SELECT 1 FROM generations WHERE stage = 'train' AND progress > 0")
        )
        yield node
        node.redis.lpush("experiments:cancel", "e")
    finally:
        node.stop()


def attempt(node: Node) -> int:
    return int(rows(node, "state.db", "SELECT attempt FROM generations")[0][0])


def process_of(node: Node, part: str) -> psutil.Process:
    found = part_process(node, part)
    assert found is not None
    return found


@pytest.mark.story
def test_a_dead_worker_and_a_stopped_one_are_noticed_in_time(tmp_path: Path) -> None:
    """The limit of a stopped one is 60 s; it is 10 s here unless CHAOS_FULL is set."""
    hang_s = how_often(10, int(HANG_S))
    with training_on_a_node(tmp_path, "" if hang_s == HANG_S else "short_patience") as node:
        process_of(node, "worker").kill()
        dead = wait_for(lambda: attempt(node) == 2, ALIVE_FOR_S + ALLOWED_S)
        query = "SELECT 1 FROM generations WHERE attempt = 2 AND state = 'RUNNING' AND stage = 'train' AND progress > 0"
        wait_for(lambda: rows(node, "state.db", query))
        stopped = process_of(node, "step process")
        stopped.send_signal(signal.SIGSTOP)
        hung = wait_for(lambda: attempt(node) == 3, hang_s + ALLOWED_S)
        wait_for(lambda: not stopped.is_running() or stopped.status() == psutil.STATUS_ZOMBIE, 60)
        assert rows(node, "state.db", "SELECT failures, losses FROM generations") == [(0, 2)]
    sys.stdout.write(
        f"dead worker noticed after {dead:.1f} s, stopped one (limit {hang_s} s) after {hung:.1f} s\n"
    )


@waits_in_vain
@pytest.mark.story
def test_without_the_reconciler_neither_would_be_noticed(tmp_path: Path) -> None:
    with training_on_a_node(tmp_path, "unguarded_reconciler") as node:
        process_of(node, "worker").kill()
        with pytest.raises(AssertionError, match="did not happen"):
            wait_for(lambda: attempt(node) == 2, ALIVE_FOR_S + ALLOWED_S)
