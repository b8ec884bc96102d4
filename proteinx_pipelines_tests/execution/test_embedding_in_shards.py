"""Embedding by shards: the same bytes as one process, and a killed worker costs its shard and nothing else."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.errors import Cancelled, WorkerLost
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.shards import embedding as sharded
from proteinx_pipelines.execution.shards.pool import LocalPool
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.execution.test_sequences_are_embedded_once import weights  # noqa: F401  # a fixture

VECTORS = "embeddings/embeddings.safetensors"


def embed(settings: Settings, experiment_id: str, weights: Path, **changes: Any) -> StageEntry:  # noqa: F811
    flags = {
        "data.source": "TOY", "embedding.name": "esm2_t6_8M_UR50D", "embedding.weights": str(weights),
        "embedding.layer": 1, "embedding.tokens_per_batch": 600, **changes,
    }  # fmt: skip
    attempt = Attempt(settings, experiment_id, parse_flags(flags), confined=False)
    try:
        for name in ("selection", "transform", "embedding"):
            entry = attempt.publish(attempt.run_stage(name, attempt.record))
    finally:
        attempt.close()
    return entry


def forget_vectors(settings: Settings) -> None:
    for path in settings.paths.store_dir.rglob("*"):
        if path.is_file() and ("sequences" in path.parts or "embedding" in path.parts):
            path.unlink()


def test_shards_give_the_bytes_of_one_process_and_enter_no_key(settings: Settings, weights: Path) -> None:  # noqa: F811
    alone = embed(settings, "alone", weights)
    forget_vectors(settings)
    shared = embed(settings, "shared", weights, **{"run.shards": 3})
    assert (shared.action, shared.key) == ("computed", alone.key)
    assert shared.details["sequences_computed"] == alone.details["sequences_computed"] > 200
    found = {file_sha256(settings.experiments_dir / name / VECTORS) for name in ("alone", "shared")}
    assert len(found) == 1


class Here:
    """A pool without processes."""

    def compute(self, function: Any, tasks: Any, alive: Any) -> Any:
        for number, task in reversed(list(enumerate(tasks))):
            alive(number)
            yield number, function(task)


@contextmanager
def in_this_process(_settings: Settings, _n: int) -> Iterator[Here]:
    yield Here()


@pytest.mark.parametrize("pooling", ["per_residue", "mutated_difference", "mean"])
def test_every_pooling_is_the_same_in_shards(
    settings: Settings,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    pooling: str,  # noqa: F811
) -> None:
    monkeypatch.setattr(sharded, "shard_pool", in_this_process)
    digests = set()
    for n_shards in (1, 4):
        changes = {"run.shards": n_shards, "embedding.pooling": pooling, "data.limit": 60}
        embed(settings, f"n-{n_shards}", weights, **changes)
        digests.add(file_sha256(settings.experiments_dir / f"n-{n_shards}" / VECTORS))
        forget_vectors(settings)
    assert len(digests) == 1


# ---------------------------------------------------------------------- the pool
def square(task: tuple[int, str]) -> int:
    """A shard that kills its process the first time, where its text names a file."""
    number, mark = task
    if mark:
        path = Path(mark)
        if path.read_text() != "tried":
            path.write_text("tried")
            os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def always_dies(_task: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def refuses(task: int) -> int:
    if task == 2:
        raise ValueError("shard 2 cannot be computed")
    return task


def quiet(_done: int) -> None:
    """Nobody stops the shards."""


@pytest.fixture
def pool() -> Any:
    found = LocalPool(2)
    yield found
    found.close()


def test_a_killed_worker_costs_its_shard_and_nothing_else(pool: LocalPool, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    mark.write_text("")
    tasks = [(number, str(mark) if number == 2 else "") for number in range(5)]
    found = list(pool.compute(square, tasks, quiet))
    assert dict(found) == {number: number**2 for number in range(5)}
    assert len(found) == len(tasks)  # none is counted twice


def test_a_shard_that_ends_every_worker_is_an_infrastructure_loss(pool: LocalPool) -> None:
    with pytest.raises(WorkerLost, match="ended 3 processes"):
        list(pool.compute(always_dies, [1], quiet))


def test_the_error_of_a_shard_is_that_of_the_stage(pool: LocalPool) -> None:
    with pytest.raises(ValueError, match="shard 2"):
        list(pool.compute(refuses, range(4), quiet))


def test_a_cancel_stops_all_shards(pool: LocalPool) -> None:
    def alive(done: int) -> None:
        if done:
            raise Cancelled("It was cancelled.")

    with pytest.raises(Cancelled):
        list(pool.compute(refuses, [0, 1, 3, 4], alive))


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 12))
def test_runs_of_batches_cover_all_in_order_and_are_about_equal(sizes: list[int], n: int) -> None:
    runs = sharded._runs(sizes, n)
    assert [k for start, stop in runs for k in range(start, stop)] == list(range(len(sizes)))
    assert len(runs) <= n
    assert max(sum(sizes[start:stop]) for start, stop in runs) <= sum(sizes) / n + max(sizes)
