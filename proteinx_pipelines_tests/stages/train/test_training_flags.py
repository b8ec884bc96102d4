"""Losses, optimizers, learning rates, callbacks and metrics that `train.*` chooses for networks."""

import math

import building
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from proteinx_pipelines import metrics
from proteinx_pipelines.errors import Cancelled, FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.train import TrainFlags
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.losses import loss_of, output_of, predictions_of, ranking_loss
from proteinx_pipelines.stages.train.optimizers import optimizer_of, rate_of

NET = {"name": "mlp", "hidden_dims": [8]}
FIT = {"max_epochs": 4, "lr": 0.02, "batch_size": 16, "logger": []}
CPU = {"accelerator": "cpu"}


def test_the_ranking_loss_is_the_mean_over_all_ordered_pairs(monkeypatch):
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(size=23), rng.integers(0, 6, 23).astype(float)
    pairs = [
        math.log1p(math.exp(-(outputs[i] - outputs[j])))
        for i in range(23)
        for j in range(23)
        if targets[i] > targets[j]
    ]
    monkeypatch.setattr("proteinx_pipelines.stages.train.losses._PAIR_ROWS", 5)
    found = ranking_loss(torch.tensor(outputs), torch.tensor(targets))
    assert float(found) == pytest.approx(np.mean(pairs))
    assert float(ranking_loss(torch.tensor(outputs), torch.zeros(23))) == 0.0


def test_losses_are_those_of_the_text_books():
    outputs, targets = torch.tensor([0.5, -3.0]), torch.tensor([0.0, 0.5])
    huber = loss_of(TrainFlags(loss="huber", huber_delta=2.0))(outputs, targets)
    assert float(huber) == pytest.approx((0.5 * 0.25 + 2.0 * (3.5 - 1.0)) / 2)
    classes = torch.tensor([0.0, 1.0])
    expected = -(math.log(1 - 1 / (1 + math.exp(-0.5))) + math.log(1 / (1 + math.exp(3.0)))) / 2
    assert float(loss_of(TrainFlags(loss="bce"))(outputs, classes)) == pytest.approx(expected)


def test_ranked_outputs_are_put_on_the_scale_of_the_targets_and_never_turned_round():
    outputs, flags = np.array([0.0, 1.0, 3.0]), TrainFlags(loss="ranking")
    settings = output_of(flags, outputs, 10 * outputs - 5)
    assert np.allclose(predictions_of(settings, outputs), 10 * outputs - 5)
    against = predictions_of(output_of(flags, outputs, -outputs), outputs)
    assert np.allclose(against, -outputs.mean())
    probability = predictions_of(
        output_of(TrainFlags(loss="bce"), outputs, outputs), np.array([0.0, 900.0, -900.0])
    )
    assert np.allclose(probability, [0.5, 1.0, 0.0])


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"scheduler": "cosine"}, [1.0, 0.5, 0.0, 0.0]),
        ({"scheduler": "linear"}, [1.0, 0.5, 0.0, 0.0]),
        ({"warmup_steps": 5}, [0.2, 1.0, 1.0, 1.0]),
        ({"scheduler": "linear", "warmup_steps": 5}, [0.2, 1.0, 0.0, 0.0]),
    ],
)
def test_the_learning_rate_of_a_step(flags, expected):
    rate = rate_of(TrainFlags(**flags), 10)
    assert [rate(step) for step in (0, 5, 10, 50)] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "rmsprop"])
