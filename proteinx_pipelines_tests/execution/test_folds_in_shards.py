"""Folds and seeds by shards: the bytes of one process; a killed worker, scheduler or node costs what was unfinished."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import distributed
import pytest

from proteinx_pipelines.errors import Cancelled, WorkerLost
from proteinx_pipelines.execution.shards import kept, on_dask
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.train import spread_folds
from proteinx_pipelines_tests import shard_tasks
from proteinx_pipelines_tests.dask_cluster import cluster_in
from proteinx_pipelines_tests.execution.test_embedding_in_shards import in_this_process
from proteinx_pipelines_tests.execution.test_folds_are_kept import (
    FOLDS,
    fitted_by,
    flags_of,
    left_behind,
    stop_after,
)


def forget(settings: Settings) -> None:
    """Empty the stage store, so that nothing is taken over."""
    shutil.rmtree(settings.paths.store_dir)


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every fit in a worker, a line each: the number of the fold."""
    path = tmp_path / "notes"
    path.touch()
    monkeypatch.setenv(shard_tasks.NOTES, str(path))
    monkeypatch.setattr(spread_folds, "FoldWork", shard_tasks.CountedFolds)
    return path


def fits(notes: Path) -> list[int]:
    return sorted(map(int, notes.read_text().split()))


ONE, TWO = {"method": "random"}, {"method": "random", "folds": 2}


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("ridge", {}), ("gp", {"split": TWO}), ("auto", {"split": ONE, "train": {"seeds": 2}}),
        ("mlp", {"split": TWO}),
        ("mlp", {"split": ONE, "train": {"max_epochs": 1, "patience": None, "seeds": 2, "parts": 2}}),
    ],
)  # fmt: skip
def test_shards_of_a_training_give_the_bytes_of_one_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, model: str, more: dict[str, Any]
) -> None:
    monkeypatch.setattr(kept, "shard_pool", in_this_process)
    alone = fitted_by(settings, "alone", flags_of(model, **more))
    forget(settings)
    shared = fitted_by(settings, "shared", flags_of(model, run={"shards": 3}, **more))
    assert sorted(shared) == sorted(alone)
    assert left_behind(settings, "shared") == left_behind(settings, "alone")
    checkpoints = [
        sorted(path.relative_to(root) for path in root.rglob("*.ckpt"))
        for root in (settings.experiments_dir / name / "ckpts" for name in ("alone", "shared"))
    ]
    assert checkpoints[0] == checkpoints[1]
    assert bool(checkpoints[0]) == (model == "mlp")
    assert not list((settings.paths.store_dir / "shard").rglob("*.ckpt"))


def test_a_stopped_training_keeps_its_finished_shards_and_another_node_takes_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, notes: Path
) -> None:
    monkeypatch.setattr(kept, "shard_pool", in_this_process)
    flags = flags_of("ridge", run={"shards": FOLDS})
    with pytest.raises(Cancelled):
        fitted_by(settings, "e", flags, stop=stop_after(2))
    assert fits(notes) == [2, 3]
    shutil.rmtree(settings.paths.staging_dir)  # as on a node that has the store and not the folder
    fitted_by(settings, "e", flags, number=2)
    assert fits(notes) == [0, 1, 2, 3]
    fitted_by(settings, "whole", flags_of("ridge", run={"shards": 1}))
    assert left_behind(settings, "e") == left_behind(settings, "whole")


def test_a_damaged_shard_is_fitted_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, notes: Path
) -> None:
    monkeypatch.setattr(kept, "shard_pool", in_this_process)
    flags = flags_of("ridge", run={"shards": FOLDS})
    with pytest.raises(Cancelled):
        fitted_by(settings, "e", flags, stop=stop_after(3))
    (model,) = (settings.paths.store_dir / "shard").rglob("model.safetensors")
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    shutil.rmtree(settings.paths.staging_dir)
    fitted_by(settings, "e", flags, number=2)
    assert fits(notes) == [0, 1, 2, 3, 3]


@pytest.mark.slow
def test_a_killed_process_of_the_node_costs_its_fold(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, notes: Path
) -> None:
    monkeypatch.setenv(shard_tasks.DEADLY, "1")
    fitted_by(settings, "shared", flags_of("ridge", run={"shards": 2}))
    assert fits(notes) == [0, 1, 1, 2, 3]
    forget(settings)
    fitted_by(settings, "alone", flags_of("ridge"))
    assert left_behind(settings, "shared") == left_behind(settings, "alone")


@pytest.mark.slow
def test_a_cluster_that_has_lost_its_last_worker_ends_the_attempt(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: Path
) -> None:
    """An experiment waited for ever: its worker was killed, and nobody started another one."""
    monkeypatch.setattr(on_dask, "CONNECT_S", 60.0)
    monkeypatch.setattr(on_dask, "WORKERS_S", 3.0)
    monkeypatch.setenv(shard_tasks.DEADLY, "1")
    with cluster_in(tmp_path / "cluster") as cluster:
        cluster.worker()
        with distributed.Client(scheduler_file=str(cluster.file), set_as_default=False) as client:
            client.wait_for_workers(1, timeout=120)
        on_cluster = replace(settings, dask=str(cluster.file))
        with pytest.raises(WorkerLost, match="has had no workers for 3 s") as lost:
            fitted_by(on_cluster, "e", flags_of("ridge", run={"shards": FOLDS}))
    assert lost.value.retryable
    assert 1 in fits(notes)
