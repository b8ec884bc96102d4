"""The evaluate stage on a small real experiment, and on FLIP's GB1."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import stats

from proteinx_pipelines import metrics
from proteinx_pipelines.errors import Cancelled, EmptySplit
from proteinx_pipelines.experiment_dir.codecs import evaluate as codec
from proteinx_pipelines.experiment_dir.files import json_ready, write_json
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.pages.figures.files import FIGURES
from proteinx_pipelines.records import Fold, Split


class Recorder(StageMonitor):
    """Remembers what it hears."""

    def __init__(self):
        self.metrics, self.fractions = [], []

    def metric(self, name, value, *, step=None, epoch=None, fold=None):
        self.metrics.append((name, value, fold))

    def progress(self, done, total, note=""):
        self.fractions.append(done / total)


class Page(HTMLParser):
    """Collects what a page would load from elsewhere, and checks that its tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img", "link"):
            self.open.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_summary_is_recomputable_from_the_predictions(make_experiment):
    found = make_experiment(90, val=10).evaluate()
    rows = found.predictions.to_pandas()
    for part in ("test", "val"):
        own = rows[rows.part == part]
        assert found.summary[f"{part}/spearman"] == pytest.approx(
            stats.spearmanr(own.target, own.prediction).statistic
        )
        assert found.summary[f"{part}/mse"] == pytest.approx(np.mean((own.target - own.prediction) ** 2))
    assert found.summary["test/spearman"] > 0.5  # an additive landscape is learnt
    assert set(found.summary) == {f"{part}/{name}" for part in ("test", "val") for name in
                                  ("spearman", "pearson", "mse", "ndcg", "top10_recall")}  # fmt: skip


def test_folds_are_pooled_and_averaged(make_experiment):
    found = make_experiment(90, folds=3).evaluate()
    rows = found.predictions.to_pandas()
    assert found.summary["test/spearman"] == pytest.approx(
        stats.spearmanr(rows.target, rows.prediction).statistic
    )
    each = [stats.spearmanr(own.target, own.prediction).statistic for _, own in rows.groupby("fold")]
    assert len(each) == 3
    assert found.summary["test/spearman_fold_mean"] == pytest.approx(np.mean(each))
    assert found.report["metrics"]["test"]["values"]["spearman"]["fold_sd"] == pytest.approx(
        np.std(each, ddof=1)
    )
    assert "val/spearman" not in found.summary


@pytest.mark.slow
def test_two_evaluations_give_the_same_bytes(make_experiment, tmp_path):
    from proteinx_pipelines.experiment_dir.layout import ExperimentDir

    saved = []
    for attempt in ("a", "b"):
        experiment = make_experiment(60, val=6, **{"evaluate.plots": True})
        experiment = experiment.but(directory=ExperimentDir(tmp_path / attempt, "toy-1"))
        names = codec.save(experiment.evaluate(), experiment.directory)
        saved.append({name: experiment.directory.path(name).read_bytes() for name in names})
    assert list(saved[0]) == [
        "artifacts/plots/figures.json",
        *(
            f"artifacts/plots/{name}.svg"
            for name in ("histogram", "mutations", "residuals", "scatter", "split")
        ),
        "artifacts/predictions.csv",
        "artifacts/predictions.parquet",
        "artifacts/report.json",
    ]
    assert saved[0] == saved[1]


def test_the_report_document_holds_what_a_reader_asks_for(make_experiment):
    found = make_experiment(90, val=10, leave_out=4).evaluate()
    report = found.report
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["data"]["n_variants"] == 90
    assert report["data"]["dropped"] == {"missing_score": 2}
    assert report["split"]["sizes"] == [{"fold": 0, "train": 47, "val": 10, "test": 29, "none": 4}]
    assert report["split"]["reasons"][0] == {"reason": "by row number", "rows": 86}
    assert sum(report["data"]["histogram"]["counts"]["test"]) == 29
    value = report["metrics"]["test"]["values"]["spearman"]
    assert value["low"] < value["value"] < value["high"]
    assert [entry["name"] for entry in report["baselines"]] == [
        "training_mean",
        "mutation_count",
        "blosum62",
        "additive",
    ]
    assert report["baselines"][1]["metrics"]["mse"]["value"] is None
    assert report["provenance"]["versions"]["numpy"] == np.__version__
    assert report["experiment"]["changed_flags"] == {
        "data.source": ["toy"],
        "evaluate.bootstrap": 20,
        "evaluate.plots": False,
    }
    assert "seconds" not in json.dumps(report)


