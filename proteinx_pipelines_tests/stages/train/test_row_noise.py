"""Standard errors as noise of the rows: where each row has its variance from, and what models make of it."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from building import flags, one_hot, random_sequences, split_of, variant_table

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import REPLICATE_DEVIATION, STANDARD_ERROR, VariantTable
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.left_out import left_out
from proteinx_pipelines.stages.train.promise import Promise
from proteinx_pipelines.stages.train.replicate_noise import RowNoise, noise_by_share, row_noise
from proteinx_pipelines.stages.train.scales import choose_scales
from proteinx_pipelines.stages.train.train import train_models
from proteinx_pipelines_tests.stages.train.test_scales import rows_of, targets_of

N = 60
ROWS = np.arange(N)
DEFAULTS = flags()


def table(errors=None, deviations=None, n_merged=1) -> VariantTable:
    columns = {"n_merged": np.full(N, n_merged)}
    if deviations is not None:
        columns[REPLICATE_DEVIATION] = pa.array(deviations, from_pandas=True)
    if errors is not None:
        columns[STANDARD_ERROR] = pa.array(errors, from_pandas=True)
    return VariantTable(pa.table(columns), {})


def test_a_known_error_is_the_variance_and_unknown_ones_are_typical():
    errors = np.where(ROWS % 3 == 0, np.nan, 0.5)
    errors[1] = 1.0
    found = row_noise(table(errors), DEFAULTS, ROWS)
    assert found.n_errors == 40
    assert found.variance[[0, 1, 2]].tolist() == [0.25, 1.0, 0.25]


def test_rows_without_an_error_have_the_noise_of_replicates_and_no_row_has_both():
    errors = np.where(ROWS < 30, 0.5, np.nan)
    both = row_noise(table(errors, np.full(N, 2.0), 4), DEFAULTS, ROWS).variance
    assert both[:30].tolist() == [0.25] * 30
    np.testing.assert_allclose(both[30:], 2.0**2 / 4)
    alone = row_noise(table(None, np.full(N, 2.0), 4), DEFAULTS, ROWS)
    assert (alone.n_errors, alone.variance[0]) == (0, 1.0)


@pytest.mark.parametrize("absurd", [1e-80, 1e80, 0.0, -1.0, np.inf])
def test_an_absurd_error_is_bounded_or_unknown(absurd):
    errors = np.full(N, 0.5)
    errors[7] = absurd
    found = row_noise(table(errors), DEFAULTS, ROWS).variance
    assert np.isfinite(found).all()
    assert found.max() / found.min() <= 100.1
    assert found[8] == 0.25


def test_test_rows_say_nothing():
    errors = np.where(ROWS < 30, 0.5, 5.0)
    errors[3] = np.nan
    before, after = (
        row_noise(table(each), DEFAULTS, ROWS[:30]) for each in (errors, np.where(ROWS < 30, errors, 1e3))
    )
    np.testing.assert_array_equal(before.variance[:30], after.variance[:30])
    assert before.n_errors == after.n_errors == 29


@pytest.mark.parametrize(
    "changed",
    [{"transform": {"target": "log"}}, {"transform": {"bins": [0.5]}}, {"train": {"target": "rank"}}],
)
def test_errors_of_scores_say_nothing_of_other_targets(changed):
    assert row_noise(table(np.full(N, 0.5)), flags(**changed), ROWS) is None


def test_few_errors_are_none():
    assert row_noise(table(np.where(ROWS < 19, 0.5, np.nan)), DEFAULTS, ROWS) is None
    assert row_noise(table(), DEFAULTS, ROWS) is None


def test_only_the_ratio_of_errors_counts_and_it_is_bounded():
    variance = np.random.default_rng(0).lognormal(size=N)
    for share in (0.25, 0.9):
        ratio = noise_by_share(variance, share)
        np.testing.assert_allclose(ratio, noise_by_share(1e6 * variance, share))
        assert ratio.mean() == pytest.approx(1.0)
        assert ratio.min() >= 0.9 * (1 - share)
    assert noise_by_share(variance, 0.0) is None
    assert noise_by_share(np.full(N, 0.3), 0.9) is None


@pytest.fixture(scope="module")
def measured():
    """Half of the rows are measured with a large error: rows, truth, targets, variance."""
    rows, random = rows_of(), np.random.default_rng(3)
    truth = targets_of(rows, 2.0)
    errors = np.where(random.random(len(truth)) < 0.5, 0.2, 2.0)
    return rows, truth, truth + errors * random.normal(size=len(truth)), errors**2


def left_out_error(rows, truth, unit, scales) -> float:
    groups = Promise("variants").groups(rows.training)
    found = left_out(scales.terms, unit, scales.weighed, groups, scales.relative)
    return float(((truth - found) ** 2).mean())


def test_a_model_that_knows_the_errors_predicts_better(measured):
    rows, truth, unit, variance = measured
    few, promise = np.arange(len(unit)), Promise("variants")
    knows, plain = (
        choose_scales(rows, few, unit, promise, noise) for noise in (RowNoise(variance, len(unit)), None)
    )
    assert knows.share >= 0.5
    assert knows.about_noise()["noise_by_errors"]["known"] == len(unit)
    assert left_out_error(rows, truth, unit, knows) < 0.8 * left_out_error(rows, truth, unit, plain)


def test_errors_that_say_nothing_cost_nothing(measured):
    """The same errors in another order: the training rows are no more likely, and the model is the one without."""
    rows, _, unit, variance = measured
    few, promise = np.arange(len(unit)), Promise("variants")
    shuffled = np.random.default_rng(0).permutation(variance)
    false, plain = (
        choose_scales(rows, few, unit, promise, noise) for noise in (RowNoise(shuffled, len(unit)), None)
    )
    assert (false.share, false.relative) == (0.0, None)
    assert false.parameters.noise == plain.parameters.noise
    np.testing.assert_array_equal(false.parameters.kernel, plain.parameters.kernel)
    assert false.about_noise() == {"noise_by_errors": {"known": len(unit), "share": 0.0, "ratio": [1.0, 1.0]}}


def test_equal_errors_give_the_model_without(measured):
    rows, _, unit, _ = measured
    few, promise = np.arange(len(unit)), Promise("positions")
    equal, plain = (
        choose_scales(rows, few, unit, promise, noise)
        for noise in (RowNoise(np.full(len(unit), 0.7), len(unit)), None)
    )
    assert equal.relative is None
    assert equal.parameters.noise == plain.parameters.noise
    np.testing.assert_array_equal(equal.parameters.kernel, plain.parameters.kernel)


@pytest.mark.parametrize("kernel", [None, "rbf"])
def test_predictions_scale_with_scores_and_errors(tmp_path, kernel):
    """In another unit the same model: powers of two change no digit. `rbf` is no sum over mutations."""
    random = np.random.default_rng(5)
    sequences = random_sequences(90, 12, random, mutations=1)
    sequences[0] = "".join(Counter(letters).most_common(1)[0][0] for letters in zip(*sequences, strict=True))
    variants = variant_table(sequences, random.normal(size=90))  # the first is the template
    errors, scores = random.choice([0.1, 1.5], 90), variants.column("target")
    rows, embedding = np.arange(90), one_hot(variants)
    found = []
    for scale in (1.0, 4.0):
        table = variants.rows.append_column(STANDARD_ERROR, pa.array(scale * errors))
        for name in ("target", "DMS_score"):
            table = table.set_column(table.column_names.index(name), name, pa.array(scale * scores))
        scaled = VariantTable(table, variants.templates)
        training = train_models(
            scaled, embedding, split_of(scaled, (rows[:60], [], rows[60:])),
            flags(model={"name": "gp", "kernel": kernel}),
            directory=ExperimentDir(tmp_path, f"x{scale:g}"), monitor=StageMonitor(),
        )  # fmt: skip
        assert "noise_by_errors" in training.info["folds"][0]
        found.append(load_model(training.model_dirs[0]).predict(embedding, rows) / scale)
    np.testing.assert_array_equal(found[0], found[1])
