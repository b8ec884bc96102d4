import building
import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from proteinx_pipelines.errors import BadVariants, Cancelled, CorruptArtifact, EmptySplit, FlagError
from proteinx_pipelines.experiment_dir.codecs import embedding as embedding_codec
from proteinx_pipelines.experiment_dir.codecs import train as codec
from proteinx_pipelines.flags.model import MODELS as MODEL_NAMES
from proteinx_pipelines.flags.model import NETWORKS
from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.registry import MODELS
from proteinx_pipelines.stages.train.shard import fold_seed
from proteinx_pipelines.stages.train.train import train_models


def test_the_registry_has_the_models_that_flags_offer():
    assert tuple(MODELS) == MODEL_NAMES
    for entry in MODELS.values():
        module = entry.load()
        assert callable(module.fit)
        assert callable(module.restore)
    assert tuple(name for name, entry in MODELS.items() if entry.has_epochs) == NETWORKS


def test_each_fold_is_exported_and_predicts_its_test_rows(tmp_path):
    toy = building.ToyExperiment(tmp_path, n_folds=3)
    training = toy.train()
    assert [path.name for path in training.model_dirs] == ["fold_0", "fold_1", "fold_2"]
    target = toy.variants.column("target")
    for fold, folder in zip(toy.split.folds, training.model_dirs, strict=True):
        reference = Ridge(1.0).fit(toy.embedding.dense(fold.train).astype(float), target[fold.train])
        predicted = load_model(folder).predict(toy.embedding, fold.test)
        np.testing.assert_allclose(predicted, reference.predict(toy.embedding.dense(fold.test)), atol=1e-8)


@pytest.mark.parametrize("method", ["standardize", "rank"])
def test_scaling_is_fitted_on_training_rows_only(tmp_path, method):
    toy = building.ToyExperiment(tmp_path)
    toy.train(train={"target": method})
    before = load_model(toy.directory.model_dir / "fold_0").predict(toy.embedding, np.arange(60))
    target = toy.variants.column("target").copy()
    target[toy.split.folds[0].test] *= 1000
    sequences = toy.variants.rows.column("sequence").to_pylist()
    toy.variants = building.variant_table(sequences, target)
    toy.train(train={"target": method})
    after = load_model(toy.directory.model_dir / "fold_0").predict(toy.embedding, np.arange(60))
    assert before.tobytes() == after.tobytes()


