"""Models, networks and split methods of another distribution: checked, trained, exported or refused, continued."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import building
import numpy as np
import pytest

from proteinx_pipelines import metrics, plugins, run_experiment, user_models, user_splits
from proteinx_pipelines.contract.request import parse_message
from proteinx_pipelines.errors import Cancelled, FlagError, InputError, MessageError, PluginError
from proteinx_pipelines.execution.code_facts import _facts
from proteinx_pipelines.execution.final_models import refuse_kept_predictions
from proteinx_pipelines.execution.outside_inputs import outside_inputs
from proteinx_pipelines.flags.names import unknown_names
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.stages import STAGES
from proteinx_pipelines.stages.known_names import known_here
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.registry import known_models
from proteinx_pipelines_tests.example_plugin import install

QUICK = {"train": {"max_epochs": 4}, "trainer": {"accelerator": "cpu"}}
CACHES = (
    plugins._installed, plugins._entry_points, plugins.named_entries, user_models._entries, user_splits._entries,
    _facts,
)  # fmt: skip


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("example"))


@pytest.fixture(autouse=True)
def example(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example distribution is installed in this process, and leaves again."""
    monkeypatch.syspath_prepend(str(package))
    for cache in CACHES:
        cache.cache_clear()
    yield
    for name in [name for name in sys.modules if name.startswith("proteinx_example_models")]:
        del sys.modules[name]
    for cache in CACHES:
        cache.cache_clear()


