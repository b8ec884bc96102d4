"""Predictions at new positions by a model learned across assays: without relatives, from training rows, exported."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.evidence.values import PRIOR_NEW_POSITIONS
from proteinx_pipelines.records import AMINO_ACIDS, Embedding
from proteinx_pipelines.stages.train import substitution_table
from proteinx_pipelines.stages.train.measured import Measured
from proteinx_pipelines.stages.train.new_positions import N_PRIOR, n_features, n_weights, predicted
from proteinx_pipelines.stages.train.new_positions_learning import FEWEST_FAMILIES
from proteinx_pipelines.stages.train.prior import read_prior, write_prior
from proteinx_pipelines.stages.train.prior_evidence import with_prior
from proteinx_pipelines.stages.train.prior_learning import Assay, learn
from proteinx_pipelines.stages.train.site_network import SiteNetwork, shapes
from proteinx_pipelines.stages.train.substitution_table import SubstitutionTable
from proteinx_pipelines_tests.evidence.proteins import sequence_of
from proteinx_pipelines_tests.stages.train.left_out_groups import assert_scores_of_a_group_are_unseen
from proteinx_pipelines_tests.stages.train.test_evidence import (
    SITES,
    effects,
    prior_evidence,
    trained,
    variants,
)

LENGTH = 60


def tokens_of(template: str) -> np.ndarray:
    return np.array([AMINO_ACIDS.index(letter) for letter in template])


def assay(seed: int, *, n_kept: int = 600) -> Assay:
    """Scores of one protein whose sites are as sensitive as their neighbours are: what no sequence tells."""
    template, random = sequence_of(LENGTH, seed), np.random.default_rng(seed)
    position, new = (grid.ravel() for grid in np.meshgrid(np.arange(LENGTH), np.arange(20), indexing="ij"))
    kept = np.flatnonzero(new != tokens_of(template)[position])
    kept = np.sort(random.choice(kept, n_kept, replace=False))
    sensitive = np.convolve(random.normal(size=LENGTH + 4), np.ones(5), "valid")
    score = -sensitive[position[kept]] + 0.5 * random.normal(size=n_kept)
    return Assay(f"p{seed}", template, position[kept], new[kept], score)


ASSAYS = [assay(seed) for seed in range(10, 10 + FEWEST_FAMILIES)]


@pytest.fixture(scope="module")
def learned():
    return learn(ASSAYS)


def of_assay(found: Assay, rows: np.ndarray, *, sign: float = 1.0) -> Measured:
    scores = sign * found.score[rows]
    unit = (scores - scores.mean()) / scores.std()
    return Measured(tokens_of(found.template), found.position[rows], found.new[rows], unit)


def network_of(prior, row: int = 0) -> SiteNetwork:
    return SiteNetwork.of_line(prior.new_positions[row], n_features(by_structure=False))


def test_what_neighbours_tell_is_learned_from_other_proteins(learned):
    stranger = assay(77)
    test = stranger.position % 5 == 0
    nothing = np.zeros((LENGTH, 20))
    table = predicted(of_assay(stranger, np.flatnonzero(~test)), nothing, network_of(learned.prior))
    found = table[stranger.position[test], stranger.new[test]]
    assert spearmanr(found, stranger.score[test])[0] > 0.4


def test_networks_without_a_group_have_not_seen_its_scores(learned):
    assert_scores_of_a_group_are_unseen(learned.prior, ASSAYS, "new_positions")


def test_a_protein_is_predicted_by_a_network_without_its_relatives(learned):
    for member in learned.prior.members:
        effects = learned.prior.effects(member.sequence)
        np.testing.assert_array_equal(effects.new_positions, learned.prior.new_positions[1 + member.group])


def test_few_families_teach_nothing_of_new_positions():
    assert learn(ASSAYS[: FEWEST_FAMILIES - 1]).prior.new_positions is None


def test_assays_of_few_positions_teach_nothing_of_new_ones():
    """Ten libraries of four sites stopped `prior learn`: no row was left to learn from."""
    few = [
        replace(each, position=each.position[kept], new=each.new[kept], score=each.score[kept])
        for each in (assay(seed, n_kept=1140) for seed in range(10, 10 + FEWEST_FAMILIES))
        for kept in [each.position < 4]
    ]
    found = learn(few).prior
    assert found.new_positions is None
    assert found.known_positions is not None


def test_the_networks_are_read_back_to_the_bit_and_a_file_may_be_without_them(learned, tmp_path):
    write_prior(learned.prior, tmp_path / "p")
    found = read_prior(tmp_path / "p").new_positions
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, learned.prior.new_positions)
    write_prior(replace(learned.prior, new_positions=None), tmp_path / "q")
    old = read_prior(tmp_path / "q")
    assert old.new_positions is None
    template = sequence_of(30, 5)
    given = Embedding(None, {"name": "onehot"}, tokens=tokens_of(template).astype(np.uint8)[None])
    found = with_prior(given, old, {"x": template})
    assert np.isnan(found.evidence.arrays[PRIOR_NEW_POSITIONS]).all()
    write_prior(replace(learned.prior, new_positions=learned.prior.new_positions[:, :-1]), tmp_path / "r")
    with pytest.raises(CorruptArtifact, match="new_positions"):
        read_prior(tmp_path / "r")


def test_a_position_is_described_by_the_others():
    """Its own rows move only means over the whole protein."""
    one = ASSAYS[0]
    rows = np.arange(len(one.score))
    measured, here = of_assay(one, rows), one.position == 30
    other = replace(measured, target=measured.target + 3.0 * here)
    changes = {
        site: np.abs(
            measured.features(np.full(20, site), np.arange(20))
            - other.features(np.full(20, site), np.arange(20))
        ).max()
        for site in (30, 31)
    }
    assert changes[30] < 0.5
    assert changes[31] > 1.5  # its neighbour is described by it


def holding_to(columns: slice, value: float, *, by_structure: bool = False) -> np.ndarray:
    """A network that holds to some features, as they are."""
    n = n_features(by_structure=by_structure)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes(n).items()}
    arrays["scale"] += 1.0
    arrays["straight"][columns] = value
    return SiteNetwork(arrays).line()[None, None]


def line(value: float) -> np.ndarray:
    """A network that holds to the neighbours: to each of the sixteen means of sites."""
    return holding_to(slice(N_PRIOR + 4, N_PRIOR + 20), value)


def test_the_numbers_of_a_network_are_those_of_its_arrays():
    for by_structure in (False, True):
        found = holding_to(slice(0, 1), 1.0, by_structure=by_structure)
        assert found.shape == (1, 1, n_weights(by_structure=by_structure))


def evidence_with(weights: np.ndarray):
    known = prior_evidence(np.random.default_rng(3).normal(size=(SITES, 20)))
    return replace(known, arrays={**known.arrays, PRIOR_NEW_POSITIONS: weights})


def test_auto_at_new_positions_is_the_mean_of_two_processes_and_what_was_learned(tmp_path):
    table = variants()
    _, facts, both = trained(tmp_path / "1", table, evidence_with(line(0.1)), folds=2)
    assert [fold["parts"] for fold in facts] == [["gp", "gp_with_prior", "new_positions"]] * 2
    assert all(fold["evidence"] == ["prior"] for fold in facts)
    _, _, nothing = trained(tmp_path / "2", table, evidence_with(line(0.0)), folds=2)
    _, _, process = trained(tmp_path / "3", table, None, model="gp", folds=2)
    _, _, second = trained(tmp_path / "4", table, evidence_with(line(0.0)), model="gp", folds=2)
    site = np.array([int(name[1:-1]) for name in table.column("mutant")]) % 5
    target = table.column("target")
    level = np.concatenate([np.full((site == k).sum(), target[site != k].mean()) for k in range(2)])
    np.testing.assert_allclose(nothing, process / 4 + second / 4 + level / 2, atol=1e-6)
    assert np.abs(both - nothing).max() > 0.01


def test_auto_without_such_weights_or_at_known_positions_is_with_trees(tmp_path):
    unknown = evidence_with(line(0.1) * np.nan)
    _, facts, _ = trained(tmp_path / "1", variants(), unknown)
    assert facts[0]["parts"] == ["gp", "boosting"]
    _, facts, _ = trained(tmp_path / "2", variants(), evidence_with(line(0.1)), by_position=False)
    assert facts[0]["parts"] == ["gp", "boosting"]


def test_scores_of_test_rows_change_nothing(tmp_path):
    table = variants()
    tested = np.array([int(name[1:-1]) for name in table.column("mutant")]) % 5 == 0
    _, _, before = trained(tmp_path / "1", table, evidence_with(line(0.1)))
    target = np.where(tested, 100.0, table.column("target"))
    at = table.rows.column_names.index("target")
    changed = replace(table, rows=table.rows.set_column(at, "target", [target]))
    _, _, after = trained(tmp_path / "2", changed, evidence_with(line(0.1)))
    np.testing.assert_array_equal(after, before)


def test_a_table_adds_up_over_mutations_and_is_restored():
    effects = np.random.default_rng(0).normal(size=(5, 20)).astype(np.float32)
    template = np.arange(5, dtype=np.uint8)[None]
    table = SubstitutionTable(template, effects, 2.0, 3.0)
    tokens = np.array([[0, 1, 2, 3, 4], [0, 9, 2, 3, 4], [0, 9, 2, 3, 7]], np.uint8)
    asked = Embedding(None, {"name": "onehot"}, tokens=tokens)
    one, other = effects[1, 9], effects[4, 7]
    found = table.mean(asked, np.arange(3))
    np.testing.assert_allclose(found, [2.0, 2 + 3 * one, 2 + 3 * (one + other)], rtol=1e-6)
    again = substitution_table.restore(table.settings(), table.tensors())
    np.testing.assert_array_equal(again.mean(asked, np.arange(3)), found)


def test_a_residue_behind_the_end_of_the_template_adds_nothing(tmp_path):
    """It stopped `auto` with a prior with an `IndexError`."""
    template = np.arange(5, dtype=np.uint8)[None]
    table = SubstitutionTable(
        np.pad(template, ((0, 0), (0, 1)), constant_values=20), np.ones((5, 20), np.float32), 2.0, 3.0
    )
    longer = np.array([[0, 1, 2, 3, 4, 7], [0, 9, 2, 3, 4, 20]], np.uint8)
    np.testing.assert_array_equal(
        table.mean(Embedding(None, {"name": "onehot"}, tokens=longer), np.arange(2)), [2.0, 5.0]
    )


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_scores_of_which_lower_ones_are_better_are_predicted_as_well(tmp_path, weight):
    """What the prior expects tells which ones are better: everything that the network says is turned."""
    table = variants()
    known = prior_evidence(-effects()[:, None] + 0.1 * np.random.default_rng(3).normal(size=(SITES, 20)))
    network = holding_to(slice(0, 1), weight)
    given = replace(known, arrays={**known.arrays, PRIOR_NEW_POSITIONS: network})
    at = table.rows.column_names.index("target")
    other = replace(table, rows=table.rows.set_column(at, "target", [-table.column("target")]))
    up, down = (trained(tmp_path / name, each, given) for name, each in (("up", table), ("down", other)))
    assert up[1][0]["parts"] == ["gp", "gp_with_prior", "new_positions"]
    np.testing.assert_allclose(down[2], -up[2], atol=0.02)
    assert up[0] == pytest.approx(down[0], abs=0.02)
