"""Eight shards of an embedding, ten folds and eight campaigns on Dask: a worker is killed, then the scheduler.

What was finished is not computed again, which is counted, and the bytes are those of one process.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.campaign import runs
from proteinx_pipelines.campaign.landscape import Landscape
from proteinx_pipelines.campaign.runs import run_all
from proteinx_pipelines.errors import WorkerLost
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.shards import embedding as sharded
from proteinx_pipelines.execution.shards import on_dask
from proteinx_pipelines.execution.shards.kept import cluster_spread
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.train import spread_folds
from proteinx_pipelines_tests import gated_shards
from proteinx_pipelines_tests.bench.test_proteingym import write_assay
from proteinx_pipelines_tests.campaign.conftest import toy  # noqa: F401  # a fixture
from proteinx_pipelines_tests.campaign.test_runs import tasks
from proteinx_pipelines_tests.dask_cluster import Cluster, cluster_in
from proteinx_pipelines_tests.execution.test_embedding_in_shards import VECTORS, forget_vectors
from proteinx_pipelines_tests.execution.test_folds_are_kept import fitted_by, flags_of, left_behind
from proteinx_pipelines_tests.execution.test_folds_in_shards import forget
from proteinx_pipelines_tests.execution.test_sequences_are_embedded_once import weights  # noqa: F401  # a fixture
from proteinx_pipelines_tests.execution.test_shards_of_every_kind import scores
from proteinx_pipelines_tests.gated_shards import GATE, KILLED, OPEN, PASSED, SHARDS
from proteinx_pipelines_tests.waiting import wait_until

TORCH = ("proteinx_pipelines.stages.embedding.esm2_engine",)
LEAST = 3
"""Shards that are finished when the scheduler is killed; more may come at the same moment."""


class Gate:
    """What workers have passed; see `gated_shards`."""

    def __init__(self, folder: Path, n_shards: int, *, is_open: bool = False) -> None:
        folder.mkdir()
        (folder / PASSED).touch()
        if is_open:
            (folder / OPEN).touch()
        self.folder, self.n_shards = folder, n_shards

    @property
    def passed(self) -> list[str]:
        """Every shard that was begun, as often as it was."""
        return [line.split()[0] for line in (self.folder / PASSED).read_text().splitlines()]

    @property
    def sequences(self) -> int:
        """Sequences of the shards of an embedding that were begun."""
        return sum(int(line.split()[1]) for line in (self.folder / PASSED).read_text().splitlines())

    def begin(self, cluster: Cluster) -> None:
        """Start a worker that comes to this gate."""
        cluster.worker(**{GATE: str(self.folder), SHARDS: str(self.n_shards)})


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_dask, "CONNECT_S", 60.0)
    monkeypatch.setattr(spread_folds, "FoldWork", gated_shards.GatedFolds)
    monkeypatch.setattr(runs, "CampaignWork", gated_shards.GatedCampaigns)
    monkeypatch.setattr(sharded, "embed_batches", gated_shards.gated_batches)


@contextmanager
def dying(
    folder: Path, n_shards: int, imports: Sequence[str] = ()
) -> Iterator[tuple[str, Gate, Callable[[int], None]]]:
    """A cluster that loses a worker, and its scheduler when the third value is called with `LEAST` finished shards."""
    with cluster_in(folder, imports) as cluster:
        gate = Gate(folder / "gate", n_shards)
        gate.begin(cluster)
        gate.begin(cluster)

        def finished(done: int) -> None:
            if done >= LEAST and cluster.scheduler.lives:
                wait_until(lambda: (gate.folder / KILLED).exists())
                cluster.scheduler.kill()

        yield str(cluster.file), gate, finished
        assert not cluster.scheduler.lives
        assert (gate.folder / KILLED).exists()


@contextmanager
def living(
    folder: Path, n_shards: int, imports: Sequence[str] = ()
) -> Iterator[tuple[str, Gate, Callable[[], None]]]:
    """A cluster with one worker; another joins when the third value is called for the first time."""
    with cluster_in(folder, imports) as cluster:
        gate = Gate(folder / "gate", n_shards, is_open=True)
        gate.begin(cluster)
        yield str(cluster.file), gate, cache(lambda: gate.begin(cluster))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_folds(settings: Settings, tmp_path: Path) -> None:
    flags = flags_of("ridge", split={"method": "random", "folds": 10}, run={"shards": 10})
    fitted: list[int] = []
    with dying(tmp_path / "first", 10) as (address, _gate, finished):

        def stop(fold: int) -> None:
            fitted.append(fold)
            finished(len(fitted))

        with pytest.raises(WorkerLost) as lost:
            fitted_by(replace(settings, dask=address), "e", flags, stop=stop)
    assert lost.value.retryable
    assert LEAST <= len(fitted) < 10
    kept = list((settings.paths.store_dir / "shard").glob("??/*"))
    assert len(kept) == len(fitted)
    with living(tmp_path / "second", 10) as (address, gate, join):
        fitted_by(replace(settings, dask=address), "e", flags, number=2, stop=lambda _fold: join())
        assert sorted(gate.passed) == sorted(f"fold-{fold}" for fold in set(range(10)) - set(fitted))
        files = {"TOY": write_assay(tmp_path)}
        on_cluster = cluster_spread(replace(settings, dask=address), "bench")
        assert scores(files, on_cluster) == scores(files)
    forget(settings)
    fitted_by(settings, "alone", flags_of("ridge", split={"method": "random", "folds": 10}))
    assert left_behind(settings, "e") == left_behind(settings, "alone")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_eight_campaigns_of_a_simulation(
    settings: Settings,
    tmp_path: Path,
    toy: Landscape,  # noqa: F811
) -> None:
    def campaigns(
        name: str, address: str | None, progress: Any = lambda _done, _all: None
    ) -> dict[str, bytes]:
        """The files of eight campaigns, of two rules with four seeds, without the time that they took."""
        spread = cluster_spread(replace(settings, dask=address), "campaign")
        run_all(
            toy, tasks()[:2], range(4), folder=tmp_path / name, processes=1, progress=progress, spread=spread
        )
        found = sorted((tmp_path / name).rglob("*.json"))
        return {
            path.relative_to(tmp_path / name).as_posix(): re.sub(
                rb'"cpu_seconds": \S+', b"", path.read_bytes()
            )
            for path in found
        }

    with dying(tmp_path / "first", 8) as (address, gate, finished), pytest.raises(WorkerLost):
        campaigns("lost", address, lambda done, _all: finished(done))
    kept = len(list((tmp_path / "lost").rglob("*.json")))
    assert LEAST <= kept < 8
    with living(tmp_path / "second", 8) as (address, gate, _join):
        again = campaigns("elsewhere", address)  # its folder has nothing: the store has what was finished
        assert len(gate.passed) == len(set(gate.passed)) == 8 - kept
    assert again == campaigns("alone", None)
    assert len(again) == 8


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_eight_shards_of_an_embedding(settings: Settings, tmp_path: Path, weights: Path) -> None:  # noqa: F811
    def embed(
        number: int, address: str | None, finished: Callable[[int], None] = lambda _done: None
    ) -> StageEntry:
        flags = {
            "data.source": "TOY", "embedding.name": "esm2_t6_8M_UR50D", "embedding.weights": str(weights),
            "embedding.layer": 1, "embedding.tokens_per_batch": 300, "run.shards": 8 if address else 1,
        }  # fmt: skip
        name = "e" if address else "alone"
        given = replace(settings, dask=address)
        attempt = Attempt(given, name, parse_flags(flags), number=number, confined=False)
        told = attempt.monitor.progress

        def progress(done: float, total: float, note: str = "") -> None:
            told(done, total, note)
            if note.endswith(" of 8 shards"):
                finished(int(done))

        attempt.monitor.progress = progress  # type: ignore[method-assign]
        try:
            for stage in ("selection", "transform", "embedding"):
                entry = attempt.publish(attempt.run_stage(stage, attempt.record))
        finally:
            attempt.close()
        return entry

    with dying(tmp_path / "first", 8, TORCH) as (address, gate, finished), pytest.raises(WorkerLost):
        embed(1, address, finished)
    with living(tmp_path / "second", 8, TORCH) as (address, gate, _join):
        entry = embed(2, address)
        computed, reused = entry.details["sequences_computed"], entry.details["sequences_reused"]
        assert gate.sequences == computed
    forget_vectors(settings)
    alone = embed(1, None)
    assert alone.details["sequences_computed"] == computed + reused > 200
    assert reused >= LEAST * (computed + reused) // 10  # shards are about equal
    found = {file_sha256(settings.experiments_dir / name / VECTORS) for name in ("alone", "e")}
    assert len(found) == 1
