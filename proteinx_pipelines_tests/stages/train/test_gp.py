import building
import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.records import AMINO_ACIDS, VariantTable
from proteinx_pipelines.stages.train import gp, gp_structure, site_grid
from proteinx_pipelines.stages.train.amino_acids import similarity
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.gaussian_process import JITTER, log_likelihood
from proteinx_pipelines.stages.train.gp_rows import describe_rows
from proteinx_pipelines.stages.train.kernels import LinearKernel, RbfKernel
from proteinx_pipelines.stages.train.mutations import most_frequent_tokens
from proteinx_pipelines.stages.train.shard import fold_seed
from proteinx_pipelines.stages.train.site_grid import SiteGrid, conjugate_gradients
from proteinx_pipelines.stages.train.train import train_models

TEMPLATE = "ACDEFGHIKLMNPQRSTVWYACDEFGHIKL"


def singles(n_sites: int = 30, letters: str = "ADFGKLSW"):
    """Single mutants whose target is a site's weight times the loss of hydropathy, with noise."""
    rng = np.random.default_rng(5)
    weights = rng.gamma(1.0, size=n_sites)
    sequences, targets = [TEMPLATE], [0.0]
    for site in range(n_sites):
        for letter in letters.replace(TEMPLATE[site], ""):
            sequences.append(TEMPLATE[:site] + letter + TEMPLATE[site + 1 :])
            targets.append(-weights[site] * (1 + AMINO_ACIDS.index(letter) / 20) + rng.normal(0, 0.1))
    variants = building.variant_table(sequences, np.array(targets))
    return variants, building.one_hot(variants)


def trained(tmp_path, variants, embedding, *, rows=None, **groups):
    """Three quarters of the variants are trained on, drawn, or the first three quarters of `rows`."""
    if rows is None:
        rows = np.random.default_rng(0).permutation(variants.n_variants)
    cut = len(rows) * 3 // 4
    split = building.split_of(variants, (np.sort(rows[:cut]), [], np.sort(rows[cut:])))
    experiment = building.ToyExperiment(tmp_path)
    training = train_models(
        variants, embedding, split, building.flags(**groups),
        directory=experiment.directory, monitor=building.Notebook(),
    )  # fmt: skip
    return load_model(training.model_dirs[0]), split.folds[0]


@pytest.mark.parametrize("kernel", ["mutation", "rbf", "linear"])
def test_the_model_read_back_predicts_unseen_mutants_with_honest_intervals(kernel, tmp_path):
    variants, embedding = singles()
    model, fold = trained(tmp_path, variants, embedding, model={"name": "gp", "kernel": kernel})
    target = variants.column("target")[fold.test]
    predicted, deviation = (ask(embedding, fold.test) for ask in (model.predict, model.predict_deviation))
    assert spearmanr(predicted, target).statistic > 0.7
    inside = np.mean(np.abs(predicted - target) <= 1.96 * deviation)
    assert 0.85 <= inside <= 1.0
    assert np.median(deviation) < np.std(target)


def test_the_posterior_equals_scikit_learns():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    kernel = RbfKernel(2.0)
    parameters = np.log([0.7, 2.0, 0.3])
    theirs = GaussianProcessRegressor(
        ConstantKernel(0.7) * RBF(np.sqrt(2.0)) + WhiteKernel(0.3), optimizer=None, alpha=1e-6
    ).fit(x, y)
    ours = log_likelihood(kernel, kernel.pieces(x, x), y, parameters)
    assert ours == pytest.approx(theirs.log_marginal_likelihood_value_, rel=1e-9)