def test_a_standardized_ridge_predicts_in_the_unit_of_the_target(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    toy.train()
    plain = load_model(toy.directory.model_dir / "fold_0").predict(toy.embedding, np.arange(60))
    toy.train(train={"target": "standardize"})
    scaled = load_model(toy.directory.model_dir / "fold_0").predict(toy.embedding, np.arange(60))
    np.testing.assert_allclose(plain, scaled, atol=1e-9)


def test_the_same_flags_and_seed_give_the_same_bytes(tmp_path):
    contents = []
    for name in ("one", "two"):
        toy = building.ToyExperiment(tmp_path / name, n_folds=2)
        files = codec.save(toy.train(train={"target": "rank", "export_pt": True}), toy.directory)
        contents.append({file: toy.directory.path(file).read_bytes() for file in files})
    assert contents[0] == contents[1]
    assert "artifacts/model/fold_1/model.safetensors" in contents[0]
    assert "embeddings/fold_0/train.pt" in contents[0]


def test_the_codec_returns_what_was_saved(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    training = toy.train()
    codec.save(training, toy.directory)
    assert codec.load(toy.directory) == training


def test_ridge_reports_the_metrics_it_watches(tmp_path):
    toy, monitor = building.ToyExperiment(tmp_path, n_folds=2), building.Notebook()
    training = toy.train(monitor)
    assert [entry["fold"] for entry in monitor.metrics if entry["name"] == "val/spearman"] == [0, 1]
    assert monitor.values("train/loss") == [found["train/loss"] for found in training.fold_metrics]
    assert monitor.fractions == sorted(monitor.fractions)


def test_a_split_without_validation_rows_has_no_validation_metrics(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    toy.split = building.split_of(toy.variants, (range(50), [], range(50, 60)))
    assert set(toy.train().fold_metrics[0]) == {"train/loss"}


def test_fewer_folds_leave_no_old_model_behind(tmp_path):
    building.ToyExperiment(tmp_path, n_folds=3).train()
    toy = building.ToyExperiment(tmp_path)
    toy.train()
    assert [path.name for path in toy.directory.model_dir.iterdir()] == ["fold_0"]


def test_fold_seeds_differ_and_depend_on_nothing_else():
    seeds = [fold_seed(0, k) for k in range(50)]
    assert len(set(seeds)) == 50
    assert fold_seed(0, 3) == seeds[3] != fold_seed(1, 3)


def test_exported_parts_are_plain_tensors_of_the_right_rows(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    training = toy.train(train={"export_pt": True})
    assert training.info["exported"] == ["embeddings/test.pt", "embeddings/train.pt", "embeddings/val.pt"]
    content = torch.load(toy.directory.embeddings_dir / "val.pt", weights_only=True)
    rows = toy.split.folds[0].val
    assert content["ids"] == list(toy.variants.column("id")[rows])
    assert content["targets"].numpy().tolist() == toy.variants.column("target")[rows].tolist()
    assert np.array_equal(content["tokens"].numpy(), toy.embedding.tokens[rows])
    vectors = np.arange(120.0).reshape(60, 2)
    toy.embedding = building.dense(toy.variants, vectors)
    toy.train(train={"export_pt": True})
    content = torch.load(toy.directory.embeddings_dir / "val.pt", weights_only=True)
    assert content["vectors"].numpy().tolist() == vectors[rows].tolist()


@pytest.mark.parametrize("model", ["ridge", "mlp"])
def test_a_memory_mapped_embedding_trains_and_exports_alike(tmp_path, model):
    toy = building.ToyExperiment(tmp_path)
    toy.embedding = building.dense(toy.variants, toy.embedding.dense())
    flags = {"model": {"name": model}, "train": {"max_epochs": 1, "export_pt": True, "logger": []}}
    in_memory = codec.save(toy.train(**flags, trainer={"accelerator": "cpu"}), toy.directory)
    expected = {name: toy.directory.path(name).read_bytes() for name in in_memory}
    embedding_codec.save(toy.embedding, toy.directory)
    toy.embedding = embedding_codec.load(toy.directory)
    mapped = codec.save(toy.train(**flags, trainer={"accelerator": "cpu"}), toy.directory)
    assert {name: toy.directory.path(name).read_bytes() for name in mapped} == expected


def test_a_cancelled_ridge_stops_before_the_next_fold(tmp_path):
    toy = building.ToyExperiment(tmp_path, n_folds=3)
    with pytest.raises(Cancelled):
        toy.train(building.Notebook(stop_at=2, error=Cancelled("enough")))
    assert [path.name for path in toy.directory.model_dir.iterdir()] == ["fold_0"]


def test_a_fold_without_training_rows_is_named(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    toy.split = building.split_of(toy.variants, (range(30), [], range(30, 60)), ([], [], range(60)))
    with pytest.raises(EmptySplit, match="Fold 1 has no training rows"):
        toy.train()


def test_targets_that_are_not_finite_are_named_unless_only_tested(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    target = toy.variants.column("target").copy()
    target[[0, 59]] = np.nan
    sequences = toy.variants.rows.column("sequence").to_pylist()
    toy.variants = building.variant_table(sequences, target)
    toy.split = building.split_of(toy.variants, (range(40), [], range(40, 60)))
    with pytest.raises(BadVariants, match=r"1 targets in fold 0 are not finite \(toy/A1C\)"):
        toy.train()


@pytest.mark.parametrize("model", ["ridge", "mlp"])
def test_vectors_that_are_not_finite_are_named_unless_only_tested(tmp_path, model):
    toy = building.ToyExperiment(tmp_path)
    vectors = np.ones((60, 3))
    vectors[[7, 59], 1] = np.inf
    toy.embedding = building.dense(toy.variants, vectors)
    toy.split = building.split_of(toy.variants, (range(40), [], range(40, 60)))
    with pytest.raises(BadVariants, match=r"1 vectors of the embedding 'esm2.* \(toy/A8C\).*precision"):
        toy.train(model={"name": model})


def test_checkpoints_of_an_earlier_training_are_removed(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    old = toy.directory.checkpoints_dir / "fold_3" / "last.ckpt"
    old.parent.mkdir(parents=True)
    old.touch()
    toy.train()
    assert not old.exists()


def test_records_of_different_experiments_are_refused(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    other = building.ToyExperiment(tmp_path, n=66)
    with pytest.raises(CorruptArtifact, match="The embedding is of 66 ids"):
        train_models(
            toy.variants, other.embedding, toy.split, building.flags(), directory=toy.directory,
            monitor=building.Notebook(),
        )  # fmt: skip


def test_a_checkpoint_is_refused_for_a_model_without_any(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    with pytest.raises(FlagError, match="'ridge' is solved at once"):
        toy.train(checkpoint=tmp_path / "some.ckpt")


def test_more_rows_of_one_hot_than_fit_as_a_matrix_train_in_seconds(tmp_path):
    """The dense matrix of these variants would take 100000 * 448 * 20 * 4 bytes = 3.6 GB."""
    rng = np.random.default_rng(0)
    n = 100_000
    tokens = np.tile(rng.integers(0, 20, 448).astype(np.uint8), (n, 1))
    tokens[:, [10, 100, 200, 300]] = rng.integers(0, 20, (n, 4))
    target = (tokens[:, 10] % 5).astype(float) - tokens[:, 300] % 3
    toy = building.ToyExperiment(tmp_path)
    toy.variants = building.variant_table(["A"] * n, target)
    toy.embedding = Embedding(
        toy.variants.rows.column("id").combine_chunks(), {"name": "onehot"}, tokens=tokens
    )
    toy.split = building.split_of(toy.variants, (range(n - 100), [], range(n - 100, n)))
    training = toy.train()
    assert training.fold_metrics[0]["train/loss"] < 1e-4
    predicted = load_model(training.model_dirs[0]).predict(toy.embedding, np.arange(n - 100, n))
    np.testing.assert_allclose(predicted, target[-100:], atol=1e-2)