def test_the_optimizer_is_the_one_that_is_named(name):
    weights = [torch.nn.Parameter(torch.ones(2))]
    made = optimizer_of(TrainFlags(optimizer=name, lr=0.1, weight_decay=0.5), weights)
    assert type(made).__name__.lower() == name
    assert (made.param_groups[0]["lr"], made.param_groups[0]["weight_decay"]) == (0.1, 0.5)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"accumulate": {"0": 2}}, "name gradient_accumulation_scheduler there too"),
        (
            {"callbacks": ["gradient_accumulation_scheduler"], "accumulate": {"first": 2}},
            "names the epochs first; numbers",
        ),
        ({"scheduler": "plateau", "warmup_steps": 3}, "leave out either"),
        ({"loss": "hinge"}, "expected one of `mse`, `huber`, `ranking`, `bce`"),
        ({"callbacks": ["os.system"]}, "expected"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(train, said):
    with pytest.raises(FlagError, match=said):
        parse_flags({"data.source": "A", "model.name": "mlp", "train": train})


MANY = {
    "optimizer": "sgd", "lr": 0.05, "scheduler": "cosine", "warmup_steps": 2, "loss": "ranking", "max_epochs": 6,
    "patience": None, "metrics": ["ndcg", "top10_recall"], "log_every_n_steps": 1, "swa_start": 0.5,
    "keep_checkpoints": 10, "callbacks": ["stochastic_weight_averaging", "learning_rate_monitor"],
}  # fmt: skip


def test_all_of_them_together_are_followed_and_a_killed_training_continues_bit_for_bit(tmp_path):
    whole, notebook = building.ToyExperiment(tmp_path / "whole"), building.Notebook()
    info = whole.train(notebook, model=NET, train=MANY, trainer=CPU).info["folds"][0]
    assert info["averaged_epochs"] == 3
    assert len(notebook.values("val/ndcg")) == len(notebook.values("val/top10_recall")) == 6
    rates, norms = notebook.values("train/lr"), notebook.values("train/grad_norm")
    assert len(rates) == len(norms) == info["steps"]
    assert rates[0] == pytest.approx(0.025)
    assert max(rates) == pytest.approx(0.05)
    assert rates[-1] < 0.01
    assert min(norms) > 0
    lines = next((whole.directory.logs_dir / "csv").rglob("metrics.csv")).read_text(encoding="utf-8")
    assert "lr-SGD" in lines.splitlines()[0]

    exported = load_file(whole.directory.model_dir / "fold_0" / "model.safetensors")
    epochs = [
        torch.load(whole.directory.checkpoints_dir / f"epoch{k:04d}.ckpt", weights_only=True)["state_dict"]
        for k in (3, 4, 5)
    ]
    for name, value in exported.items():
        mean = np.mean([epoch[f"network.{name}"].numpy() for epoch in epochs], axis=0)
        assert np.allclose(value, mean, atol=1e-6), name
    model, fold = load_model(whole.directory.model_dir / "fold_0"), whole.split.folds[0]
    target = whole.variants.column("target")
    predicted = model.predict(whole.embedding, fold.train)
    assert metrics.compute("spearman", target[fold.train], predicted) > 0.5
    assert predicted.mean() == pytest.approx(target[fold.train].mean(), abs=0.2)

    broken = building.ToyExperiment(tmp_path / "broken")
    with pytest.raises(Cancelled):
        broken.train(building.Notebook(9, Cancelled("")), model=NET, train=MANY, trainer=CPU)
    broken.train(model=NET, train=MANY, trainer=CPU, checkpoint=broken.directory.checkpoints_dir)
    one, other = (
        (toy.directory.model_dir / "fold_0" / "model.safetensors").read_bytes() for toy in (whole, broken)
    )
    assert one == other


def test_batches_are_accumulated_by_epoch(tmp_path):
    train = {
        **FIT, "batch_size": 5, "max_epochs": 4, "patience": None, "accumulate": {"0": 4, "2": 1},
        "callbacks": ["gradient_accumulation_scheduler"], "scheduler": "plateau",
    }  # fmt: skip
    toy = building.ToyExperiment(tmp_path)
    info = toy.train(model=NET, train=train, trainer=CPU).info["folds"][0]
    assert info["steps"] == 2 * 2 + 2 * 8


def test_classes_are_learned_as_probabilities_and_other_targets_refused(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    train = {**FIT, "loss": "bce", "max_epochs": 8}
    with pytest.raises(FlagError, match=r"`train.loss` is 'bce', and the targets range from -\d"):
        toy.train(model=NET, train=train, trainer=CPU)
    rows = toy.variants.rows
    scores = toy.variants.column("target")
    classes = (scores > np.median(scores)).astype(float)
    at = rows.column_names.index("target")
    changed = rows.set_column(at, "target", [classes])
    toy.variants = type(toy.variants)(changed, toy.variants.templates)
    toy.train(model=NET, train=train, trainer=CPU)
    predicted = load_model(toy.directory.model_dir / "fold_0").predict(toy.embedding, np.arange(60))
    assert predicted.min() > 0
    assert predicted.max() < 1
    fold = toy.split.folds[0]
    assert metrics.compute("spearman", classes[fold.train], predicted[fold.train]) > 0.5