@pytest.fixture(autouse=True)
def _nothing_is_cached_behind_it(example: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(user_models, "_registered", {})
    yield
    monkeypatch.undo()
    for cache in CACHES:
        cache.cache_clear()


def assay(folder: Path, n: int = 90) -> Path:
    rng = np.random.default_rng(3)
    sequences = building.random_sequences(n, 14, rng, mutations=1)
    effects = rng.normal(size=(14, 26))
    lines = ["mutant,mutated_sequence,DMS_score"]
    template = max(set(sequences), key=sequences.count)
    template = "".join(max(set(column), key=column.count) for column in zip(*sequences, strict=True))
    for sequence in dict.fromkeys(sequences):
        changes = [
            f"{a}{i + 1}{b}" for i, (a, b) in enumerate(zip(template, sequence, strict=True)) if a != b
        ]
        if changes:
            score = sum(effects[i, ord(b) - 65] for i, b in enumerate(sequence))
            lines.append(f"{':'.join(changes)},{sequence},{score:.4f}")
    path = folder / "toy.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_names_are_known_before_any_code_is_imported():
    known = known_here()
    assert {"column_mean", "bayesian", "narrow"} <= set(known.models)
    assert known.split_methods == ("plugin:every_nth",)
    assert "proteinx_example_models" not in sys.modules
    listed = {entry.name: entry for entry in known_models()}
    assert listed["column_mean"].flags == ("ext.model.shrink",)
    assert listed["narrow"].has_epochs
    assert "torch" not in sys.modules or not listed["column_mean"].has_epochs


def test_own_flags_are_checked_by_the_plugins_schema_when_the_message_comes_in():
    ext = {"model": {"shrink": -1, "shrnk": 2}, "split": {"n": "three"}, "masters": [1, 2]}
    flags = {"data.source": "A", "model.name": "column_mean", "split.method": "plugin:every_nth", "ext": ext}
    raw = json.dumps({"experiment_id": "a", "flags": flags}).encode()
    with pytest.raises(MessageError) as refused:
        parse_message(raw, known_here())
    said = " ".join(refused.value.problems)
    assert "`ext.model.shrink`" in said
    assert "`ext.model.shrnk`: `model.name` 'column_mean' has no such flag; it has shrink" in said
    assert "`ext.split.n`" in said
    with pytest.raises(
        FlagError, match=r"`ext.model.alpha`: `model.name` 'bayesian' has no flags of its own"
    ):
        parse_flags(
            {"data.source": "A", "model.name": "bayesian", "ext": {"model": {"alpha": 1}}}, known=known_here()
        )
    # With a built-in model the same entry is the Master's own note.
    assert unknown_names({"model": {"name": "ridge"}, "ext": {"model": {"shrink": -1}}}, known_here()) == []
    with pytest.raises(
        FlagError, match=r"unknown split method 'plugin:every_nht' \(did you mean 'plugin:every_nth'"
    ):
        parse_flags({"data.source": "A", "split.method": "plugin:every_nht"}, known=known_here())


def test_own_flags_and_the_version_enter_the_key_of_their_stage_alone(tmp_path, monkeypatch):
    def keys(**flags):
        tree = parse_flags(
            {"data.source": "A", **{name.replace("__", "."): value for name, value in flags.items()}}
        )
        outside = {name: outside_inputs(name, tree, lambda *_: None, tmp_path) for name in ("split", "train")}
        return {name: (stage.document(tree), outside.get(name)) for name, stage in STAGES.items()}

    def differing(one, other):
        return [name for name in STAGES if one[name] != other[name]]

    plain = keys(model__name="column_mean", ext={"model": {"shrink": 1.0}, "note": 1})
    assert differing(plain, keys(model__name="column_mean", ext={"model": {"shrink": 2.0}, "note": 2})) == [
        "train"
    ]
    assert differing(keys(ext={"model": 1}), keys(ext={"model": 2})) == []
    split = {"split__method": "plugin:every_nth"}
    assert differing(keys(**split, ext={"split": {"n": 3}}), keys(**split, ext={"split": {"n": 4}})) == [
        "split"
    ]
    before = keys(model__name="column_mean", **split)
    entry = user_models._entries()["column_mean"]
    newer = plugins.NamedEntry("column_mean", entry[1].module, None, "1.0.1", entry[1].load)
    monkeypatch.setitem(user_models._entries(), "column_mean", ("model", newer))
    assert differing(before, keys(model__name="column_mean", **split)) == ["train"]


def test_a_model_with_export_runs_through_all_stages_and_predicts_new_sequences(tmp_path):
    flags = {
        "data.source": "toy", "model.name": "column_mean", "split.method": "plugin:every_nth",
        "ext": {"model": {"shrink": 0.5}, "split": {"n": 4}}, "evaluate.bootstrap": 20,
    }  # fmt: skip
    done = run_experiment("own", flags, workdir=tmp_path / "work", payload=str(assay(tmp_path)))
    assert np.isfinite(done.summary["test/spearman"])
    document = json.loads(
        (done.directory.root / "artifacts/model/fold_0/model.json").read_text(encoding="utf-8")
    )
    assert document["settings"]["plugin"] == {"name": "column_mean", "version": "1.0.0"}
    assert document["settings"]["own"]["shrink"] == 0.5
    sizes = done.report["split"]["sizes"][0]
    assert 0.2 < sizes["test"] / (sizes["test"] + sizes["train"]) < 0.3
    assert "shrink 0.5" in json.dumps(done.report)
    # Sequences nobody measured: by a model of all rows, exported and read back.
    new = done.predict(list(done.predictions["mutant"][:2]))
    assert np.isfinite(new["prediction"]).all()
    assert (new["deviation"] > 0).all()


def test_an_exported_model_predicts_the_same_numbers(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    training = toy.train(model={"name": "column_mean"}, train={"target": "standardize"})
    assert training.info["folds"][0]["exported_model"] is True
    model, rows = load_model(toy.directory.model_dir / "fold_0"), np.arange(toy.variants.n_variants)
    mean, deviation = model.predict_both(toy.embedding, rows)
    test = toy.split.folds[0].test
    assert metrics.compute("spearman", toy.variants.column("target")[test], mean[test]) > 0.2
    assert np.ptp(deviation) == 0
    assert deviation[0] > 0


def test_a_model_that_cannot_be_exported_is_evaluated_and_says_so_for_new_sequences(tmp_path):
    from sklearn.linear_model import BayesianRidge

    toy = building.ToyExperiment(tmp_path)
    info = toy.train(model={"name": "bayesian"}).info["folds"][0]
    assert info["not_exported_because"] == "it has no `export` and no `restore`"
    model, fold = load_model(toy.directory.model_dir / "fold_0"), toy.split.folds[0]
    x, y = toy.embedding.dense(), toy.variants.column("target")
    # All rows at once, as they are kept: the float32 noise of one row depends on the rows beside it.
    of_all = BayesianRidge().fit(x[fold.train], y[fold.train]).predict(x, return_std=True)
    expected = [each[fold.test] for each in of_all]
    assert np.allclose(model.predict(toy.embedding, fold.test), expected[0])
    assert np.allclose(model.predict_deviation(toy.embedding, fold.test), expected[1])
    other = building.ToyExperiment(tmp_path / "other", n=48)
    with pytest.raises(InputError, match=r"'bayesian' cannot be exported .* 48 others were asked for"):
        model.predict(other.embedding, np.arange(48))
    with pytest.raises(
        InputError, match=r"'bayesian' cannot be exported \(it has no `export` and no `restore`\)"
    ):
        refuse_kept_predictions(model)  # `proteinx model export` made a folder that predicts nothing


class Lying:
    """Its export forgets what was learned."""

    def fit(self, vectors, targets):
        self.value = float(targets.mean()) + 1.0

    def predict(self, vectors):
        return np.full(len(vectors), getattr(self, "value", 0.0))

    def export(self):
        return {}, {}

    @classmethod
    def restore(cls, settings, tensors):
        return cls()


class Failing(Lying):
    """It cannot learn."""

    def fit(self, vectors, targets):
        raise ZeroDivisionError("of my own making")


class Short(Lying):
    """One value for all rows."""

    def predict(self, vectors):
        return np.zeros(1)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (Lying, r"exported and restored, predicts otherwise than before"),
        (Failing, r"The model 'wrong' failed on 40 training rows: ZeroDivisionError: of my own making"),
        (Short, r"gave 1 predictions of 40 rows"),
        (lambda: object(), r"object has no `fit`"),
    ],
)
def test_a_plugin_that_does_wrong_is_named(tmp_path, made, said):
    user_models.register_model("wrong", made)
    with pytest.raises(PluginError, match=said):
        building.ToyExperiment(tmp_path).train(model={"name": "wrong"})