def test_the_mutation_kernel_is_positive_semi_definite_and_its_diagonal_is_its_own():
    rng = np.random.default_rng(4)
    sequences = building.random_sequences(60, 30, rng, mutations=3)
    variants = building.variant_table(sequences, np.zeros(60))
    embedding = building.one_hot(variants)
    for templates in ((), (sequences[0],)):
        rows = describe_rows(embedding, np.arange(60), templates, "mutation")
        covariance = rows.kernel.combine(rows.kernel.pieces(rows.training, rows.training), rows.kernel.start)
        assert np.linalg.eigvalsh(covariance).min() > -1e-9
        np.testing.assert_allclose(
            np.diag(covariance), rows.kernel.diagonal(rows.training, rows.kernel.start)
        )


def test_products_on_the_grid_equal_products_with_the_matrix():
    variants, embedding = singles()
    everything = np.arange(variants.n_variants)
    rows = describe_rows(embedding, everything, (TEMPLATE,), "mutation")
    weights = np.random.default_rng(0).normal(size=len(everything))
    matrix = rows.kernel.combine(rows.kernel.pieces(rows.training, rows.training), rows.kernel.start)
    grid = SiteGrid(rows.kernel, rows.training, rows.training, rows.kernel.start)
    np.testing.assert_allclose(grid.times(weights), matrix @ weights, atol=1e-9)
    solved, converged = conjugate_gradients(grid.times, 0.3, weights)
    assert converged
    np.testing.assert_allclose(matrix @ solved + 0.3 * solved, weights, atol=1e-4)


def test_more_rows_than_can_be_factorised_still_give_means_and_deviations(monkeypatch, tmp_path):
    variants, embedding = singles()
    whole, fold = trained(tmp_path / "a", variants, embedding, model={"name": "gp"})
    monkeypatch.setattr(gp_structure, "MOST_EXACT", 80)
    monkeypatch.setattr(gp_structure, "MOST_FACTORISED", 80)
    limited, _ = trained(tmp_path / "b", variants, embedding, model={"name": "gp"})
    np.testing.assert_allclose(
        limited.predict(embedding, fold.test), whole.predict(embedding, fold.test), atol=1e-4
    )
    wider = limited.predict_deviation(embedding, fold.test) - whole.predict_deviation(embedding, fold.test)
    assert wider.min() > -1e-6
    several, _ = trained(tmp_path / "c", variants, embedding, model={"name": "gp", "kernel": "rbf"})
    assert len(several.predictor.weights) == 80


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_positions_that_training_did_not_change_count_for_rows_that_change_them(kernel, tmp_path):
    """A mutant at a held-out position was predicted as the wild type, with the wild type's small deviation."""
    variants, embedding = singles()
    everything = np.arange(variants.n_variants)  # ordered by site: the last ones are tested only
    model, fold = trained(
        tmp_path, variants, embedding, rows=everything, model={"name": "gp", "kernel": kernel}
    )
    process = model.predictor
    one_hot = embedding.dense(everything).astype(np.float64)
    centred = one_hot - one_hot[fold.train].mean(axis=0)
    whole = LinearKernel(1.0) if kernel == "linear" else RbfKernel(1.0)
    parameters, noise = process.parameters.kernel, process.parameters.noise
    covariance = whole.combine(whole.pieces(centred, centred), parameters)
    cross = covariance[np.ix_(fold.test, fold.train)]
    inverse = np.linalg.inv(
        covariance[np.ix_(fold.train, fold.train)] + (noise + JITTER) * np.eye(len(fold.train))
    )
    targets = (variants.column("target")[fold.train] - process.offset) / process.scale
    variance = np.diag(covariance)[fold.test] - np.einsum("ij,jk,ik->i", cross, inverse, cross) + noise
    np.testing.assert_allclose(
        model.predict(embedding, fold.test),
        cross @ inverse @ targets * process.scale + process.offset,
        atol=1e-8,
    )
    deviation = model.predict_deviation(embedding, fold.test)
    np.testing.assert_allclose(deviation, process.scale * np.sqrt(variance), rtol=1e-6)
    assert deviation[1:].min() > 1.02 * model.predict_deviation(embedding, np.array([0]))[0]


