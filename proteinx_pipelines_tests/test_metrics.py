"""The built-in metrics against SciPy and scikit-learn, and the rules of the register."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from proteinx_pipelines import metrics
from proteinx_pipelines.errors import PluginError

# Small whole numbers make ties common; at least one side of each pair is not constant by construction below.
NUMBERS = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=1, max_size=60)


def columns(pairs):
    return np.array(pairs, dtype=float).T


@given(NUMBERS)
@settings(max_examples=80)
@pytest.mark.slow
def test_spearman_and_pearson_agree_with_scipy_ties_included(pairs):
    target, prediction = columns(pairs)
    if np.ptp(target) == 0 or np.ptp(prediction) == 0:
        assert np.isnan(metrics.compute("spearman", target, prediction))
        assert np.isnan(metrics.compute("pearson", target, prediction))
    else:
        expected = stats.spearmanr(target, prediction).statistic
        assert metrics.compute("spearman", target, prediction) == pytest.approx(expected, abs=1e-12)
        expected = stats.pearsonr(target, prediction).statistic
        assert metrics.compute("pearson", target, prediction) == pytest.approx(expected, abs=1e-12)


@given(NUMBERS)
@settings(max_examples=40)
def test_errors_agree_with_scikit_learn(pairs):
    target, prediction = columns(pairs)
    assert metrics.compute("mse", target, prediction) == pytest.approx(
        reference.mean_squared_error(target, prediction)
    )
    assert metrics.compute("mae", target, prediction) == pytest.approx(
        reference.mean_absolute_error(target, prediction)
    )


def test_r2_of_equal_targets_whose_mean_is_rounded_is_undefined():
    """The mean of three times 0.1 is one rounding above it, and r2 was -1e33."""
    assert np.isnan(metrics.compute("r2", np.full(3, 0.1), np.array([0.1, 0.2, 0.3])))


@given(NUMBERS)
@settings(max_examples=80)
def test_ndcg_agrees_with_scikit_learn_on_scaled_gains_ties_included(pairs):
    target, prediction = columns(pairs)
    value = metrics.compute("ndcg", target, prediction)
    if np.ptp(target) == 0:
        assert np.isnan(value)
    else:
        gains = (target - target.min()) / np.ptp(target)
        if len(gains) == 1:
            return
        expected = reference.ndcg_score([gains], [prediction], k=max(1, len(gains) // 10))
        assert value == pytest.approx(expected, abs=1e-12)


def proteingym_ndcg(target, prediction):
    """ProteinGym's definition in its own order of steps (valid without ties)."""
    places = int(np.floor(len(target) * 0.1))
    gains = (target - target.min()) / (target.max() - target.min())

    def discounted(order):
        ranks = np.argsort(np.argsort(-order)) + 1
        return np.sum(gains[ranks <= places] / np.log2(ranks[ranks <= places] + 1))

    return discounted(prediction) / discounted(gains)


def proteingym_recall(target, prediction, percent=10):
    top = target >= np.percentile(target, 100 - percent)
    chosen = prediction >= np.percentile(prediction, 100 - percent)
    return (top & chosen).sum() / top.sum()


@pytest.mark.parametrize("n", [10, 11, 57, 1000])
def test_ndcg_and_recall_are_proteingyms_where_nothing_ties(n):
    random = np.random.default_rng(n)
    target = random.normal(size=n)
    prediction = target + random.normal(size=n)
    assert metrics.compute("ndcg", target, prediction) == pytest.approx(proteingym_ndcg(target, prediction))
    for percent in (1, 5, 10, 20):
        assert metrics.compute(f"top{percent}_recall", target, prediction) == pytest.approx(
            proteingym_recall(target, prediction, percent)
        )


def test_recall_of_tied_targets_is_proteingyms():
    target = np.repeat([0.0, 1.0, 2.0], [70, 15, 15])
    prediction = np.random.default_rng(1).permutation(100).astype(float)
    assert metrics.compute("top10_recall", target, prediction) == pytest.approx(
        proteingym_recall(target, prediction)
    )


