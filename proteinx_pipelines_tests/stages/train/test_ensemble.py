"""Several seeds, or several folds, predict as one model: their mean, with their spread in the deviation."""

import building
import numpy as np
import pytest

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.stages.train.export import combined, load_model, save_model
from proteinx_pipelines.stages.train.registry import MODELS
from proteinx_pipelines.stages.train.train import train_models

ROWS = np.arange(60)


def trained(folder, name: str, *, n_folds: int = 1, **train):
    experiment = building.ToyExperiment(folder, n_folds=n_folds)
    monitor = building.Notebook()
    quick = {"max_epochs": 3, **train} if MODELS[name].has_epochs else train
    flags = building.flags(model={"name": name}, train=quick)
    training = train_models(
        experiment.variants, experiment.embedding, experiment.split, flags,
        directory=experiment.directory, monitor=monitor,
    )  # fmt: skip
    return experiment, training, monitor


@pytest.mark.parametrize("name", ["boosting", "forest", "mlp", "auto"])
def test_seeds_predict_by_their_mean_and_their_spread_is_a_deviation(name: str, tmp_path) -> None:
    experiment, training, _ = trained(tmp_path / "three", name, seeds=3)
    model = load_model(training.model_dirs[0])
    each = model.predictor.each(experiment.embedding, ROWS)
    assert model.predict(experiment.embedding, ROWS) == pytest.approx(each.mean(axis=0))
    deviation = model.predict_deviation(experiment.embedding, ROWS)
    if name != "auto":  # where it is a Gaussian process alone it has its own, too
        assert deviation == pytest.approx(each.std(axis=0, ddof=1))
        assert deviation.max() > 0
    assert [list(member.predict(experiment.embedding, ROWS)) for member in model.members()] == each.tolist()
    assert training.info["seeds"] == 3
    assert len(set(training.info["folds"][0]["seeds"])) == 3
    # The first member is the model without an ensemble, bit by bit.
    one, alone, _ = trained(tmp_path / "one", name)
    assert "seeds" not in alone.info
    assert np.array_equal(load_model(alone.model_dirs[0]).predict(one.embedding, ROWS), each[0])


def test_draws_of_seeds_have_the_covariance_of_their_spread(tmp_path) -> None:
    experiment, training, _ = trained(tmp_path, "boosting", seeds=4)
    model = load_model(training.model_dirs[0])
    drawn = np.stack(list(model.predict_draws(experiment.embedding, ROWS, 4000, (1,))))
    expected = model.predict_covariance(experiment.embedding, ROWS)
    assert np.diag(expected) == pytest.approx(model.predict_deviation(experiment.embedding, ROWS) ** 2)
    assert np.abs(np.cov(drawn.T) - expected).max() < 0.1 * expected.max()


def test_a_seed_without_effect_makes_one_model(tmp_path) -> None:
    _, training, _ = trained(tmp_path, "ridge", seeds=5)
    assert "seeds" not in training.info
    assert not hasattr(load_model(training.model_dirs[0]).predictor, "members")


def test_curves_are_of_the_first_seed_and_every_seed_reports_progress(tmp_path) -> None:
    _, _, monitor = trained(tmp_path, "mlp", seeds=2)
    _, _, alone = trained(tmp_path / "alone", "mlp")
    assert monitor.values("train/loss") == alone.values("train/loss") != []
    assert monitor.fractions == sorted(monitor.fractions)
    assert len(monitor.fractions) > len(alone.fractions)


def test_models_of_folds_predict_as_one_and_are_read_back_alike(tmp_path) -> None:
    experiment, training, _ = trained(tmp_path, "gp", n_folds=3, target="standardize")
    models = [load_model(folder) for folder in training.model_dirs]
    whole = combined(models)
    mean = np.mean([model.predict(experiment.embedding, ROWS) for model in models], axis=0)
    assert whole.predict(experiment.embedding, ROWS) == pytest.approx(mean)
    for member, model in zip(whole.members(), models, strict=True):
        assert np.array_equal(
            member.predict(experiment.embedding, ROWS), model.predict(experiment.embedding, ROWS)
        )
    own = np.stack([model.predict_deviation(experiment.embedding, ROWS) for model in models])
    assert (whole.predict_deviation(experiment.embedding, ROWS) >= own.min(axis=0)).all()
    assert len(list(whole.predict_draws(experiment.embedding, ROWS, 4))) == 4
    save_model(whole, tmp_path / "whole")
    again = load_model(tmp_path / "whole")
    assert np.array_equal(
        again.predict(experiment.embedding, ROWS), whole.predict(experiment.embedding, ROWS)
    )
    assert combined(models[:1]) is models[0]


def test_a_checkpoint_for_several_seeds_is_refused() -> None:
    with pytest.raises(FlagError, match="a checkpoint is of one seed"):
        parse_flags({"data.source": "s", "train.seeds": 2, "train.ckpt_path": "a.ckpt"})
