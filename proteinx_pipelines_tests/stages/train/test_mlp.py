import json
import logging
import warnings

import building
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from proteinx_pipelines.errors import Cancelled, FlagError, TrainingDiverged
from proteinx_pipelines.stages.train.datamodule import EpochOrder
from proteinx_pipelines.stages.train.export import load_model

NET = {"name": "mlp", "hidden_dims": [8], "dropout": 0.2}
FIT = {"max_epochs": 4, "lr": 0.02, "batch_size": 16, "target": "standardize", "logger": []}
CPU = {"accelerator": "cpu"}


def exported(toy, fold=0):
    return (toy.directory.model_dir / f"fold_{fold}" / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_the_same_flags_and_seed_give_the_same_weights_bit_for_bit(tmp_path):
    found = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        toy = building.ToyExperiment(tmp_path / name)
        torch.rand(3)  # the state of the process must not matter
        toy.train(model=NET, train={**FIT, "seed": seed}, trainer=CPU)
        found.append(exported(toy))
    assert found[0] == found[1] != found[2]


@pytest.mark.slow
def test_a_fold_does_not_depend_on_the_others(tmp_path):
    toy = building.ToyExperiment(tmp_path / "both", n_folds=2)
    toy.train(model=NET, train=FIT, trainer=CPU)
    alone = building.ToyExperiment(tmp_path / "alone")
    alone.train(model=NET, train=FIT, trainer=CPU)
    assert exported(toy, 0) == exported(alone, 0) != exported(toy, 1)


@pytest.mark.slow
def test_the_network_learns_an_additive_target(tmp_path):
    toy = building.ToyExperiment(tmp_path, n=300)
    flags = {**FIT, "max_epochs": 25, "patience": None, "save_every_n_epochs": 25}
    training = toy.train(model={"name": "mlp", "hidden_dims": [32]}, train=flags, trainer=CPU)
    assert training.fold_metrics[0]["val/spearman"] > 0.8
    test = toy.split.folds[0].test
    predicted = load_model(training.model_dirs[0]).predict(toy.embedding, test)
    measured = toy.variants.column("target")[test]
    assert np.mean((predicted - measured) ** 2) < 0.5 * np.var(measured)  # in the unit of the target


def test_every_epoch_is_in_the_learning_curve_and_in_the_monitor(tmp_path):
    toy, monitor = building.ToyExperiment(tmp_path), building.Notebook()
    training = toy.train(monitor, model=NET, train={**FIT, "log_every_n_steps": 2}, trainer=CPU)
    curve = training.info["folds"][0]["curve"]
    assert [entry["epoch"] for entry in curve] == [0, 1, 2, 3]
    for name in ("train/loss", "val/loss", "val/spearman"):
        assert monitor.values(name) == [entry[name] for entry in curve]
    sampled = [entry["step"] for entry in monitor.metrics if entry["name"] == "train/loss_step"]
    assert sampled == [2, 4, 6, 8, 10, 12]
    assert monitor.fractions == sorted(monitor.fractions)


def test_histograms_of_the_weights_count_every_weight(tmp_path):
    toy, monitor = building.ToyExperiment(tmp_path), building.Notebook()
    training = toy.train(monitor, model=NET, train={**FIT, "histogram_every_n_epochs": 2}, trainer=CPU)
    last = [entry for entry in monitor.histograms if entry["step"] == 12]
    assert len(monitor.histograms) == 2 * len(last)
    assert sum(sum(entry["counts"]) for entry in last) == training.info["folds"][0]["n_parameters"]
    assert all(len(entry["edges"]) == len(entry["counts"]) + 1 for entry in last)


@pytest.mark.slow
def test_training_stops_early_and_exports_the_best_epoch(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    training = toy.train(model=NET, train={**FIT, "lr": 0.3, "max_epochs": 60, "patience": 3}, trainer=CPU)
    info = training.info["folds"][0]
    losses = [entry["val/loss"] for entry in info["curve"]]
    assert info["stopped_early"]
    assert info["best_epoch"] == int(np.argmin(losses)) == len(losses) - 4
    assert training.fold_metrics[0]["val/loss"] == pytest.approx(min(losses), rel=1e-6)


def test_without_validation_rows_all_epochs_run_and_the_newest_checkpoints_are_kept(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    toy.split = building.split_of(toy.variants, (range(50), [], range(50, 60)))
    info = toy.train(model=NET, train={**FIT, "patience": 1}, trainer=CPU).info["folds"][0]
    assert (info["epochs"], info["best_epoch"], info["stopped_early"]) == (4, None, False)
    names = {path.name for path in toy.directory.checkpoints_dir.iterdir()}
    assert names == {"epoch0002.ckpt", "epoch0003.ckpt", "last.ckpt", "manifest.json"}


@pytest.mark.slow
def test_the_best_checkpoints_by_validation_loss_are_kept_for_each_fold(tmp_path):
    toy = building.ToyExperiment(tmp_path, n_folds=2)
    training = toy.train(
        model=NET, train={**FIT, "lr": 0.3, "max_epochs": 6, "keep_checkpoints": 1}, trainer=CPU
    )
    for k, info in enumerate(training.info["folds"]):
        folder = toy.directory.checkpoints_dir / f"fold_{k}"
        kept = [path.name for path in folder.glob("epoch*.ckpt")]
        assert kept == [f"epoch{info['best_epoch']:04d}.ckpt"]
        assert set(json.loads((folder / "manifest.json").read_text())) == {*kept, "last.ckpt"}


def test_a_loss_that_is_not_finite_says_where_and_what_to_do(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    with pytest.raises(TrainingDiverged, match=r"epoch \d+, step \d+.*Lower `train\.lr` \(now 1e\+30\)"):
        toy.train(model=NET, train={**FIT, "lr": 1e30}, trainer=CPU)


def test_a_stop_from_the_monitor_leaves_lightning_and_no_trace(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    before = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    with pytest.raises(Cancelled, match="enough"):
        toy.train(building.Notebook(5, Cancelled("enough")), model=NET, train=FIT, trainer=CPU)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.are_deterministic_algorithms_enabled() == before[1]
    assert not (toy.directory.model_dir / "fold_0").exists()
    toy.train(model=NET, train=FIT, trainer=CPU)  # the process can go on


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [2, 6, 9])
def test_a_continued_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path, stop_at):
    flags = {**FIT, "max_epochs": 6, "patience": 3}
    whole = building.ToyExperiment(tmp_path / "whole")
    expected = whole.train(model=NET, train=flags, trainer=CPU)
    toy = building.ToyExperiment(tmp_path / "broken")
    with pytest.raises(Cancelled):
        toy.train(building.Notebook(stop_at + 3, Cancelled("")), model=NET, train=flags, trainer=CPU)
    found = toy.train(model=NET, train=flags, trainer=CPU, checkpoint=toy.directory.checkpoints_dir)
    assert exported(toy) == exported(whole)
    assert found.info == expected.info
    for name in ("last.ckpt", f"epoch{expected.info['folds'][0]['best_epoch']:04d}.ckpt"):
        ours, theirs = (
            torch.load(one.directory.checkpoints_dir / name, weights_only=True) for one in (toy, whole)
        )
        assert all(
            torch.equal(ours["state_dict"][key], theirs["state_dict"][key]) for key in theirs["state_dict"]
        )


def test_a_training_that_had_stopped_early_is_not_continued_further(tmp_path):
    flags = {**FIT, "lr": 0.3, "max_epochs": 60, "patience": 2}
    toy = building.ToyExperiment(tmp_path)
    expected = toy.train(model=NET, train=flags, trainer=CPU)
    weights = exported(toy)
    found = toy.train(model=NET, train=flags, trainer=CPU, checkpoint=toy.directory.checkpoints_dir)
    assert found.info == expected.info
    assert exported(toy) == weights


@pytest.mark.slow
def test_cross_validation_continues_at_the_fold_that_was_interrupted(tmp_path):
    whole = building.ToyExperiment(tmp_path / "whole", n_folds=3)
    expected = whole.train(model=NET, train=FIT, trainer=CPU)
    toy = building.ToyExperiment(tmp_path / "broken", n_folds=3)
    with pytest.raises(Cancelled):
        toy.train(building.Notebook(29, Cancelled("")), model=NET, train=FIT, trainer=CPU)
    assert (toy.directory.checkpoints_dir / "fold_1").is_dir()
    assert not (toy.directory.checkpoints_dir / "fold_2").exists()
    monitor = building.Notebook()
    found = toy.train(monitor, model=NET, train=FIT, trainer=CPU, checkpoint=toy.directory.checkpoints_dir)
    assert found.info == expected.info
    assert [exported(toy, k) for k in range(3)] == [exported(whole, k) for k in range(3)]
    assert {entry["fold"] for entry in monitor.metrics} == {1, 2}  # fold 0 was done


@pytest.mark.slow
def test_a_checkpoint_of_another_experiment_is_continued_with_more_epochs(tmp_path):
    first = building.ToyExperiment(tmp_path / "first")
    first.train(model=NET, train={**FIT, "max_epochs": 2}, trainer=CPU)
    whole = building.ToyExperiment(tmp_path / "whole")
    whole.train(model=NET, train=FIT, trainer=CPU)
    toy = building.ToyExperiment(tmp_path / "second")
    toy.train(model=NET, train=FIT, trainer=CPU, checkpoint=first.directory.checkpoints_dir / "last.ckpt")
    assert exported(toy) == exported(whole)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    first = building.ToyExperiment(tmp_path / "first")
    first.train(model=NET, train=FIT, trainer=CPU)
    checkpoint = first.directory.checkpoints_dir / "last.ckpt"
    toy = building.ToyExperiment(tmp_path / "second")
    with pytest.raises(FlagError, match=r"`train\.ckpt_path` .*is of a network with weights"):
        toy.train(model={**NET, "hidden_dims": [9]}, train=FIT, trainer=CPU, checkpoint=checkpoint)
    torch.save(
        {"state_dict": torch.load(checkpoint, weights_only=True)["state_dict"]}, tmp_path / "bare.ckpt"
    )
    with pytest.raises(FlagError, match=r"bare\.ckpt holds weights only"):
        toy.train(model=NET, train=FIT, trainer=CPU, checkpoint=tmp_path / "bare.ckpt")
    with pytest.raises(FlagError, match=r"`train\.max_epochs` is 3, but .*last\.ckpt has 4 epochs"):
        toy.train(model=NET, train={**FIT, "max_epochs": 3}, trainer=CPU, checkpoint=checkpoint)


def test_one_checkpoint_for_several_folds_is_refused(tmp_path):
    toy = building.ToyExperiment(tmp_path, n_folds=2)
    (tmp_path / "some.ckpt").touch()
    with pytest.raises(FlagError, match="2 folds: continuing all"):
        toy.train(model=NET, train=FIT, trainer=CPU, checkpoint=tmp_path / "some.ckpt")
    with pytest.raises(FlagError, match="is not there"):
        toy.train(model=NET, train=FIT, trainer=CPU, checkpoint=tmp_path / "none.ckpt")


@pytest.mark.slow
@pytest.mark.parametrize(
    "trainer",
    [
        {"precision": "bf16-mixed"}, {"precision": "64-true"}, {"gradient_clip_val": 0.5}, {"max_steps": 5},
        {"limit_val_batches": 0}, {"enable_checkpointing": False}, {"accumulate_grad_batches": 2},
        {"check_val_every_n_epoch": 3}, {"fast_dev_run": True}, {"val_check_interval": 0.5},
        {"use_distributed_sampler": True}, {"deterministic": False}, {"overfit_batches": 1},
        {"enable_progress_bar": True, "enable_model_summary": True, "num_sanity_val_steps": 1},
        {"max_time": {"minutes": 1}}, {"reload_dataloaders_every_n_epochs": 1},
    ],
)  # fmt: skip
def test_arguments_of_the_trainer_are_passed_on(tmp_path, trainer):
    toy = building.ToyExperiment(tmp_path)
    training = toy.train(model=NET, train=FIT, trainer={**CPU, **trainer})
    assert np.isfinite(training.fold_metrics[0]["train/loss"])
    if "max_steps" in trainer:
        assert training.info["folds"][0]["steps"] == 5
    if trainer.get("enable_checkpointing") is False:
        assert not toy.directory.checkpoints_dir.exists()
    if trainer.get("limit_val_batches") == 0:
        assert "val/loss" not in training.info["folds"][0]["curve"][0]


def test_what_lightning_refuses_is_a_flag_error(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    with pytest.raises(FlagError, match=r"`trainer\.\*`: Lightning does not accept .*'tpu'"):
        toy.train(model=NET, train=FIT, trainer={"accelerator": "tpu"})


def test_a_strategy_that_copies_the_process_is_refused(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    with pytest.raises((FlagError, ValidationError), match="'ddp_spawn' copies the node's own process"):
        toy.train(model=NET, train=FIT, trainer={**CPU, "strategy": "ddp_spawn", "devices": 2})


@pytest.mark.slow
def test_loggers_write_below_logs_and_nothing_is_said_aloud(tmp_path, caplog, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy = building.ToyExperiment(tmp_path)
    with warnings.catch_warnings(), caplog.at_level(logging.INFO):
        warnings.simplefilter("error")
        toy.train(model=NET, train={**FIT, "logger": ["csv", "tensorboard"]}, trainer=CPU)
    assert list(toy.directory.path("logs/tensorboard").rglob("events.*"))
    header = next(toy.directory.path("logs/csv").rglob("metrics.csv")).read_text().splitlines()[0]
    assert {"train/loss", "val/loss", "val/spearman"} <= set(header.split(","))
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert {path.name for path in tmp_path.iterdir()} == {"toy"}


def test_the_order_of_an_epoch_is_dealt_without_loss():
    for n, world_size in ((10, 1), (10, 2), (11, 2), (3, 5)):
        orders = [EpochOrder(n, 5, epoch=2, rank=rank, world_size=world_size) for rank in range(world_size)]
        dealt = [list(order) for order in orders]
        assert {len(part) for part in dealt} == {len(orders[0])}
        assert {row for part in dealt for row in part} == set(range(n))
    alone = EpochOrder(10, 5, epoch=2)
    pair = [EpochOrder(10, 5, epoch=2, rank=rank, world_size=2) for rank in (0, 1)]
    assert list(alone) == [row for rows in zip(*pair, strict=True) for row in rows]
    alone.set_epoch(3)
    assert list(alone) != list(EpochOrder(10, 5, epoch=2))


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 5])
def test_patience_counts_epochs_however_often_it_is_validated(tmp_path, every):
    """With a validation every five epochs, `train.patience` 5 went on for 25 epochs behind the best one."""
    toy = building.ToyExperiment(tmp_path)
    flags = {**FIT, "lr": 0.3, "max_epochs": 80, "patience": 5}
    training = toy.train(model=NET, train=flags, trainer={**CPU, "check_val_every_n_epoch": every})
    (info,) = training.info["folds"]
    assert info["ended_by"] == "train.patience"
    assert info["stopped_early"]
    assert info["epochs"] - 1 - info["best_epoch"] == 5


@pytest.mark.parametrize(
    ("train", "trainer", "flag"),
    [
        ({"patience": None, "max_epochs": 2}, {}, "train.max_epochs"),
        ({"patience": None, "max_epochs": 50}, {"max_steps": 3}, "trainer.max_steps"),
        ({"max_epochs": 50}, {"fast_dev_run": True}, "trainer.fast_dev_run"),
        ({"patience": None, "max_epochs": 100_000}, {"max_time": "00:00:00:01"}, "trainer.max_time"),
    ],
)
def test_the_flag_that_ended_a_training_is_recorded(tmp_path, train, trainer, flag):
    """`fast_dev_run` left a report whose methods said "at most 50 epochs"."""
    toy = building.ToyExperiment(tmp_path)
    training = toy.train(model=NET, train={**FIT, **train}, trainer={**CPU, **trainer})
    assert [fold["ended_by"] for fold in training.info["folds"]] == [flag]
