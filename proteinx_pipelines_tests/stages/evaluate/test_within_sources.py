"""Several sources in one experiment: what differences between them make of a pooled number is said."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from proteinx_pipelines.records import Embedding, VariantTable
from proteinx_pipelines.stages.evaluate.predict import Predictions
from proteinx_pipelines.stages.evaluate.within_sources import source_facts


def side_by_side(*tables):
    """Several tables of variants as one."""
    templates = {name: template for each in tables for name, template in each.templates.items()}
    return VariantTable(pa.concat_tables([each.rows for each in tables]), templates)


@pytest.fixture
def of_noise(make_experiment, make_variants, make_split):
    """Two assays of different scales without anything to learn: targets are noise about each one's own mean."""

    def make(sizes=(120, 120), shift=5.0, folds=3):
        tables = [make_variants(n, seed=place, source=f"assay {place}") for place, n in enumerate(sizes)]
        variants = side_by_side(*tables)
        source = variants.column("source")
        target = np.random.default_rng(3).normal(size=len(source)) + shift * (source == "assay 1")
        rows = variants.rows.set_column(4, "target", pa.array(target))
        variants = VariantTable(rows, variants.templates)
        experiment = make_experiment(60)
        # What the sequences do not say: which assay a row is of.
        vectors = np.hstack(
            [(source == "assay 1")[:, None], np.random.default_rng(4).normal(size=(len(source), 3))]
        )
        embedding = Embedding(
            rows.column("id").combine_chunks(), {"name": "file"}, vectors.astype(np.float32)
        )
        return replace(
            experiment, variants=variants, embedding=embedding, split=make_split(variants, folds=folds)
        )

    return make


def test_a_pooled_score_of_pure_noise_is_called_what_it_is(of_noise, page):
    """Found: a Spearman of 0.77 on pure noise, without a word."""
    found = of_noise().evaluate()
    values, sources = found.report["metrics"]["test"]["values"]["spearman"], found.report["sources"]
    assert values["value"] > 0.6
    assert abs(values["source_mean"]) < 0.2
    rows = found.predictions.to_pandas()
    rows = rows.assign(source=rows.id.str.rpartition("/")[0])
    each = [stats.spearmanr(own.target, own.prediction).statistic for _, own in rows.groupby("source")]
    assert values["source_mean"] == pytest.approx(np.mean(each))
    assert [entry["spearman"] for entry in sources["entries"]] == pytest.approx(each)
    assert found.summary["test/spearman_source_mean"] == pytest.approx(np.mean(each))
    warned = {entry["code"]: entry["message"] for entry in found.report["warnings"]}
    assert "Quote the mean within sources." in warned["pooled_over_sources"]
    text = page(found)
    assert "made by differences between sources" in text
    assert "mean within sources" in text
    additive = next(entry for entry in found.report["baselines"] if entry["name"] == "additive")
    assert "source_mean" in additive["metrics"]["spearman"]


def test_sources_of_one_scale_are_not_warned_of(of_noise):
    found = of_noise(shift=0.0).evaluate()
    assert "pooled_over_sources" not in {entry["code"] for entry in found.report["warnings"]}
    assert "test/spearman_source_mean" in found.summary


def test_one_source_has_no_mean_within_sources(make_experiment):
    found = make_experiment(60).evaluate()
    assert found.report["sources"] is None
    assert not [name for name in found.summary if name.endswith("_source_mean")]


def test_small_sources_do_not_count_and_are_named(of_noise):
    found = of_noise(sizes=(120, 6), folds=2).evaluate()
    assert found.report["sources"]["left_out"] == ["assay 1"]
    assert found.report["sources"]["counted"] == ["assay 0"]
    tiny = of_noise(sizes=(9, 9), folds=2).evaluate()
    assert "sources_too_small" in {entry["code"] for entry in tiny.report["warnings"]}
    assert np.isnan(tiny.summary["test/spearman_source_mean"])


def test_passes_are_averaged_within_each_source(of_noise):
    variants = of_noise().variants
    rows, random = np.arange(variants.n_variants), np.random.default_rng(0)
    fold = np.zeros(len(rows), np.int32)
    passes = [Predictions(rows, fold, random.normal(size=len(rows))) for _ in range(2)]
    both = source_facts(("spearman",), variants, passes, in_target_units=True)
    alone = [source_facts(("spearman",), variants, [each], in_target_units=True) for each in passes]
    assert both["mean"]["spearman"] == pytest.approx(np.mean([each["mean"]["spearman"] for each in alone]))
