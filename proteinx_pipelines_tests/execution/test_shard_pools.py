"""Pools of workers: a killed worker costs its shard, a lost scheduler the unfinished ones; none is counted twice."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from proteinx_pipelines.errors import BackendError, Cancelled, WorkerLost
from proteinx_pipelines.execution.shards import on_dask
from proteinx_pipelines.execution.shards.local import LocalPool
from proteinx_pipelines.execution.shards.on_dask import dask_pool
from proteinx_pipelines.execution.shards.opening import shard_pool
from proteinx_pipelines.execution.shards.proof import differences, proof
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.dask_cluster import Cluster
from proteinx_pipelines_tests.object_servers import free_port
from proteinx_pipelines_tests.shard_tasks import (
    always_dies,
    lacks_weights,
    refuses,
    sleeps,
    square,
    until_unwanted,
)

REPOSITORY = Path(__file__).resolve().parents[2]


def quiet(_done: int) -> None:
    """Nobody stops the shards."""


@pytest.fixture
def pool() -> Iterator[LocalPool]:
    found = LocalPool(2)
    yield found
    found.close()


def test_a_killed_process_costs_its_shard_and_nothing_else(pool: LocalPool, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    mark.write_text("")
    tasks = [(number, str(mark) if number == 2 else "") for number in range(5)]
    found = list(pool.compute(square, tasks, quiet))
    assert dict(found) == {number: number**2 for number in range(5)}
    assert len(found) == len(tasks)  # none is counted twice


def test_a_shard_that_ends_every_process_is_an_infrastructure_loss(pool: LocalPool) -> None:
    with pytest.raises(WorkerLost, match="ended 3 processes") as raised:
        list(pool.compute(always_dies, [1], quiet))
    assert raised.value.retryable


def test_the_error_of_a_shard_is_that_of_the_stage(pool: LocalPool) -> None:
    with pytest.raises(ValueError, match="shard 2"):
        list(pool.compute(refuses, range(4), quiet))


def test_a_cancel_stops_all_shards(pool: LocalPool) -> None:
    def alive(done: int) -> None:
        if done:
            raise Cancelled("It was cancelled.")

    with pytest.raises(Cancelled):
        list(pool.compute(refuses, [0, 1, 3, 4], alive))


PARENT = """
from proteinx_pipelines.execution.shards.local import LocalPool
from proteinx_pipelines_tests.shard_tasks import sleeps
if __name__ == "__main__":
    for _ in LocalPool(2).compute(sleeps, [0.0, 0.0, 600.0, 600.0], lambda done: print(done, flush=True)):
        pass
"""


def test_no_process_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        while parent.stdout.readline().strip() != b"2":
            assert parent.poll() is None
        children = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
    _gone, alive = psutil.wait_procs(children, timeout=30)
    for process in alive:
        process.kill()
    assert len(children) >= 2
    assert alive == []


def test_a_daemonic_process_as_the_workers_of_celery_are_may_have_a_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without leave to have children, the first shard on a node ended with an AssertionError of `multiprocessing`."""
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)  # type: ignore[attr-defined]
    settings = load_settings({"PROTEINX_WORKDIR": str(tmp_path)}, tmp_path)
    with shard_pool(settings, 2) as found:
        assert dict(found.compute(refuses, [0, 1], quiet)) == {0: 0, 1: 1}
    with pytest.raises(AssertionError, match="daemonic"):
        list(LocalPool(1).compute(refuses, [0], quiet))


# ---------------------------------------------------------------------- on a Dask cluster
@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path)
    yield found
    found.close()


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_and_then_its_scheduler(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.wait()
    workers = [cluster.worker(), cluster.worker()]
    mark = tmp_path / "mark"
    mark.write_text("")
    monkeypatch.setattr(on_dask, "CONNECT_S", 60.0)
    with dask_pool(str(cluster.file)) as pool:
        assert dict(pool.compute(sleeps, [0.1] * 4, quiet)) == dict.fromkeys(range(4), 0.1)
        tasks: list[Any] = [(number, str(mark) if number == 2 else "") for number in range(6)]
        found = list(pool.compute(square, tasks, quiet))
        assert dict(found) == {number: number**2 for number in range(6)}
        assert len(found) == len(tasks)
        assert sum(worker.lives for worker in workers) == 1
        with pytest.raises(ValueError, match="shard 2"):
            list(pool.compute(refuses, range(4), quiet))

        def cancel(_done: int) -> None:
            raise Cancelled("It was cancelled.")

        with pytest.raises(Cancelled):
            list(pool.compute(sleeps, [30.0], cancel))
        began = tmp_path / "began"

        def cancel_when_it_began(_done: int) -> None:
            if began.exists():
                raise Cancelled("It was cancelled.")

        with pytest.raises(Cancelled):
            list(pool.compute(until_unwanted, [str(began)], cancel_when_it_began))
        ends_at = time.monotonic() + 60
        while not began.with_name("ended").exists():  # the worker learns of it within the shard
            assert time.monotonic() < ends_at
            time.sleep(0.1)
        finished: list[float] = []

        def end_the_scheduler(done: int) -> None:
            if done:
                cluster.scheduler.kill()

        with pytest.raises(WorkerLost, match="scheduler") as raised:
            finished += [result for _, result in pool.compute(sleeps, [0.0, 30.0], end_the_scheduler)]
        assert raised.value.retryable


@pytest.mark.slow
def test_a_cluster_that_is_not_there_or_has_other_versions_is_named(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(on_dask, "CONNECT_S", 2.0)
    with pytest.raises(BackendError, match="does not answer"), dask_pool(nobody):
        pass
    monkeypatch.setattr(on_dask, "CONNECT_S", 30.0)
    monkeypatch.setattr(on_dask, "WORKERS_S", 2.0)
    cluster.wait()
    with dask_pool(str(cluster.file)) as pool:
        with pytest.raises(BackendError, match="it has no workers"):
            list(pool.compute(refuses, [1], quiet))
        cluster.worker()
        monkeypatch.setattr(on_dask, "WORKERS_S", 60.0)
        assert list(pool.compute(refuses, [1], quiet)) == [(0, 1)]
        monkeypatch.setattr(on_dask, "WORKERS_S", 2.0)
        here = proof()
        monkeypatch.setattr(on_dask, "proof", lambda: {**here, "stages": {"embedding": "0"}})
        with pytest.raises(BackendError, match="other versions of the stages"):
            list(pool.compute(refuses, [1], quiet))
    monkeypatch.setattr(on_dask, "proof", lambda: here)
    # Whoever has other weights is found out by the shard itself, and gets no further one.
    lacking = pytest.raises(BackendError, match="other weights of esm2")
    with dask_pool(str(cluster.file)) as pool, lacking:
        list(pool.compute(lacks_weights, [1], quiet))


@pytest.mark.parametrize("group", ["packages", "plugins"])
def test_what_a_worker_has_otherwise_is_named(group: str) -> None:
    here = proof()
    assert differences(proof(), here) == ""
    assert (
        differences({**here, group: {**here[group], "metric mine": "2"}}, here) == "metric mine 2, here None"
    )
    assert "cannot run this package" in differences(RuntimeError("no module"), here)


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BackendError, match=r"proteinx-infra\[dask\]"), dask_pool("tcp://127.0.0.1:1"):
        pass
