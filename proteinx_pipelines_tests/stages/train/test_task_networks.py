"""Networks of several tasks: an output each, a loss of the values that are there, the target as ever."""

import building
import numpy as np
import pytest
import torch
from two_tasks import N_TESTED, N_TRAINED, TEMPLATE, halves, measured, table, with_property

from proteinx_pipelines.errors import Cancelled
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.model import NETWORKS
from proteinx_pipelines.flags.train import TrainFlags
from proteinx_pipelines.positions import changed_sites
from proteinx_pipelines.records import PROPERTY, Fold, VariantTable
from proteinx_pipelines.stages.train.export import MODEL_FILES, load_model, save_model
from proteinx_pipelines.stages.train.further_values import further_values
from proteinx_pipelines.stages.train.losses import loss_of
from proteinx_pipelines.stages.train.network_tasks import training_values
from proteinx_pipelines.stages.train.task import FitTask, FoldMonitor

NET = {"name": "mlp", "hidden_dims": [16], "dropout": 0.1, "tasks": "joint"}
FIT = {"max_epochs": 4, "lr": 0.02, "batch_size": 16, "logger": []}
CPU = {"accelerator": "cpu"}
N_VALIDATED = 20


def toy_of(folder, variants: VariantTable, *, validated: int = 0) -> building.ToyExperiment:
    """Training rows first, then those for validation, then test rows; the rows without a score are in no part."""
    toy = building.ToyExperiment(folder)
    toy.variants, toy.embedding = variants, building.one_hot(variants)
    end = N_TRAINED + validated
    toy.split = building.split_of(
        variants, (range(N_TRAINED), range(N_TRAINED, end), range(end, N_TRAINED + N_TESTED))
    )
    return toy


def files(toy) -> list[bytes]:
    return [(toy.directory.model_dir / "fold_0" / name).read_bytes() for name in MODEL_FILES]


@pytest.mark.parametrize("loss", ["mse", "huber", "ranking"])
def test_the_loss_is_of_the_values_that_are_there(loss) -> None:
    one = loss_of(TrainFlags(loss=loss))
    outputs = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 6.0]], requires_grad=True)
    targets = torch.tensor([[1.0, torch.nan], [torch.nan, torch.nan], [2.0, 0.5]])
    found = one(outputs, targets)
    own, other = (
        one(outputs[[0, 2], 0], targets[[0, 2], 0]),
        one(outputs[[2], 1], targets[[2], 1]),
    )
    assert float(found.detach()) == pytest.approx(float((2 * own + other).detach()) / 3)
    found.backward()
    assert torch.isfinite(outputs.grad).all()
    assert (outputs.grad[1] == 0).all()
    nothing = one(outputs, torch.full((3, 2), torch.nan))
    assert float(nothing.detach()) == 0.0


@pytest.mark.slow
def test_a_property_that_goes_with_a_score_of_few_rows_lowers_its_error(tmp_path) -> None:
    """A curved function of four numbers: 40 rows with a score do not show it, 160 with a property do."""
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(240, 4))
    truth = np.sin(2 * vectors[:, 0]) + vectors[:, 1] * vectors[:, 2]
    target = truth + rng.normal(0, 0.2, 240)
    target[N_TRAINED + N_TESTED :] = np.nan
    sites = [(at, letter) for at in range(30) for letter in "ADFGKLSWER" if letter != TEMPLATE[at]]
    variants = table(sites[:240], target, half=truth + rng.normal(0, 0.2, 240))
    tested, errors = halves(variants).folds[0].test, {}
    for tasks in ("joint", "single"):
        toy = toy_of(tmp_path / tasks, variants)
        toy.embedding = building.dense(variants, vectors)
        flags = {**FIT, "max_epochs": 30, "target": "standardize", "save_every_n_epochs": 30}
        model = {**NET, "hidden_dims": [32], "dropout": 0.0, "tasks": tasks}
        training = toy.train(model=model, train=flags, trainer=CPU)
        found = load_model(training.model_dirs[0]).predict(toy.embedding, tested)
        errors[tasks] = np.sqrt(np.mean((found - target[tested]) ** 2))
    assert errors["joint"] < 0.9 * errors["single"]


def test_no_property_of_validation_and_test_rows_is_read_and_the_tasks_are_told(tmp_path) -> None:
    variants = measured(0.95)
    values = variants.column(PROPERTY + "half").copy()
    values[N_TRAINED : N_TRAINED + N_TESTED] = -1e6
    toys = [
        toy_of(tmp_path / str(number), each, validated=N_VALIDATED)
        for number, each in enumerate((variants, with_property(variants, "half", values)))
    ]
    found = [toy.train(model=NET, train=FIT, trainer=CPU) for toy in toys]
    assert files(toys[0]) == files(toys[1])
    info = found[0].info["folds"][0]
    assert info["tasks"] == {
        "names": ["DMS_score", "half"],
        "rows": {"DMS_score": N_TRAINED, "half": N_TRAINED + 120},
        "rows_without_score": 120,
    }
    assert info["standardized_because"] == "several tasks share one loss"
    assert info["n_train"] == N_TRAINED
    assert {"val/loss", "val/spearman"} <= set(info["curve"][0])  # of the target


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "finetune"])  # see test_finetune
def test_every_network_has_an_output_for_each_task_and_is_exported(name, tmp_path) -> None:
    toy = toy_of(tmp_path / "toy", measured(0.95))
    model = {"name": name, "tasks": "joint", "channels": 8}
    training = toy.train(model=model, train={**FIT, "max_epochs": 1, "loss": "ranking"}, trainer=CPU)
    fitted = load_model(training.model_dirs[0])
    assert fitted.predictor.settings()["tasks"] == ["DMS_score", "half"]
    assert {2} <= {len(value) for value in fitted.predictor.tensors().values() if value.ndim}
    save_model(fitted, tmp_path / "again")
    rows = np.arange(toy.variants.n_variants)
    predicted = fitted.predict(toy.embedding, rows)
    assert np.isfinite(predicted).all()
    assert np.array_equal(predicted, load_model(tmp_path / "again").predict(toy.embedding, rows))


@pytest.mark.slow
def test_a_continued_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path) -> None:
    whole, broken = (
        toy_of(tmp_path / name, measured(0.95), validated=N_VALIDATED) for name in ("whole", "broken")
    )
    expected = whole.train(model=NET, train=FIT, trainer=CPU)
    with pytest.raises(Cancelled):
        broken.train(building.Notebook(5, Cancelled("")), model=NET, train=FIT, trainer=CPU)
    found = broken.train(model=NET, train=FIT, trainer=CPU, checkpoint=broken.directory.checkpoints_dir)
    assert found.info == expected.info
    assert files(broken) == files(whole)


def test_a_network_of_a_part_of_the_rows_does_not_see_those_of_the_others(tmp_path) -> None:
    variants = measured(0.95)
    flags, fold = building.flags(model=NET), halves(variants).folds[0]
    targets = np.full(240, np.nan)
    targets[fold.train] = variants.column("target")[fold.train]
    task = FitTask(
        building.one_hot(variants), targets, Fold(fold.train[::2], fold.val, fold.test),
        changed_sites(variants), flags, 0,
        ExperimentDir(tmp_path, "toy"), FoldMonitor(building.Notebook(), 0, 1),
        further=further_values(variants, fold, flags),
    )  # fmt: skip
    rows, values = training_values(task)
    assert rows.tolist() == [*fold.train[::2], *range(120, 240)]
    assert np.isnan(values[:, 0]).tolist() == [False] * 20 + [True] * 120
    assert np.isfinite(values[:, 1]).all()
