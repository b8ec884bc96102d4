"""Embedding by shards: the same bytes as one process, and a killed worker costs its shard and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.shards import embedding as sharded
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


@pytest.mark.slow
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
    weights: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    pooling: str,
) -> None:
    monkeypatch.setattr(sharded, "shard_pool", in_this_process)
    digests = set()
    for n_shards in (1, 4):
        changes = {"run.shards": n_shards, "embedding.pooling": pooling, "data.limit": 60}
        embed(settings, f"n-{n_shards}", weights, **changes)
        digests.add(file_sha256(settings.experiments_dir / f"n-{n_shards}" / VECTORS))
        forget_vectors(settings)
    assert len(digests) == 1


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 12))
def test_runs_of_batches_cover_all_in_order_and_are_about_equal(sizes: list[int], n: int) -> None:
    runs = sharded._runs(sizes, n)
    assert [k for start, stop in runs for k in range(start, stop)] == list(range(len(sizes)))
    assert len(runs) <= n
    assert max(sum(sizes[start:stop]) for start, stop in runs) <= sum(sizes) / n + max(sizes)
