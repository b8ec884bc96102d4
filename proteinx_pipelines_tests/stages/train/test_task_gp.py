"""Several properties in one Gaussian process: what it gains, what it must not read, and its numbers."""

import building
import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal
from two_tasks import N_TESTED, N_TRAINED, TEMPLATE, halves, measured, table, with_property

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.records import PROPERTY, VariantTable
from proteinx_pipelines.stages.train import task_gp
from proteinx_pipelines.stages.train.coregionalisation import Likelihood, Observed, fit_task_parameters
from proteinx_pipelines.stages.train.export import MODEL_FILES, load_model, save_model
from proteinx_pipelines.stages.train.further_values import further_values
from proteinx_pipelines.stages.train.kernels import RbfKernel
from proteinx_pipelines.stages.train.prior import prior_of
from proteinx_pipelines.stages.train.prior_evidence import with_prior
from proteinx_pipelines.stages.train.registry import model_entry
from proteinx_pipelines.stages.train.shard import ShardInputs, plan_shards
from proteinx_pipelines.stages.train.shards import run_shard
from proteinx_pipelines.stages.train.train import train_models

JOINT = {"name": "gp", "tasks": "joint"}


def trained(folder, variants, **groups):
    experiment = building.ToyExperiment(folder)
    embedding = building.one_hot(variants)
    training = train_models(
        variants, embedding, halves(variants), building.flags(**groups),
        directory=experiment.directory, monitor=building.Notebook(),
    )  # fmt: skip
    return training, embedding


def error_of(folder, variants, **groups) -> float:
    """Root mean squared error of the test rows."""
    training, embedding = trained(folder, variants, **groups)
    tested = halves(variants).folds[0].test
    found = load_model(training.model_dirs[0]).predict(embedding, tested)
    return float(np.sqrt(np.mean((found - variants.column("target")[tested]) ** 2)))


@pytest.mark.parametrize("correlation", [0.95, -0.95])
def test_a_property_that_goes_with_a_score_of_few_rows_lowers_its_error(correlation, tmp_path) -> None:
    variants = measured(correlation)
    joint = error_of(tmp_path / "joint", variants, model=JOINT)
    alone = error_of(tmp_path / "single", variants, model={"name": "gp"})
    assert joint < 0.85 * alone


def test_a_property_that_does_not_go_with_the_score_costs_nearly_nothing(tmp_path) -> None:
    variants = measured(0.0)
    joint = error_of(tmp_path / "joint", variants, model=JOINT)
    alone = error_of(tmp_path / "single", variants, model={"name": "gp"})
    assert joint < 1.05 * alone


def test_training_json_tells_how_the_tasks_go_together_and_their_rows(tmp_path) -> None:
    training, _ = trained(tmp_path, measured(-0.95), model=JOINT)
    told = training.info["folds"][0]["tasks"]
    assert told["names"] == ["DMS_score", "half"]
    assert told["rows"] == {"DMS_score": N_TRAINED, "half": 240 - N_TESTED}
    assert told["rows_without_score"] == 120
    assert np.diag(told["correlation"]) == pytest.approx([1, 1])
    assert -1 <= told["correlation"][0][1] < -0.6
    assert set(told["noise"]) == {"DMS_score", "half"}


@pytest.mark.parametrize("correlation", [0.9, -0.7])
def test_the_covariance_of_the_tasks_is_recovered(correlation) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, size=(150, 2))
    kernel = np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) / 2)
    both = np.kron([[1, correlation], [correlation, 1]], kernel) + 1e-9 * np.eye(300)
    drawn = np.linalg.cholesky(both) @ rng.normal(size=300)
    row, task = np.concatenate([np.arange(60), np.arange(150)]), np.repeat([0, 1], [60, 150])
    value = drawn[task * 150 + row] + np.array([0.2, 0.4])[task] * rng.normal(size=210)
    found = fit_task_parameters(RbfKernel(2.0), x, Observed(row, task, value), 2)
    assert found.correlation[0, 1] == pytest.approx(correlation, abs=0.15)
    assert found.noise == pytest.approx([0.04, 0.16], abs=0.06)


def test_the_likelihood_is_that_of_the_whole_covariance_and_its_slope_that_of_differences() -> None:
    rng = np.random.default_rng(0)
    x, row, task = (
        rng.normal(size=(30, 3)),
        np.append(np.arange(20), np.arange(10, 30)),
        np.repeat([0, 1], 20),
    )
    seen = Observed(row, task, rng.normal(size=40))
    search = Likelihood(RbfKernel(2.0), x, seen, 2)
    theta = search.start(RbfKernel(2.0).start) + 0.3 * rng.normal(size=8)
    value, slope = search.value_and_slope(theta)
    found = search.parameters(theta)
    squared = ((x[:, None] - x[None]) ** 2).sum(-1)
    whole = np.kron(found.between, np.exp(found.kernel[0] - squared / (2 * np.exp(found.kernel[1]))))
    at = task * 30 + row
    covariance = whole[np.ix_(at, at)] + np.diag(found.noise[task] + 1e-6)
    assert value == pytest.approx(multivariate_normal(np.zeros(40), covariance).logpdf(seen.value), rel=1e-9)
    differences = approx_fprime(theta, lambda at: search.value_and_slope(at)[0], 1e-6)
    assert slope == pytest.approx(differences, abs=1e-3)


