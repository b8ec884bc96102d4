"""Fine-tuning of ESM-2: the same model as fair-esm's, trained in parts, exported small, continued."""

import building
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from proteinx_pipelines.errors import Cancelled, FlagError, MissingWeights
from proteinx_pipelines.stages.embedding.esm2_engine import Esm2Engine
from proteinx_pipelines.stages.embedding.esm2_weights import read_weights
from proteinx_pipelines.stages.train.esm2_network import PAD, Esm2Network, Tuning
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.finetune import FineTuned

NAME = "esm2_t6_8M_UR50D"
FIT = {"max_epochs": 2, "lr": 0.003, "batch_size": 10, "target": "standardize", "logger": []}
CPU = {"accelerator": "cpu"}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return building.random_backbone(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def weights(backbone):
    return read_weights(NAME, backbone)


def tuning(method="lora", layers=100, checkpointing=False, targets=("query", "value")):
    return Tuning(method, layers, 4, 8.0, 0.0, targets, checkpointing)


@pytest.mark.parametrize("method", ["lora", "full", "head"])
def test_before_training_it_is_the_model_itself_with_padding_or_without(weights, method):
    """The engine is compared with fair-esm elsewhere."""
    network = Esm2Network(weights, tuning(method)).eval()
    engine = Esm2Engine(weights, layer=6, pooling="mean", precision="fp32")
    tokens = torch.from_numpy(np.random.default_rng(0).integers(4, 24, (3, 11)))
    tokens[:, 0], tokens[:, -1] = 0, 2
    padded = torch.nn.functional.pad(tokens, (0, 5), value=PAD)
    with torch.no_grad():
        expected = engine.states(tokens)
        np.testing.assert_allclose(network(tokens), expected, atol=2e-4)
        np.testing.assert_allclose(network(padded)[:, :11], expected, atol=2e-4)


def test_several_tasks_have_an_output_each(weights):
    one_hot = torch.eye(20)[torch.tensor([[0, 3, 5], [1, 3, 5]])].reshape(2, -1)
    for n in (1, 3):
        network = FineTuned(weights, tuning("head"), "ADF", 0.0, n).eval()
        assert network.head.out_features == n
        with torch.no_grad():
            assert tuple(network(one_hot).shape) == ((2,) if n == 1 else (2, n))


@pytest.mark.parametrize(
    ("method", "layers", "n_trained"),
    [
        ("head", 6, 0),
        ("lora", 6, 6 * 2 * 4 * 640),
        ("lora", 2, 2 * 2 * 4 * 640),
        ("full", 1, 4 * (320 * 320 + 320) + 2 * 4 * 320 * 320 + 4 * 320 + 320 + 6 * 320),
    ],
)
def test_what_is_trained_has_gradients_and_nothing_else_is_in_the_state(weights, method, layers, n_trained):
    network = Esm2Network(weights, tuning(method, layers)).train()
    assert sum(value.numel() for value in network.state_dict().values()) == n_trained
    states = network(torch.randint(4, 24, (2, 9)))
    assert states.requires_grad == bool(n_trained)
    if n_trained:
        states.square().mean().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())


def test_checkpointing_gives_the_same_gradients(weights):
    tokens, found = torch.randint(4, 24, (2, 9)), []
    for checkpointing in (False, True):
        torch.manual_seed(1)
        network = Esm2Network(weights, tuning(checkpointing=checkpointing, targets=("query", "fc1"))).train()
        for name, parameter in network.named_parameters():
            if name.endswith("up"):
                torch.nn.init.normal_(parameter, std=0.1)
        network(tokens).square().mean().backward()
        found.append([parameter.grad for parameter in network.parameters()])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_the_head_sees_what_the_mutations_change(weights):
    """The template itself is no change; its states are subtracted, whatever pads the batch."""
    network = FineTuned(weights, tuning("head"), "ACDEF", dropout=0.0).eval()
    letters = torch.tensor([[0, 1, 2, 3, 4, 20], [0, 1, 7, 3, 4, 20], [0, 1, 2, 3, 4, 5]])
    one_hot = torch.nn.functional.one_hot(letters, 21)[:, :, :20].float().flatten(1)
    with torch.no_grad():
        found = network(one_hot)
        assert float(found[0]) == pytest.approx(float(network.head.bias), abs=1e-4)
        assert abs(float(found[1] - found[0])) > 1e-3
        assert abs(float(found[2] - found[0])) > 1e-3
        alone = network(one_hot.reshape(3, 6, 20)[1:2, :5].flatten(1))
    assert float(alone[0]) == pytest.approx(float(found[1]), abs=1e-4)


def test_a_tuned_model_is_exported_small_read_back_and_continued_bit_for_bit(tmp_path, backbone):
    model = {
        "name": "finetune",
        "weights": str(backbone),
        "lora_rank": 2,
        "tuned_layers": 2,
        "checkpointing": True,
    }
    flags = {
        "model": model,
        "train": {**FIT, "loss": "ranking"},
        "trainer": {**CPU, "accumulate_grad_batches": 2},
    }
    whole, broken = building.ToyExperiment(tmp_path / "whole"), building.ToyExperiment(tmp_path / "broken")
    info = whole.train(**flags).info["folds"][0]
    assert info["n_parameters"] == 2 * 2 * 2 * 640 + 641
    assert info["steps"] == 4
    file = whole.directory.model_dir / "fold_0" / "model.safetensors"
    assert file.stat().st_size < 40_000
    assert np.abs(load_file(file)["model.layers.5.query.up"]).max() > 0
    predicted = load_model(file.parent).predict(whole.embedding, np.arange(60))
    assert np.isfinite(predicted).all()
    with pytest.raises(Cancelled):
        broken.train(building.Notebook(8, Cancelled("")), **flags)
    assert (broken.directory.checkpoints_dir / "last.ckpt").stat().st_size < 1_000_000
    broken.train(**flags, checkpoint=broken.directory.checkpoints_dir)
    assert (broken.directory.model_dir / "fold_0" / "model.safetensors").read_bytes() == file.read_bytes()


def test_the_model_it_was_trained_from_is_asked_for_by_its_digest(tmp_path, backbone, monkeypatch):
    own = building.random_backbone(tmp_path / "own")
    toy = building.ToyExperiment(tmp_path)
    toy.train(
        model={"name": "finetune", "weights": str(own), "tuning": "head"},
        train={**FIT, "max_epochs": 1},
        trainer=CPU,
    )
    own.write_bytes(own.read_bytes() + b"another")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(
        MissingWeights, match=r"needs the esm2_t6_8M_UR50D that it was trained from \(SHA-256 [0-9a-f]"
    ):
        load_model(toy.directory.model_dir / "fold_0")
    cached = tmp_path / "hub" / "checkpoints" / f"{NAME}.pt"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(backbone.read_bytes())
    load_model(toy.directory.model_dir / "fold_0")


def test_vectors_and_unknown_models_are_refused_together(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    toy.embedding = building.dense(toy.variants, np.zeros((60, 4)))
    with pytest.raises(FlagError) as refused:
        toy.train(model={"name": "finetune", "backbone": "gpt"})
    assert len(refused.value.problems) == 2
