import building
import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from test_gp import singles, trained

from proteinx_pipelines.stages.train import substitution_features
from proteinx_pipelines.stages.train.mutations import MutationList
from proteinx_pipelines.stages.train.trees import mean_of, restore_trees, trees_of_boosting, trees_of_forest


@pytest.mark.parametrize(
    ("model", "convert"),
    [
        (HistGradientBoostingRegressor(max_iter=20, min_samples_leaf=3), trees_of_boosting),
        (ExtraTreesRegressor(20, random_state=0), trees_of_forest),
    ],
)
def test_exported_trees_predict_what_scikit_learn_predicts(model, convert):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 6)).astype(np.float32)
    targets = features[:, 0] * features[:, 1] + rng.normal(size=300)
    trees = convert(model.fit(features, targets))
    new = rng.normal(size=(600, 6)).astype(np.float32)  # more than go down at once
    alone = np.concatenate([trees.predict(new[[row]]) for row in range(len(new))])
    np.testing.assert_array_equal(trees.predict(new), alone)  # bit for bit
    np.testing.assert_allclose(
        restore_trees(trees.tensors(), trees.base).predict(new), model.predict(new), atol=1e-9
    )


def test_the_mean_of_models_predicts_the_mean_of_their_predictions():
    rng = np.random.default_rng(0)
    features, new = rng.normal(size=(2, 300, 6)).astype(np.float32)
    targets = features[:, 0] * features[:, 1] + rng.normal(size=300)
    models = [HistGradientBoostingRegressor(max_iter=5 + seed, random_state=seed) for seed in range(3)]
    trees = mean_of([trees_of_boosting(model.fit(features, targets + k)) for k, model in enumerate(models)])
    expected = np.mean([model.predict(new) for model in models], axis=0)
    np.testing.assert_allclose(restore_trees(trees.tensors(), trees.base).predict(new), expected, atol=1e-9)


@pytest.mark.parametrize("name", ["boosting", "forest", "auto"])
@pytest.mark.slow
def test_the_model_read_back_predicts_unseen_mutants(name, tmp_path):
    variants, embedding = singles()
    model, fold = trained(tmp_path, variants, embedding, model={"name": name})
    predicted = model.predict(embedding, fold.test)
    assert spearmanr(predicted, variants.column("target")[fold.test]).statistic > 0.6
    assert model.predict_deviation(embedding, fold.test) is None


@pytest.mark.parametrize("name", ["boosting", "auto"])
def test_vectors_are_taken_as_they_are(name, tmp_path):
    variants, _ = singles()
    noise = np.random.default_rng(0).normal(size=(variants.n_variants, 5))
    noise[:, 2] += 2 * variants.column("target")
    embedding = building.dense(variants, noise)
    model, fold = trained(tmp_path, variants, embedding, model={"name": name})
    predicted = model.predict(embedding, fold.test)
    assert spearmanr(predicted, variants.column("target")[fold.test]).statistic > 0.5


def test_auto_leaves_trees_out_where_rows_have_several_mutations(tmp_path):
    experiment = building.ToyExperiment(tmp_path, n=90)
    model, fold = trained(tmp_path / "x", experiment.variants, experiment.embedding, model={"name": "auto"})
    assert model.predictor.other is None
    assert (model.predict_deviation(experiment.embedding, fold.test) > 0).all()


def test_features_of_trees_do_not_have_the_last_digits_of_a_processor(monkeypatch):
    """Another kind of processor gave other trees: a column without a value of its own was the noise of its sums."""
    template = np.array([[0, 2, 3] * 7], np.uint8)  # every window is alike, far from the ends
    position = np.arange(21)
    mutations = MutationList(position, np.zeros(21, np.int64), position, np.full(21, 5), 21)
    plain, rng = substitution_features.substitution_features(mutations, template), np.random.default_rng(0)
    exact = substitution_features.window_features
    monkeypatch.setattr(
        substitution_features, "window_features",
        lambda line: (found := exact(line)) + 1e-9 * rng.normal(size=found.shape),
    )  # fmt: skip
    np.testing.assert_array_equal(substitution_features.substitution_features(mutations, template), plain)