def test_a_property_of_a_test_row_changes_no_byte_of_the_model(tmp_path) -> None:
    variants = measured(0.95)
    values = variants.column(PROPERTY + "half").copy()
    values[N_TRAINED : N_TRAINED + N_TESTED] = -1e6
    changed = with_property(variants, "half", values)
    models = [
        trained(tmp_path / str(number), each, model=JOINT)[0].model_dirs[0]
        for number, each in enumerate((variants, changed))
    ]
    for name in MODEL_FILES:
        assert (models[0] / name).read_bytes() == (models[1] / name).read_bytes()


def test_the_order_of_properties_changes_no_byte(tmp_path) -> None:
    extra = np.where(np.arange(240) % 3 == 0, np.nan, np.random.default_rng(1).normal(size=240))
    variants = measured(0.95, extra=extra)
    names = variants.rows.column_names
    turned = VariantTable(variants.rows.select([*names[:-2], names[-1], names[-2]]), variants.templates)
    models = [
        trained(tmp_path / str(number), each, model=JOINT)[0].model_dirs[0]
        for number, each in enumerate((variants, turned))
    ]
    for name in MODEL_FILES:
        assert (models[0] / name).read_bytes() == (models[1] / name).read_bytes()


@pytest.mark.parametrize("kernel", ["mutation", "rbf", "linear"])
def test_the_exported_model_predicts_the_same_bits_and_its_deviations_agree(kernel, tmp_path) -> None:
    variants = measured(0.95)
    experiment, embedding = building.ToyExperiment(tmp_path), building.one_hot(variants)
    split, flags = halves(variants), building.flags(model={**JOINT, "kernel": kernel})
    inputs = ShardInputs(model_entry("gp"), variants, embedding, split, flags)
    (shard,) = plan_shards(split, flags)
    run_shard(shard, inputs, directory=experiment.directory, monitor=building.Notebook())
    model, rows = load_model(experiment.directory.model_dir / "fold_0"), split.folds[0].test
    save_model(model, tmp_path / "again")
    again = load_model(tmp_path / "again")
    mean, deviation = model.predict_both(embedding, rows)
    assert np.array_equal(mean, again.predict(embedding, rows))
    assert np.array_equal(deviation, again.predict_deviation(embedding, rows))
    inside = np.abs(mean - variants.column("target")[rows]) <= 1.96 * deviation
    assert inside.mean() > 0.75  # 0.74 to 0.76 by the score alone: 40 rows at 30 sites
    low, high = model.deviation_bounds(embedding, rows)
    assert (low <= deviation).all()
    assert (deviation <= high).all()
    noise = model.predictor.parameters.noise[0] * model.predictor.scale**2
    assert np.sqrt(np.diag(model.predict_covariance(embedding, rows)) + noise) == pytest.approx(deviation)
    draws = np.stack(list(model.predict_draws(embedding, rows, 400)))
    assert np.abs(draws.mean(axis=0) - mean).max() < 6 * deviation.max() / 20
    assert 0 < model.typical_deviation() < 2 * deviation.max()


def test_with_a_prior_its_terms_are_in_the_joint_kernel_and_in_the_exported_model(tmp_path) -> None:
    variants = measured(0.95)
    prior = prior_of("default", None)
    embedding = with_prior(building.one_hot(variants), prior, {"toy": TEMPLATE})
    experiment = building.ToyExperiment(tmp_path)
    training = train_models(
        variants, embedding, halves(variants), building.flags(model={**JOINT, "prior": "default"}),
        directory=experiment.directory, monitor=building.Notebook(),
    )  # fmt: skip
    told = training.info["folds"][0]
    assert told["evidence"] == ["prior"]
    assert "weights" not in told  # those of a process of the target alone
    model, rows = load_model(training.model_dirs[0]), np.arange(N_TRAINED, N_TRAINED + N_TESTED)
    assert "prior" in " ".join(model.predictor.rows.kernel.terms)
    save_model(model, tmp_path / "again")
    again = load_model(tmp_path / "again")
    for one, other in zip(
        model.predict_both(embedding, rows), again.predict_both(embedding, rows), strict=True
    ):
        assert np.array_equal(one, other)