def test_a_constant_prediction_recalls_what_chance_would():
    """Counting every tied row gives the mean predictor a perfect recall; it once led a leaderboard."""
    target = np.arange(100.0)
    assert proteingym_recall(target, np.zeros(100)) == 1.0
    assert metrics.compute("top10_recall", target, np.zeros(100)) == pytest.approx(0.1)


@given(st.permutations(range(30)))
@settings(max_examples=20)
def test_no_metric_depends_on_the_order_of_rows(order):
    random = np.random.default_rng(3)
    target, prediction = random.integers(0, 6, 30).astype(float), random.integers(0, 4, 30).astype(float)
    order = np.array(order)
    for name in ("spearman", "pearson", "mse", "mae", "ndcg", "top5_recall", "top10_recall"):
        before = metrics.compute(name, target, prediction)
        assert metrics.compute(name, target[order], prediction[order]) == pytest.approx(before, abs=1e-12)


def test_a_perfect_prediction_scores_perfectly():
    target = np.random.default_rng(0).normal(size=50)
    values = {
        name: metrics.compute(name, target, target)
        for name in ("spearman", "pearson", "ndcg", "top10_recall")
    }
    assert values == pytest.approx(dict.fromkeys(values, 1.0))
    assert metrics.compute("mse", target, target) == metrics.compute("mae", target, target) == 0.0


@pytest.mark.parametrize("name", ["spearman", "pearson", "mse", "mae", "ndcg", "top10_recall"])
def test_no_rows_and_numbers_that_are_not_finite_give_nan(name):
    assert np.isnan(metrics.compute(name, np.array([]), np.array([])))
    assert np.isnan(metrics.compute(name, np.array([1.0, 2.0]), np.array([1.0, np.nan])))
    assert np.isnan(metrics.compute(name, np.array([1.0, np.inf]), np.array([1.0, 2.0])))


def test_unknown_names_are_all_named_with_the_nearest_known_one():
    with pytest.raises(
        ValueError, match=r"'spearmen' \(did you mean 'spearman'\?\), 'zzz'; the metrics are mae, "
    ):
        metrics.check_names(["spearmen", "mse", "zzz"])


def test_a_metric_listed_twice_is_refused():
    with pytest.raises(ValueError, match="'mse' is listed twice"):
        metrics.check_names(["mse", "spearman", "mse"])


@pytest.mark.parametrize(
    "name", ["", "Spearman", "1st", "a b", "a/b", "x" * 51, "mse_fold_mean", "mse_source_mean", 7]
)
def test_a_name_that_breaks_the_rule_is_refused(name):
    with pytest.raises(ValueError, match="are expected, beginning with a letter"):
        metrics.register(name, metrics.mse)


def test_a_taken_name_is_not_overwritten():
    with pytest.raises(ValueError, match=r"'mse' is taken by proteinx_pipelines\.metrics\.mse"):
        metrics.register("mse", lambda target, prediction: 0.0)
    metrics.register(
        "mse", metrics.mse, lower_is_better=True, in_target_units=True
    )  # the very same: harmless
    assert metrics.compute("mse", np.array([1.0]), np.array([3.0])) == 4.0


def test_a_registered_metric_is_known_and_computed(monkeypatch):
    monkeypatch.setattr(metrics, "_registered", dict(metrics._registered))
    metrics.register("first_target", lambda target, prediction: target[0])
    metrics.check_names(["first_target"])
    assert metrics.compute("first_target", np.array([5.0, 1.0]), np.array([0.0, 0.0])) == 5.0


def test_a_metric_that_fails_is_named(monkeypatch):
    monkeypatch.setattr(metrics, "_registered", dict(metrics._registered))
    metrics.register("broken", lambda target, prediction: 1 / 0)
    with pytest.raises(PluginError, match=r"'broken' failed on 2 variants: ZeroDivisionError"):
        metrics.compute("broken", np.zeros(2), np.zeros(2))


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"target has shape \(3,\), prediction \(2,\)"):
        metrics.compute("mse", np.zeros(3), np.zeros(2))


def test_importing_the_metrics_imports_no_heavy_library():
    code = "import sys, proteinx_pipelines.metrics as m; m.names(); print([n for n in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("scipy", "sklearn", "torch", "pandas", "pyarrow", "matplotlib"):
        assert f"'{heavy}'" not in loaded