@pytest.mark.parametrize("vectors", [False, True], ids=["one-hot", "vectors"])
def test_rows_are_drawn_before_they_are_made_vectors_in_double_precision(vectors, tmp_path, monkeypatch):
    """All training rows were copied first: 8 bytes a number, of which 6,000 rows were then kept."""
    variants, embedding = singles()
    if vectors:
        embedding = building.dense(variants, np.random.default_rng(0).normal(size=(variants.n_variants, 4)))
    monkeypatch.setattr(gp_structure, "MOST_EXACT", 80)
    described = []
    describe = gp.describe_rows
    monkeypatch.setattr(
        gp, "describe_rows", lambda e, rows, *more: described.append(rows) or describe(e, rows, *more)
    )
    _, fold = trained(tmp_path, variants, embedding, model={"name": "gp", "kernel": "rbf"})
    drawn = np.random.default_rng(fold_seed(0, 0)).choice(fold.train, 80, replace=False)
    assert [rows.tolist() for rows in described] == [sorted(drawn)]


def test_a_template_letter_outside_the_twenty_shifts_no_site(tmp_path):
    """Selenocysteine became padding in the middle: every site behind it read its neighbour, and trees failed."""
    variants, embedding = singles()
    kept = np.flatnonzero(
        embedding.tokens[:, 12] == embedding.tokens[0, 12]
    )  # it is replaced in every variant
    variants = VariantTable(variants.rows.take(kept), {"toy": TEMPLATE})
    embedding = building.one_hot(variants)
    with_u = VariantTable(variants.rows, {"toy": TEMPLATE[:12] + "U" + TEMPLATE[13:]})
    for name in ("gp", "auto"):
        (plain, fold), (same, _) = (
            trained(tmp_path / f"{name}{k}", table, embedding, model={"name": name})
            for k, table in enumerate((variants, with_u))
        )
        np.testing.assert_array_equal(plain.predict(embedding, fold.test), same.predict(embedding, fold.test))


def test_padding_of_data_without_a_template_is_at_the_end_only():
    tokens = np.array([[0, 0, 0], [0, 1, 0], [0, 2, 0], [0, 20, 20], [0, 20, 20]], dtype=np.uint8)
    assert most_frequent_tokens(tokens).tolist() == [[0, 0, 0]]
    assert most_frequent_tokens(tokens[1:]).tolist() == [[0, 1, 0]]
    assert most_frequent_tokens(tokens[2:]).tolist() == [[0, 20, 20]]