def test_ratios_at_a_few_sites_are_learned_as_roots_and_predicted_as_ratios(tmp_path) -> None:
    rng = np.random.default_rng(2)
    letters = [(one, other) for one in "ACDEFGHIKLMN" for other in "PQRSTVWYAC"]
    sequences = [TEMPLATE[:4] + one + other + TEMPLATE[6:] for one, other in letters]
    latent = np.array([ord(one) % 7 + 0.5 * (ord(other) % 5) for one, other in letters]) / 4
    target = np.maximum(latent, 0) ** 3
    target[80:] = np.nan
    order = rng.permutation(80)
    variants = building.variant_table(sequences, target)
    rows = variants.rows.append_column(PROPERTY + "half", pa.array(-latent + rng.normal(0, 0.05, 120)))
    variants = VariantTable(rows, {"toy": TEMPLATE})
    split = building.split_of(variants, (np.sort(order[:40]), [], np.sort(order[40:])))
    training = train_models(
        variants, building.one_hot(variants), split, building.flags(model={**JOINT, "kernel": "sites"}),
        directory=building.ToyExperiment(tmp_path).directory, monitor=building.Notebook(),
    )  # fmt: skip
    assert training.info["folds"][0]["scale_of_targets"] == "root"
    model, tested = load_model(training.model_dirs[0]), split.folds[0].test
    mean, deviation = model.predict_both(building.one_hot(variants), tested)
    assert np.corrcoef(mean, target[tested])[0, 1] > 0.9
    assert (deviation > 0).all()


def test_rows_without_a_score_that_have_what_the_split_asks_of_test_rows_alone_are_not_seen() -> None:
    sites = [(0, "C"), (1, "A"), (2, "A"), (0, "D"), (1, "D"), (3, "A")]
    variants = table(sites, np.array([0.1, 0.2, 0.3, np.nan, np.nan, np.nan]), half=np.arange(6.0))

    def seen(split, parts=([0, 2], [], [1])) -> list[bool]:
        fold = building.split_of(variants, parts).folds[0]
        flags = building.flags(model=JOINT, split=split)
        return np.isfinite(further_values(variants, fold, flags)["half"]).tolist()

    assert seen({"method": "random"}) == [True, False, True, True, True, True]
    assert seen({"method": "contiguous"}) == [True, False, True, True, False, True]
    assert seen({"method": "clusters"}) == [True, False, True, False, False, False]
    assert seen({"method": "contiguous"}, ([0, 1, 2], [], [])) == [True] * 6  # a final model has no test rows
    fold = building.split_of(variants, ([0, 2], [], [1])).folds[0]
    assert further_values(variants, fold, building.flags(model={"name": "gp"})) == {}


def test_rows_without_a_score_of_more_mutations_than_training_rows_are_not_seen() -> None:
    variants = table([(0, "C"), (1, "A"), (2, "A"), (0, "D"), (1, "D")], np.array([0.1, 0.2, 0.3, np.nan, np.nan]),
                     half=np.arange(5.0))  # fmt: skip
    counts = pa.array([1, 1, 2, 1, 2], pa.int32())
    rows = variants.rows.set_column(variants.rows.column_names.index("mut_num"), "mut_num", counts)
    variants = VariantTable(rows, variants.templates)
    fold = building.split_of(variants, ([0, 1], [], [2])).folds[0]
    flags = building.flags(model=JOINT, split={"method": "n_vs_rest"})
    assert np.isfinite(further_values(variants, fold, flags)["half"]).tolist() == [
        True, True, False, True, False,
    ]  # fmt: skip


def test_a_property_without_values_in_training_is_left_out_and_told(tmp_path) -> None:
    only_tested = np.full(240, np.nan)
    only_tested[N_TRAINED : N_TRAINED + N_TESTED] = 1.0
    training, _ = trained(tmp_path, measured(0.95, rare=only_tested), model=JOINT)
    assert training.info["folds"][0]["tasks"]["names"] == ["DMS_score", "half"]


def test_variants_without_a_further_property_are_refused(tmp_path) -> None:
    variants = measured(0.95)
    bare = VariantTable(variants.scored().rows.drop_columns([PROPERTY + "half"]), variants.templates)
    with pytest.raises(FlagError, match=r"no further property\. Name some in `data\.properties`"):
        trained(tmp_path, bare, model=JOINT)


def test_more_values_than_are_solved_exactly_are_refused_with_their_counts(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(task_gp, "MOST_VALUES", 150)
    with pytest.raises(FlagError, match=r"DMS_score 40, half 160.*`data.limit`"):
        trained(tmp_path, measured(0.95), model=JOINT)


def test_parameters_are_chosen_on_a_bounded_number_of_values_of_both_kinds_of_rows(monkeypatch) -> None:
    monkeypatch.setattr(task_gp, "MOST_FOR_PARAMETERS", 60)
    row, task = np.concatenate([np.arange(100), np.arange(300)]), np.repeat([0, 1], [100, 300])
    seen = Observed(row, task, np.zeros(400))
    few = task_gp._few(seen, 2, 0)
    assert 40 <= len(few) <= 62
    assert (task[few] == 0).sum() >= 10
    assert (row[few] >= 100).sum() >= 10
