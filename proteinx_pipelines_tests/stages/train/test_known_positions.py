"""Predictions at known positions by a network learned across assays: without relatives, from other rows, exported."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.evidence.values import PRIOR_KNOWN_POSITIONS
from proteinx_pipelines.stages.train import site_network_learning
from proteinx_pipelines.stages.train.amino_acids import properties
from proteinx_pipelines.stages.train.known_positions import n_features, n_weights, predicted
from proteinx_pipelines.stages.train.measured import Measured
from proteinx_pipelines.stages.train.new_positions_learning import FEWEST_FAMILIES
from proteinx_pipelines.stages.train.prior import read_prior, write_prior
from proteinx_pipelines.stages.train.prior_learning import Assay, learn
from proteinx_pipelines.stages.train.site_network import SiteNetwork, shapes
from proteinx_pipelines.stages.train.site_profiles import N_EXPECTED, Expected, SiteProfiles
from proteinx_pipelines.stages.train.targets import fit_scaling
from proteinx_pipelines_tests.evidence.proteins import sequence_of
from proteinx_pipelines_tests.stages.train.left_out_groups import assert_scores_of_a_group_are_unseen
from proteinx_pipelines_tests.stages.train.test_evidence import (
    SITES,
    STRUCTURE,
    evidence_of,
    prior_evidence,
    trained,
    variants,
)
from proteinx_pipelines_tests.stages.train.test_new_positions import tokens_of

LENGTH = 40
N_ROWS = 500


def assay(seed: int) -> Assay:
    """Scores of one protein whose sites want a hydropathy each: residues of another one are bad, by its square."""
    template, random = sequence_of(LENGTH, seed), np.random.default_rng(seed)
    position, new = (grid.ravel() for grid in np.meshgrid(np.arange(LENGTH), np.arange(20), indexing="ij"))
    kept = np.flatnonzero(new != tokens_of(template)[position])
    kept = np.sort(random.choice(kept, N_ROWS, replace=False))
    wanted = random.normal(size=LENGTH)
    score = -((properties()[new[kept], 0] - wanted[position[kept]]) ** 2) + 0.2 * random.normal(size=N_ROWS)
    return Assay(f"p{seed}", template, position[kept], new[kept], score)


NOTHING = (np.zeros((LENGTH, 20)), np.eye(20))
"""A prior that knows nothing."""
ASSAYS = [assay(seed) for seed in range(10, 10 + FEWEST_FAMILIES)]


@pytest.fixture(scope="module")
def learned():
    return learn(ASSAYS)


def of_rows(found: Assay, rows: np.ndarray, *, sign: float = 1.0) -> Measured:
    scores = sign * found.score[rows]
    unit = fit_scaling("rank", scores).scale(scores)
    return Measured(tokens_of(found.template), found.position[rows], found.new[rows], unit)


def network_of(prior, row: int = 0) -> SiteNetwork:
    return SiteNetwork.of_line(prior.known_positions[row], n_features())


def test_what_siblings_tell_is_learned_from_other_proteins(learned):
    stranger = assay(77)
    test = np.arange(N_ROWS) % 5 == 0
    measured = of_rows(stranger, np.flatnonzero(~test))
    table, left_out = predicted(measured, *NOTHING, network_of(learned.prior))
    found = table[stranger.position[test], stranger.new[test]]
    assert spearmanr(found, stranger.score[test])[0] > 0.8
    assert spearmanr(left_out, measured.target)[0] > 0.8


def test_a_measurement_is_never_part_of_its_own_prediction(learned):
    """A measured substitution, and its place in the table, are predicted from other rows."""
    found = assay(78)
    measured = of_rows(found, np.arange(N_ROWS))
    network = network_of(learned.prior)
    table, left_out = predicted(measured, *NOTHING, network)
    np.testing.assert_array_equal(table[found.position, found.new], left_out)
    assert np.abs(left_out - measured.target).max() > 0.3
    for row in (0, 100, 499):
        other = measured.target.copy()
        other[row] = 30.0
        again = predicted(replace(measured, target=other), *NOTHING, network)
        assert again[1][row] == left_out[row]
        assert np.abs(again[1] - left_out).max() > 0.01  # others see it


def test_networks_without_a_group_have_not_seen_its_scores(learned):
    assert_scores_of_a_group_are_unseen(learned.prior, ASSAYS, "known_positions")


def test_a_protein_is_predicted_by_a_network_without_its_relatives(learned):
    for member in learned.prior.members:
        effects = learned.prior.effects(member.sequence)
        np.testing.assert_array_equal(
            effects.known_positions, learned.prior.known_positions[1 + member.group]
        )


def test_few_families_teach_nothing_of_known_positions():
    assert learn(ASSAYS[: FEWEST_FAMILIES - 1]).prior.known_positions is None


def test_the_networks_are_read_back_to_the_bit_and_a_file_may_be_without_them(learned, tmp_path):
    write_prior(learned.prior, tmp_path / "p")
    found = read_prior(tmp_path / "p").known_positions
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, learned.prior.known_positions)
    write_prior(replace(learned.prior, known_positions=None), tmp_path / "q")
    assert read_prior(tmp_path / "q").known_positions is None
    write_prior(replace(learned.prior, known_positions=learned.prior.known_positions[:, :-1]), tmp_path / "r")
    with pytest.raises(CorruptArtifact, match="known_positions"):
        read_prior(tmp_path / "r")


def test_a_network_is_what_torch_computes_and_is_restored():
    import torch

    random = np.random.default_rng(0)
    arrays = {name: random.normal(size=shape).astype(np.float32) / 4 for name, shape in shapes(7).items()}
    arrays["scale"] = np.abs(arrays["scale"]) + 0.5
    network, features = SiteNetwork(arrays), random.normal(size=(30, 7)).astype(np.float32)
    part = {name: torch.from_numpy(each) for name, each in arrays.items()}
    x = torch.clamp((torch.from_numpy(features) - part["mean"]) / part["scale"], -4, 4)
    silu = torch.nn.functional.silu
    hidden = silu(x @ part["first"] + part["first_bias"])
    hidden = hidden + silu(hidden @ part["second"] + part["second_bias"])
    wanted = hidden @ part["last"] + x @ part["straight"] + part["bias"]
    np.testing.assert_allclose(network.values(features), wanted.numpy(), atol=1e-5)
    again = SiteNetwork.of_line(network.line(), 7)
    np.testing.assert_array_equal(again.values(features), network.values(features))
    assert np.isfinite(network.values(np.full((1, 7), 1e30, np.float32))).all()


def test_the_same_rows_give_the_same_network(monkeypatch):
    monkeypatch.setattr(site_network_learning, "EPOCHS", 1)
    random = np.random.default_rng(0)
    features, target = (
        random.normal(size=(700, 5)).astype(np.float32),
        random.normal(size=700).astype(np.float32),
    )
    one, other = (
        site_network_learning.train_network(features, target, np.ones(700), 0, dropout=0.1).line()
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rows", [1, 2, 5, 60])
def test_features_are_finite_however_little_is_measured(rows: int):
    found = assay(3)
    measured = of_rows(found, np.arange(rows))
    position, new = np.repeat(np.arange(LENGTH), 20), np.tile(np.arange(20), LENGTH)
    features = SiteProfiles(measured).features(position, new)
    assert features.shape == (LENGTH * 20, n_features() - N_EXPECTED)
    assert np.isfinite(features).all()
    assert np.isfinite(Expected(SiteProfiles(measured), *NOTHING).features(position, new)).all()


def constant_network(column: int, weight: float) -> np.ndarray:
    """A network that holds to one feature."""
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes(n_features()).items()}
    arrays["scale"] += 1.0
    arrays["straight"][column] = weight
    return SiteNetwork(arrays).line()[None, None]


def evidence_with(network: np.ndarray):
    known = prior_evidence(np.random.default_rng(3).normal(size=(SITES, 20)))
    return replace(known, arrays={**known.arrays, PRIOR_KNOWN_POSITIONS: network})


def site_mean() -> int:
    """Column of the mean of a site: behind the surroundings, the profile and what of it is known, and the count."""
    measured = Measured(np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1, np.int64), np.zeros(1))
    surroundings = measured.features(np.zeros(1, np.int64), np.zeros(1, np.int64)).shape[1]
    return N_EXPECTED + surroundings + 2 * 20 + 1


def test_auto_at_known_positions_is_half_a_process_and_half_what_was_learned(tmp_path):
    table, network = variants(), constant_network(site_mean(), 1.0)
    _, facts, both = trained(tmp_path / "1", table, evidence_with(network), by_position=False)
    assert {tuple(fold["parts"]) for fold in facts} == {("gp", "known_positions")}
    _, _, process = trained(tmp_path / "2", table, evidence_with(network), model="gp", by_position=False)
    _, _, nothing = trained(
        tmp_path / "3", table, evidence_with(constant_network(site_mean(), 0.0)), by_position=False
    )
    assert np.abs(both - process).max() > 0.01
    # A network that says nothing gets no slope: the mean of the training rows, which changes no order.
    assert spearmanr(nothing, process)[0] > 0.99


def test_with_a_structure_the_network_is_a_third_beside_process_and_trees(tmp_path):
    """It knows nothing of the structure: half of it cost what an alignment of p53 had brought."""
    table, given = variants(), evidence_of(structure=STRUCTURE)
    network = evidence_with(constant_network(site_mean(), 1.0))
    both = replace(
        given, arrays={**given.arrays, **network.arrays}, info={**given.info, "prior": network.info["prior"]}
    )
    _, facts, found = trained(tmp_path / "1", table, both, by_position=False, folds=2)
    for fold in facts:
        assert fold["parts"] == (
            ["gp", "boosting", "known_positions"]
            if "structure" in fold["evidence"]
            else ["gp", "known_positions"]
        )
    assert any("structure" in fold["evidence"] for fold in facts)
    assert np.isfinite(found).all()


def test_auto_without_a_network_or_at_new_positions_is_as_before(tmp_path):
    unknown = evidence_with(constant_network(5, 1.0) * np.nan)
    _, facts, _ = trained(tmp_path / "1", variants(), unknown, by_position=False)
    assert facts[0]["parts"] == ["gp", "boosting"]
    _, facts, _ = trained(tmp_path / "2", variants(), evidence_with(constant_network(5, 1.0)))
    assert "known_positions" not in facts[0]["parts"]
    _, facts, _ = trained(tmp_path / "3", variants(doubles=True), unknown, by_position=False)
    assert facts[0]["parts"] == ["gp"]


def test_the_numbers_of_a_network_are_those_of_its_arrays():
    assert constant_network(0, 1.0).shape == (1, 1, n_weights())