def test_equal_targets_are_not_scaled_by_their_rounding(tmp_path):
    """The deviation of 175 times 0.1 is not 0 but rounding: targets of noise alone were modelled."""
    variants, embedding = singles()
    equal = np.full(variants.n_variants, 0.1)
    assert np.std(equal[: len(equal) * 3 // 4]) > 0
    variants = building.variant_table(variants.rows.column("sequence").to_pylist(), equal)
    model, _ = trained(tmp_path, variants, embedding, model={"name": "gp"})
    assert model.predictor.scale == 1.0


@pytest.mark.parametrize("enough", [True, False])
def test_a_mean_that_conjugate_gradients_did_not_reach_is_told(enough, tmp_path, monkeypatch):
    monkeypatch.setattr(gp_structure, "MOST_FACTORISED", 80)
    if not enough:
        monkeypatch.setattr(site_grid, "_MOST_STEPS", 1)
    variants, embedding = singles()
    split = building.split_of(variants, (range(150), [], range(150, variants.n_variants)))
    training = train_models(
        variants, embedding, split, building.flags(model={"name": "gp"}),
        directory=building.ToyExperiment(tmp_path).directory, monitor=building.Notebook(),
    )  # fmt: skip
    assert training.info["folds"][0]["converged"] is enough


def test_rows_of_two_templates_are_told_apart():
    other = TEMPLATE[::-1]
    sequences = [TEMPLATE, "C" + TEMPLATE[1:], other, "A" + other[1:]]
    variants = building.variant_table(sequences, np.arange(4.0))
    rows = describe_rows(building.one_hot(variants), np.arange(4), (TEMPLATE, other), "mutation")
    assert rows.training.template.tolist() == [0, 1]
    assert rows.training.position.tolist() == [0, 0]


def test_the_mutation_kernel_refuses_vectors(tmp_path):
    variants, _ = singles()
    embedding = building.dense(variants, np.ones((variants.n_variants, 4)))
    with pytest.raises(FlagError, match=r"needs `embedding\.name` onehot"):
        trained(tmp_path, variants, embedding, model={"name": "gp", "kernel": "mutation"})


def test_amino_acids_are_most_alike_themselves_and_leucine_is_like_isoleucine():
    alike = similarity()
    np.testing.assert_allclose(np.diag(alike), 1)
    assert np.linalg.eigvalsh(alike).min() > 0
    line = alike[AMINO_ACIDS.index("L")]
    assert line[AMINO_ACIDS.index("I")] > line[AMINO_ACIDS.index("D")]


def test_variances_of_many_variants_are_those_of_the_dense_kernel(tmp_path):
    """Sums over pairs of mutations against the kernel of every variant with every training row."""
    variants, embedding = singles()
    model, _ = trained(tmp_path, variants, embedding, model={"name": "gp", "kernel": "mutation"})
    rng = np.random.default_rng(0)
    sequences = []
    for number in range(400):
        letters = list(TEMPLATE)
        for site in rng.choice(len(TEMPLATE), number % 4, replace=False):
            letters[site] = AMINO_ACIDS[rng.integers(20)]
        sequences.append("".join(letters))
    asked = building.one_hot(building.variant_table(sequences, np.zeros(400)))
    assert len(sequences) > len(model.predictor.weights)
    found = model.predict_deviation(asked, np.arange(400))
    one_by_one = np.concatenate([model.predict_deviation(asked, np.array([row])) for row in range(400)])
    np.testing.assert_allclose(found, one_by_one, rtol=1e-9)


def test_both_are_what_each_is(tmp_path):
    variants, embedding = singles()
    rows = np.arange(variants.n_variants)
    for kernel in ("mutation", "rbf", "linear"):
        model, _ = trained(tmp_path / kernel, variants, embedding, model={"name": "gp", "kernel": kernel})
        mean, deviation = model.predict_both(embedding, rows)
        np.testing.assert_array_equal(mean, model.predict(embedding, rows))
        np.testing.assert_allclose(deviation, model.predict_deviation(embedding, rows), rtol=1e-12)


@pytest.mark.parametrize("kernel", ["mutation", "rbf"])
def test_the_typical_deviation_is_that_of_rows_left_out_one_by_one(kernel, tmp_path):
    variants, embedding = singles(12)
    model, fold = trained(tmp_path, variants, embedding, model={"name": "gp", "kernel": kernel})
    process = model.predictor
    found = []
    for left in range(len(fold.train)):
        keep = np.delete(np.arange(len(fold.train)), left)
        rows = process.rows.take(keep)
        covariance = process.rows.kernel.combine(
            process.rows.kernel.pieces(rows, rows), process.parameters.kernel
        )
        cross = process.rows.kernel.pieces(process.rows.take(np.array([left])), rows)
        cross = process.rows.kernel.combine(cross, process.parameters.kernel)
        prior = process.rows.kernel.diagonal(process.rows.take(np.array([left])), process.parameters.kernel)
        noise = process.parameters.noise + JITTER
        inside = prior - cross @ np.linalg.solve(covariance + noise * np.eye(len(keep)), cross.T)
        found.append(
            float(np.sqrt(inside[0, 0] + noise)) if inside.ndim == 2 else float(np.sqrt(inside[0] + noise))
        )
    assert model.typical_deviation() == pytest.approx(np.mean(found) * process.scale, rel=1e-5)