@pytest.mark.slow
def test_the_report_opens_without_a_network_and_is_well_formed(make_experiment, page):
    page = Page(page(make_experiment(60, **{"evaluate.plots": True}).evaluate()))
    assert page.open == []
    assert page.sources
    assert all(source.startswith(("data:", "#")) for source in page.sources)
    text = " ".join(page.text)
    assert "{{" not in text  # every placeholder of the template is filled
    assert "@import" not in text


def test_the_report_shows_the_headline_the_query_and_the_warnings(make_experiment, page):
    experiment = make_experiment(60, **{"data.mut_num.min": 1})
    write_json(
        experiment.directory.query,
        {
            "sql": "SELECT mutant WHERE mut_num >= ?",
            "parameters": ["<b>toy</b>", 1],
            "database": "/x/y/d.db",
            "rows": 62,
        },
    )
    found = experiment.evaluate()
    text = page(found)
    assert f"{found.summary['test/spearman']:.3f}" in text
    assert "mut_num &gt;= ?" in text
    assert "&lt;b&gt;toy&lt;/b&gt;, 1" in text
    assert "with at least 1 mutations" in text
    assert "Few test rows: 20." in text
    assert found.report["experiment"]["query"]["database"] == "d.db"
    assert "/x/y" not in text


def test_each_part_of_the_representation_has_a_line_and_its_columns(make_experiment, page):
    experiment = make_experiment(60)
    vectors = experiment.embedding.dense()
    info = {"name": "esm2_t6_8M_UR50D+onehot", "width": 240, "layer": 6, "pooling": "mean", "version": "1",
            "policy": {"layer": 6}, "parts": [{"name": "esm2_t6_8M_UR50D", "width": 220},
                                              {"name": "onehot", "width": 20, "positions": 1}]}  # fmt: skip
    beside = replace(experiment.embedding, info=info, vectors=vectors, tokens=None)
    text = page(experiment.but(embedding=beside).evaluate())
    assert "<td>esm2_t6_8M_UR50D</td><td>layer 6; pooling mean</td>" in text
    assert "<td>onehot</td><td>positions 1</td>" in text


def test_hostile_names_are_escaped(make_experiment, page):
    experiment = make_experiment(60, **{"data.source": "<img src=x onerror=alert(1)>"})
    text = page(experiment.evaluate())
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_pictures_are_left_out_on_request(make_experiment):
    found = make_experiment(60, **{"evaluate.plots": False}).evaluate()
    assert found.files == {}
    assert found.report["plots"] == []


def test_pictures_are_the_same_bytes_each_time_and_carry_no_date(make_experiment):
    experiment = make_experiment(60, **{"evaluate.plots": True})
    training = experiment.train()
    first, second = (experiment.evaluate(training=training).files for _ in range(2))
    assert first == second
    assert any(name.endswith(".svg") for name in first)
    assert all(b"2026" not in content for content in first.values())


def test_the_map_is_filled_with_what_the_models_say_of_every_single_mutant(make_experiment):
    """Trained on singles and tested on doubles, no cell was ever tested: the panel was empty."""
    experiment = make_experiment(200, **{"evaluate.plots": True})
    document = json.loads(experiment.evaluate().files[FIGURES])
    found = next(figure for figure in document["figures"] if figure["kind"] == "map")
    panels = {
        panel["name"]: np.frombuffer(base64.b64decode(panel["values"]["f32"]), "<f4")
        for panel in found["payload"]["panels"]
    }
    assert np.isfinite(panels["predicted"]).all()
    assert np.isfinite(panels["measured"]).any()
    assert not np.isfinite(panels["measured"]).all()
    # What the script shows is what the model says: the mean over models of the mutant's own sequence.
    labels, residues = found["payload"]["labels"], found["payload"]["residues"]
    assert len(labels) * 20 == len(panels["predicted"])
    assert all(label[0] in residues for label in labels)


def test_a_representation_that_new_sequences_do_not_have_leaves_the_map_to_what_was_tested(make_experiment):
    experiment = make_experiment(200, **{"evaluate.plots": True})
    vectors = replace(experiment.embedding, vectors=experiment.embedding.dense(), tokens=None)
    changed = experiment.but(embedding=vectors)
    document = json.loads(changed.evaluate().files[FIGURES])
    found = next(figure for figure in document["figures"] if figure["kind"] == "map")
    panels = {
        panel["name"]: np.frombuffer(base64.b64decode(panel["values"]["f32"]), "<f4")
        for panel in found["payload"]["panels"]
    }
    assert not np.isfinite(panels["predicted"]).all()


