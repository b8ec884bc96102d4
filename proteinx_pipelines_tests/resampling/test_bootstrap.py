"""Bootstrap intervals: against SciPy, against theory, and the same however they are chunked."""

import numpy as np
import pytest
from scipy import stats

from proteinx_pipelines import metrics
from proteinx_pipelines.errors import Cancelled
from proteinx_pipelines.resampling import bootstrap
from proteinx_pipelines.resampling.bootstrap import bootstrap_intervals


def quiet(done, total):
    """Nobody listens."""


def sample(n, seed=0):
    random = np.random.default_rng(seed)
    target = random.normal(size=n)
    return target, target + random.normal(size=n)


def test_intervals_are_those_of_scipy():
    target, prediction = sample(300)
    found = bootstrap_intervals(
        ["pearson", "mse"], target, {"model": prediction}, resamples=4000, level=0.9, seed=1, progress=quiet
    )["model"]
    for name, statistic in (
        ("pearson", lambda x, y: np.corrcoef(x, y)[0, 1]),
        ("mse", lambda x, y: np.mean((x - y) ** 2)),
    ):
        reference = stats.bootstrap(
            (target, prediction), statistic, paired=True, vectorized=False, n_resamples=2000,
            confidence_level=0.9, method="percentile", rng=np.random.default_rng(2),
        ).confidence_interval  # fmt: skip
        width = reference.high - reference.low
        assert found[name] == pytest.approx((reference.low, reference.high), abs=0.1 * width)


def test_the_interval_of_a_mean_error_is_as_wide_as_theory_says():
    target, prediction = sample(2000)
    low, high = bootstrap_intervals(
        ["mse"], target, {"model": prediction}, resamples=2000, level=0.95, seed=0, progress=quiet
    )["model"]["mse"]
    errors = (target - prediction) ** 2
    expected = 2 * 1.96 * errors.std() / np.sqrt(len(errors))
    assert high - low == pytest.approx(expected, rel=0.1)


def test_the_seed_decides_and_the_chunks_do_not(monkeypatch):
    target, prediction = sample(50)
    arguments = {"resamples": 30, "level": 0.95, "progress": quiet}
    first = bootstrap_intervals(["spearman"], target, {"m": prediction}, seed=3, **arguments)
    monkeypatch.setattr(bootstrap, "_COUNTS_PER_CHUNK", 50 * 7)
    assert bootstrap_intervals(["spearman"], target, {"m": prediction}, seed=3, **arguments) == first
    assert bootstrap_intervals(["spearman"], target, {"m": prediction}, seed=4, **arguments) != first


def test_memory_is_bounded_by_the_chunk(monkeypatch):
    monkeypatch.setattr(bootstrap, "_COUNTS_PER_CHUNK", 1000)
    sizes = [counts.size for counts in bootstrap.draws(100, 64, seed=0)]
    assert max(sizes) <= 1000
    assert sum(sizes) == 100 * 64


def test_a_plugins_metric_has_an_interval_too(monkeypatch):
    monkeypatch.setattr(metrics, "_registered", dict(metrics._registered))
    metrics.register("mean_target", lambda target, prediction: target.mean())
    target, prediction = sample(200)
    low, high = bootstrap_intervals(
        ["mean_target"], target, {"m": prediction}, resamples=400, level=0.95, seed=0, progress=quiet
    )["m"]["mean_target"]
    assert low < target.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * target.std() / np.sqrt(200), rel=0.2)


def test_a_metric_that_is_never_defined_has_no_interval():
    target, _ = sample(20)
    found = bootstrap_intervals(
        ["spearman"], target, {"constant": np.zeros(20)}, resamples=10, level=0.95, seed=0, progress=quiet
    )
    assert np.isnan(found["constant"]["spearman"]).all()


@pytest.mark.parametrize(("n", "resamples"), [(1, 10), (20, 0)])
def test_nothing_to_draw_from_gives_no_intervals(n, resamples):
    target, prediction = sample(n)
    assert (
        bootstrap_intervals(
            ["mse"], target, {"m": prediction}, resamples=resamples, level=0.95, seed=0, progress=quiet
        )
        == {}
    )


def test_a_cancelled_experiment_ends_the_bootstrap():
    def stop(done, total):
        raise Cancelled("cancelled")

    target, prediction = sample(20)
    with pytest.raises(Cancelled):
        bootstrap_intervals(
            ["mse"], target, {"m": prediction}, resamples=5, level=0.95, seed=0, progress=stop
        )


def test_whole_groups_are_drawn():
    groups = np.repeat(np.arange(10), 7)
    counts = np.concatenate([*bootstrap.draws(70, 50, 0, groups)], axis=1)
    by_group = counts.reshape(10, 7, 50)
    assert (by_group == by_group[:, :1]).all()  # rows of a group go together
    assert (by_group[:, 0].sum(axis=0) == 10).all()  # as many groups as there are


def test_an_interval_by_groups_is_as_wide_as_differences_between_groups():
    """Errors that go together within a position: single variants promise too much, positions do not."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 19)
    errors = random.normal(size=200)[groups] + 0.5 * random.normal(size=len(groups))
    target = np.zeros(len(groups))
    arguments = {"resamples": 1000, "level": 0.95, "seed": 0, "progress": quiet}
    wide = bootstrap_intervals(["mse"], target, {"m": errors}, groups=groups, **arguments)["m"]["mse"]
    narrow = bootstrap_intervals(["mse"], target, {"m": errors}, **arguments)["m"]["mse"]
    of_means = (errors**2).reshape(200, 19).mean(axis=1).std() / np.sqrt(200)
    assert wide[1] - wide[0] == pytest.approx(2 * 1.96 * of_means, rel=0.1)
    assert narrow[1] - narrow[0] < 0.5 * (wide[1] - wide[0])


def test_one_group_has_no_interval():
    target, prediction = sample(30)
    arguments = {"resamples": 20, "level": 0.95, "seed": 0, "progress": quiet}
    assert (
        bootstrap_intervals(["mse"], target, {"m": prediction}, groups=np.zeros(30, int), **arguments) == {}
    )