def test_a_lightning_module_brings_its_step_optimizer_and_metrics_and_is_exported(tmp_path):
    toy, notebook = building.ToyExperiment(tmp_path), building.Notebook()
    flags = {"model": {"name": "narrow"}, **QUICK, "ext": {"model": {"units": 3, "lr": 0.05}}}
    training = toy.train(notebook, **flags)
    assert training.info["folds"][0]["n_parameters"] == 240 * 3 + 3 + 3 + 1
    assert len(notebook.values("train/largest_error")) == 4
    assert notebook.values("val/loss")[-1] < notebook.values("val/loss")[0]
    model = load_model(toy.directory.model_dir / "fold_0")
    assert np.isfinite(model.predict(toy.embedding, np.arange(60))).all()
    slower = building.ToyExperiment(tmp_path / "slow")
    slower.train(**{**flags, "ext": {"model": {"units": 3, "lr": 1e-6}}})
    other = load_model(slower.directory.model_dir / "fold_0").predict(toy.embedding, np.arange(60))
    assert not np.allclose(other, model.predict(toy.embedding, np.arange(60)))


def test_a_users_network_that_was_killed_continues_bit_for_bit(tmp_path):
    flags = {"model": {"name": "narrow"}, **QUICK}
    whole, broken = building.ToyExperiment(tmp_path / "whole"), building.ToyExperiment(tmp_path / "broken")
    whole.train(**flags)
    with pytest.raises(Cancelled):
        broken.train(building.Notebook(6, Cancelled("")), **flags)
    assert (broken.directory.checkpoints_dir / "last.ckpt").is_file()
    broken.train(**flags, checkpoint=broken.directory.checkpoints_dir)
    names = ("model.json", "model.safetensors")
    one, other = (
        [(toy.directory.model_dir / "fold_0" / name).read_bytes() for name in names]
        for toy in (whole, broken)
    )
    assert one == other


def test_a_plain_torch_module_is_trained_by_the_flags(tmp_path):
    import torch

    def build(shape, flags):
        assert (shape.residues, shape.residue_width, flags) == (12, 20, None)
        return torch.nn.Linear(shape.width, 1)

    user_models.register_network("linear_layer", build)
    toy = building.ToyExperiment(tmp_path)
    info = toy.train(model={"name": "linear_layer"}, **QUICK).info["folds"][0]
    assert info["n_parameters"] == 241
    user_models._registered["linear_layer"] = user_models.UserModel(
        "linear_layer", "network", lambda shape, flags: torch.nn.Linear(shape.width, 2), None, "2"
    )
    with pytest.raises(PluginError, match=r"'linear_layer' gave \(40, 2\) for 40 rows"):
        building.ToyExperiment(tmp_path / "two").train(model={"name": "linear_layer"}, **QUICK)


@pytest.mark.parametrize("name", ["ridge", "Two words", "", "finetune now"])
def test_a_name_that_is_taken_or_malformed_is_refused(name):
    with pytest.raises(ValueError, match="1 to 50 of a-z"):
        user_models.register_model(name, Lying)
