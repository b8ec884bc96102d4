"""`open_experiment` on a directory that the real stages have filled."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

import proteinx_pipelines
from proteinx_pipelines import open_experiment
from proteinx_pipelines.errors import MissingArtifact, UnknownExperiment
from proteinx_pipelines.experiment_dir.codecs import embedding, evaluate, split, train, transform
from proteinx_pipelines.experiment_dir.files import write_json, write_text
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.pages.report import Identity, render_report
from proteinx_pipelines.records import AMINO_ACIDS, Selection
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.evaluate.evaluate import evaluate_models
from proteinx_pipelines.stages.split.assign import assign_split
from proteinx_pipelines.stages.train.train import train_models
from proteinx_pipelines.stages.transform.transform import transform_variants

TEMPLATE = "MKTA"
DOCUMENT = {"experiment_id": "toy-1", "generation": 2, "status": "SUCCEEDED", "stages": {"train": "computed"}}
LOSS = {
    "name": "train/loss", "value": 0.5, "step": 1, "epoch": 0, "fold": 1, "generation": 2, "attempt": 1, "time": "t",
}  # fmt: skip


def selection():
    random = np.random.default_rng(0)
    mutants = [f"{old}{i + 1}{new}" for i, old in enumerate(TEMPLATE) for new in AMINO_ACIDS if new != old]
    n = len(mutants)
    rows = pa.table(
        {
            "source": ["toy"] * n,
            "mutant": mutants,
            "DMS_score": random.normal(size=n),
            "DMS_score_bin": pa.nulls(n, pa.string()),
            "mut_num": pa.array([1] * n, pa.int32()),
        }
    )
    return Selection(rows, {"toy": TEMPLATE}, {})


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A WORKDIR with the finished experiment toy-1 and toy-2, which has not begun."""
    root = tmp_path_factory.mktemp("workdir")
    directory, monitor = ExperimentDir(root / "experiments", "toy-1"), StageMonitor()
    flags = parse_flags({"data.source": "toy", "split.folds": 2, "evaluate.plots": False, "model.alpha": 3.0})
    variants = transform_variants(selection(), flags.transform)
    vectors = embed_variants(variants, flags.embedding, monitor)
    parts = assign_split(variants, flags.split)
    training = train_models(variants, vectors, parts, flags, directory=directory, monitor=monitor)
    found = evaluate_models(variants, vectors, parts, training, flags, directory=directory, monitor=monitor)
    for codec, record in ((transform, variants), (embedding, vectors), (split, parts), (train, training)):
        codec.save(record, directory)
    evaluate.save(found, directory)
    page = render_report(found.report, [], Identity("toy-1"))  # written when an experiment succeeds
    write_text(directory.report_html, page)
    write_json(directory.flags, flags.nested())
    write_json(directory.document, DOCUMENT)
    directory.metrics.parent.mkdir(parents=True)
    lines = [
        LOSS,
        {
            "name": "weights",
            "histogram": {"counts": [1], "edges": [0, 1]},
            "step": 1,
            "attempt": 1,
            "time": "t",
        },
    ]
    directory.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"name": "train/lo')
    write_json(root / "experiments" / "toy-2" / "experiment.json", {"status": "RUNNING", "stages": {}})
    return root


@pytest.fixture
def experiment(workdir):
    return open_experiment("toy-1", workdir)


def test_everything_of_a_finished_experiment_can_be_read(experiment):
    n = len(TEMPLATE) * 19
    assert experiment.flags.model.alpha == 3.0
    assert experiment.status == "SUCCEEDED"
    assert len(experiment.variants) == experiment.variant_table.n_variants == n
    assert experiment.embedding.dense([0]).shape == (1, 80)
    assert list(experiment.splits.columns) == ["id", "fold_0", "fold_1", "reason"]
    assert len(experiment.split.folds) == len(experiment.models) == 2
    assert experiment.training.model_name == "ridge"
    assert experiment.report_path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert set(experiment.predictions.part) == {"test"}
    assert experiment.summary == experiment.report["summary"]


def test_a_model_predicts_again_what_was_kept(experiment):
    rows = experiment.split.folds[1].test
    again = experiment.models[1].predict(experiment.embedding, rows)
    np.testing.assert_array_equal(experiment.predictions.prediction.to_numpy()[rows], again)


def test_metrics_are_a_table_without_histograms_and_half_lines(experiment):
    assert experiment.metrics.to_dict("records") == [LOSS]


def test_its_repr_says_what_it_is_and_how_well_it_does(experiment, workdir):
    shown = repr(experiment)
    assert "Experiment 'toy-1' (SUCCEEDED, generation 2)" in shown
    assert "toy: ridge on onehot: 2-fold cross-validation" in shown
    assert f"test/spearman {experiment.summary['test/spearman']:.3f}" in shown
    assert str(workdir / "experiments" / "toy-1") in shown


def test_nothing_is_read_before_it_is_asked_for(workdir, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("read too early")

    monkeypatch.setattr("proteinx_pipelines.experiment.read_json", refuse)
    monkeypatch.setattr("proteinx_pipelines.experiment.read_parquet", refuse)
    assert open_experiment("toy-1", workdir).id == "toy-1"


def test_it_opens_by_path_from_anywhere(workdir, monkeypatch):
    monkeypatch.chdir(workdir / "experiments")
    monkeypatch.setenv("PROTEINX_WORKDIR", str(workdir / "elsewhere"))
    assert open_experiment(workdir / "experiments" / "toy-1").id == "toy-1"
    assert open_experiment("./toy-1").id == "toy-1"


def test_the_settings_say_where_an_id_lies(workdir, monkeypatch):
    monkeypatch.setenv("PROTEINX_WORKDIR", str(workdir))
    assert open_experiment("toy-1").directory.root == workdir / "experiments" / "toy-1"


@pytest.mark.parametrize("name", ["toy-11", "toy_1"])
def test_an_unknown_id_names_the_nearest_and_those_there_are(workdir, name):
    with pytest.raises(
        UnknownExperiment, match=r"Did you mean 'toy-1' or 'toy-2'\? There are: toy-1, toy-2\."
    ):
        open_experiment(name, workdir)


@pytest.mark.parametrize("name", ["../../etc", "no/such/folder", "", "con"])
def test_what_is_neither_an_id_nor_a_directory_is_refused(workdir, name):
    with pytest.raises(UnknownExperiment, match="neither the id of an experiment"):
        open_experiment(name, workdir)


def test_an_empty_workdir_says_so(tmp_path):
    with pytest.raises(UnknownExperiment, match="There are: none"):
        open_experiment("toy-1", tmp_path)


@pytest.mark.parametrize(
    "part", ["predictions", "variants", "flags", "report", "embedding", "split", "models", "metrics"]
)
def test_an_unfinished_experiment_opens_and_says_what_is_missing(workdir, part):
    unfinished = open_experiment("toy-2", workdir)
    assert "RUNNING" in repr(unfinished)
    with pytest.raises(MissingArtifact, match="the experiment is RUNNING; finished stages: none"):
        getattr(unfinished, part)


def test_the_package_gives_it_on_first_use_only():
    code = "import sys, proteinx_pipelines as p; before = 'proteinx_pipelines.experiment' in sys.modules; "
    code += "p.open_experiment; print(before, 'proteinx_pipelines.experiment' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="has no attribute 'open_experimnt'"):
        _ = proteinx_pipelines.open_experimnt
