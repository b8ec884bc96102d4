"""FSDP in two processes without a GPU: weights that are gathered whole, checkpoints that continue.

What PyTorch does on CUDA has never run here.
"""

from types import SimpleNamespace

import building
import numpy as np
import pytest
import torch
from lightning.pytorch.strategies import StrategyRegistry
from safetensors.numpy import load_file

from proteinx_pipelines.stages.train import ddp_launch, sharded
from proteinx_pipelines.stages.train.callbacks import BestWeights
from proteinx_pipelines.stages.train.lightning_fit import _chosen, trainer_arguments

NET = {"name": "mlp", "hidden_dims": [9]}
FIT = {"max_epochs": 4, "lr": 0.02, "batch_size": 16, "target": "standardize", "logger": [], "patience": None}
TWO = {"accelerator": "cpu", "devices": 2}
WATCHED = {"histogram_every_n_epochs": 2, "log_every_n_steps": 1}


def trained(folder, trainer, *, checkpoint=None, monitor=None, **train):
    toy = building.ToyExperiment(folder)
    toy.train(monitor, model=NET, train={**FIT, **train}, trainer=trainer, checkpoint=checkpoint)
    return toy.directory


def exported(directory):
    return load_file(directory.model_dir / "fold_0" / "model.safetensors")


def as_numpy(tensors):
    return {name: value.numpy() for name, value in tensors.items()}


def same_bytes(ours, theirs):
    return {name: value.tobytes() for name, value in ours.items()} == {
        name: value.tobytes() for name, value in theirs.items()
    }


@pytest.fixture(scope="module")
def on_cpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ddp_launch, "MODULE", "proteinx_pipelines_tests.fsdp_on_cpu")
        yield


@pytest.fixture(scope="module")
def whole(on_cpu, tmp_path_factory):
    """A training by each strategy: its directory and what its monitor was told."""
    found = {}
    for name in ("ddp", "fsdp"):
        monitor = building.Notebook()
        folder = tmp_path_factory.mktemp(name)
        found[name] = trained(folder, {**TWO, "strategy": name}, monitor=monitor, **WATCHED), monitor
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_parts_of_two_processes_are_exported_and_saved_as_whole_weights(whole):
    """Each process once gave its own part for the whole."""
    (ddp, heard_by_ddp), (fsdp, heard) = whole["ddp"], whole["fsdp"]
    assert same_bytes(exported(fsdp), exported(ddp))
    saved, expected = (
        torch.load(each.checkpoints_dir / "last.ckpt", weights_only=True) for each in (fsdp, ddp)
    )
    assert same_bytes(as_numpy(saved["state_dict"]), as_numpy(expected["state_dict"]))
    for number, state in expected["optimizer_states"][0]["state"].items():
        assert same_bytes(as_numpy(saved["optimizer_states"][0]["state"][number]), as_numpy(state))
    assert len(heard.values("val/spearman")) == FIT["max_epochs"]  # it learns something
    assert heard.histograms == heard_by_ddp.histograms
    for name in ("train/loss", "val/loss", "train/grad_norm"):
        assert heard.values(name) == pytest.approx(heard_by_ddp.values(name), rel=1e-5), name


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_continued_training_is_the_one_without_a_stop(whole, tmp_path):
    """From a damaged checkpoint, as with every strategy: the newest intact one beside it is read."""
    trainer = {**TWO, "strategy": "fsdp"}
    checkpoint = trained(tmp_path / "begun", trainer, max_epochs=2).checkpoints_dir / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"x")
    continued = trained(tmp_path / "continued", trainer, checkpoint=checkpoint)
    expected = exported(whole["fsdp"][0])
    assert same_bytes(exported(continued), expected)
    alone = exported(trained(tmp_path / "alone", {"accelerator": "cpu"}, checkpoint=checkpoint))
    for name, value in expected.items():
        np.testing.assert_allclose(alone[name], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["fsdp", "fsdp_cpu_offload"])
def test_the_names_of_flags_mean_the_strategy_that_reads_checked_checkpoints(name):
    sharded.register_sharded()
    made = StrategyRegistry.get(name)
    assert isinstance(made, sharded.ShardedStrategy)
    assert made._state_dict_type == "full"
    assert made.cpu_offload.offload_params == (name == "fsdp_cpu_offload")


def test_a_process_without_the_weights_does_not_ask_for_them_alone():
    """The others would have gone on, and it would wait for them without end."""
    best, averaged = BestWeights(), SimpleNamespace(n=0)
    best.load_state_dict({"epoch": 3, "loss": 0.5, "weights": {}})
    assert _chosen(averaged, best, None) == {}
    assert _chosen(SimpleNamespace(n=2, weights={}), BestWeights(), None) == {}


def test_deepspeed_writes_no_checkpoints():
    """Its folders of parts could be neither removed nor continued."""
    job = SimpleNamespace(
        flags=building.flags(model=NET, trainer={"strategy": "deepspeed_stage_2"}),
        val=SimpleNamespace(rows=[0]),
    )
    assert trainer_arguments(job)["enable_checkpointing"] is False
    job.flags = building.flags(model=NET, trainer={"strategy": "fsdp"})
    assert "enable_checkpointing" not in trainer_arguments(job)
