"""A training is continued on the rows that it began with, and on no others: test rows would be known."""

import building
import numpy as np
import pytest
import torch

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.positions import changed_sites
from proteinx_pipelines.stages.train.job import job_of, read_job, write_job
from proteinx_pipelines.stages.train.task import FitTask, FoldMonitor

NET = {"name": "mlp", "hidden_dims": [8]}
FIT = {"max_epochs": 2, "lr": 0.02, "batch_size": 16, "logger": []}
CPU = {"accelerator": "cpu"}


def exchanged(split, one, other):
    """The same folds with two parts exchanged."""
    parts = [{name: getattr(fold, name) for name in ("train", "val", "test")} for fold in split.folds]
    return [
        tuple({**part, one: part[other], other: part[one]}[name] for name in ("train", "val", "test"))
        for part in parts
    ]


@pytest.mark.parametrize(("one", "other"), [("test", "val"), ("test", "train"), ("val", "train")])
def test_a_checkpoint_that_has_seen_other_rows_is_refused(tmp_path, one, other):
    """Another `split.seed` with the same network was continued without question: it knew the test rows."""
    first = building.ToyExperiment(tmp_path / "first")
    first.train(model=NET, train=FIT, trainer=CPU)
    checkpoint = first.directory.checkpoints_dir / "last.ckpt"
    toy = building.ToyExperiment(tmp_path / "second")
    toy.split = building.split_of(toy.variants, *exchanged(toy.split, one, other))
    with pytest.raises(
        FlagError, match=r"last\.ckpt was trained on other rows; it may know this fold's test"
    ):
        toy.train(model=NET, train={**FIT, "max_epochs": 3}, trainer=CPU, checkpoint=checkpoint)


def test_folds_do_not_take_each_others_checkpoints(tmp_path):
    first = building.ToyExperiment(tmp_path / "first", n_folds=2)
    first.train(model=NET, train=FIT, trainer=CPU)
    toy = building.ToyExperiment(tmp_path / "second", n_folds=2)
    folds = [(fold.train, fold.val, fold.test) for fold in toy.split.folds]
    toy.split = building.split_of(toy.variants, *folds[::-1])
    with pytest.raises(FlagError, match=r"fold_0.*was trained on other rows"):
        toy.train(model=NET, train=FIT, trainer=CPU, checkpoint=first.directory.checkpoints_dir)


def test_a_checkpoint_from_before_there_was_a_digest_is_continued_with_a_warning(tmp_path, caplog):
    first = building.ToyExperiment(tmp_path / "first")
    first.train(model=NET, train=FIT, trainer=CPU)
    stored = torch.load(first.directory.checkpoints_dir / "last.ckpt", weights_only=True)
    del stored["callbacks"]["TrainedRows"]
    torch.save(stored, tmp_path / "old.ckpt")
    toy = building.ToyExperiment(tmp_path / "second")
    info = toy.train(
        model=NET, train={**FIT, "max_epochs": 3}, trainer=CPU, checkpoint=tmp_path / "old.ckpt"
    ).info
    assert info["folds"][0]["epochs"] == 3
    assert "old.ckpt does not say which rows it was trained on" in caplog.text


def test_processes_of_their_own_are_told_which_rows_they_train_on(tmp_path):
    """They get rows without ids: a digest of their own would be that of nothing."""
    toy = building.ToyExperiment(tmp_path)
    digests = []
    for parts in (
        toy.split.folds[0],
        building.split_of(toy.variants, *exchanged(toy.split, "test", "val")).folds[0],
    ):
        task = FitTask(
            toy.embedding, np.zeros(60), parts, changed_sites(toy.variants), building.flags(model=NET), 0,
            toy.directory, FoldMonitor(building.Notebook(), 0, 1),
        )  # fmt: skip
        job = job_of(task, {})
        folder = tmp_path / str(len(digests))
        folder.mkdir()
        write_job(job, folder)
        digests.append(read_job(folder).rows_sha256)
        assert digests[-1] == job.rows_sha256
    assert len(set(digests)) == 2