def test_the_monitor_hears_pooled_and_fold_metrics(make_experiment):
    recorder = Recorder()
    experiment = make_experiment(60, folds=2)
    found = experiment.evaluate(training=experiment.train(), monitor=recorder)
    heard = {(name, fold): value for name, value, fold in recorder.metrics}
    assert heard["test/spearman", None] == found.summary["test/spearman"]
    folds = found.report["metrics"]["test"]["folds"]
    assert [heard["test/spearman", fold] for fold in (0, 1)] == [entry["spearman"] for entry in folds]
    assert recorder.fractions == sorted(recorder.fractions)
    assert max(recorder.fractions) <= 1


def test_a_cancelled_experiment_stops(make_experiment):
    class Cancelling(StageMonitor):
        def progress(self, done, total, note=""):
            raise Cancelled("cancelled")

    experiment = make_experiment(60)
    with pytest.raises(Cancelled):
        experiment.evaluate(training=experiment.train(), monitor=Cancelling())


def test_an_empty_test_part_is_refused(make_experiment):
    experiment = make_experiment(60)
    rows = np.arange(60)
    empty = Split(experiment.split.ids, [Fold(rows, rows[:0], rows[:0])], experiment.split.reasons)
    with pytest.raises(EmptySplit, match=r"no test row .* Change `split\.\*`"):
        experiment.but(split=empty).evaluate()


def test_predictions_of_ranks_have_no_error(make_experiment):
    found = make_experiment(90, **{"train.target": "rank"}).evaluate()
    assert np.isnan(found.summary["test/mse"])
    assert found.summary["test/spearman"] > 0.5
    assert "other_units" in [entry["code"] for entry in found.report["warnings"]]


def test_a_registered_metric_is_reported_with_an_interval(make_experiment, monkeypatch, page):
    monkeypatch.setattr(metrics, "_registered", dict(metrics._registered))
    metrics.register("best_found", lambda target, prediction: target[np.argmax(prediction)])
    found = make_experiment(60, **{"evaluate.metrics": ["spearman", "best_found"]}).evaluate()
    assert set(found.summary) == {"test/spearman", "test/best_found"}
    entry = found.report["metrics"]["test"]["values"]["best_found"]
    assert entry["low"] <= entry["high"]
    assert "best_found" in page(found)


def test_groups_by_number_of_mutations_cover_the_test_rows(make_experiment):
    experiment = make_experiment(200)
    found = experiment.evaluate()
    rows = found.predictions.to_pandas()
    test = rows[rows.part == "test"].assign(count=experiment.variants.column("mut_num")[rows.part == "test"])
    for entry in found.report["groups"]:
        own = test[test["count"] == int(re.match(r"\d+", entry["group"])[0])]
        assert entry["n"] == len(own) >= 10
        assert entry["spearman"] == pytest.approx(stats.spearmanr(own.target, own.prediction).statistic)
    assert len(found.report["groups"]) >= 2


def test_a_saved_evaluation_is_read_back_equal(make_experiment):
    experiment = make_experiment(60, **{"train.target": "rank"})
    record = experiment.evaluate()
    codec.save(record, experiment.directory)
    loaded = codec.load(experiment.directory)
    assert loaded.predictions.equals(record.predictions.cast(loaded.predictions.schema))
    assert json_ready(loaded.summary) == json_ready(record.summary)
    assert np.isnan(loaded.summary["test/mse"])
    assert loaded.report == record.report
    assert loaded.files == record.files


@pytest.mark.slow
def test_a_training_with_epochs_has_a_learning_curve_in_its_report(make_experiment, page):
    experiment = make_experiment(60, **{"evaluate.plots": True})
    curve = [{"epoch": epoch, "train/loss": 1 / (epoch + 1), "val/loss": 0.5} for epoch in range(4)]
    training = experiment.train()
    with_curve = replace(training, info={**training.info, "folds": [{"curve": curve}]})
    found = experiment.evaluate(training=with_curve)
    assert found.report["plots"] == [
        f"plots/{name}.svg"
        for name in ("histogram", "learning_curve", "mutations", "residuals", "scatter", "split")
    ]
    assert "Loss by epoch" in page(found)
