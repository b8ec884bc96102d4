"""What sites near in a structure tell of new positions: of other sites only, learned across proteins, used with it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from proteinx_pipelines.evidence.structure_sites import COLUMNS, PACKING
from proteinx_pipelines.evidence.values import PRIOR_NEW_POSITIONS, PRIOR_NEW_POSITIONS_STRUCTURE
from proteinx_pipelines.stages.train.informed import Informed
from proteinx_pipelines.stages.train.measured import Measured
from proteinx_pipelines.stages.train.near_sites import N_FEATURES, NearSites
from proteinx_pipelines.stages.train.new_positions import n_features, predicted
from proteinx_pipelines.stages.train.new_positions_learning import FEWEST_FAMILIES
from proteinx_pipelines.stages.train.prior import read_prior, write_prior
from proteinx_pipelines.stages.train.prior_learning import Assay, learn
from proteinx_pipelines.stages.train.site_network import SiteNetwork
from proteinx_pipelines.stages.train.structure_effects import ProteinSites, site_features
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
from proteinx_pipelines_tests.stages.train.test_new_positions import holding_to, line, of_assay, tokens_of

LENGTH, N_ROWS = 60, 500


def assay(seed: int) -> Assay:
    """Scores of one protein whose sites are as sensitive as those near them in space, which the chain does not tell."""
    template, random = sequence_of(LENGTH, seed), np.random.default_rng(seed)
    position, new = (grid.ravel() for grid in np.meshgrid(np.arange(LENGTH), np.arange(20), indexing="ij"))
    kept = np.flatnonzero(new != tokens_of(template)[position])
    kept = np.sort(random.choice(kept, N_ROWS, replace=False))
    place = random.uniform(-9.0, 9.0, size=(LENGTH, 3))
    far = np.linalg.norm(place[:, None] - place[None], axis=-1)
    sensitive = np.exp(-far / 8.0) @ random.normal(size=LENGTH)
    sensitive -= sensitive.mean()
    score = -(sensitive / sensitive.std())[position[kept]] + 0.3 * random.normal(size=N_ROWS)
    columns = site_features(
        random.normal(size=(LENGTH, len(COLUMNS))), random.normal(size=(LENGTH, len(PACKING)))
    )
    return Assay(f"p{seed}", template, position[kept], new[kept], score, ProteinSites(columns, place))


ASSAYS = [assay(seed) for seed in range(10, 10 + FEWEST_FAMILIES)]
EVERY = np.repeat(np.arange(LENGTH), 20), np.tile(np.arange(20), LENGTH)


@pytest.fixture(scope="module")
def learned():
    return learn(ASSAYS)


def rank_of_stranger(prior, seed: int, *, by_structure: bool) -> float:
    """Spearman of one protein's new positions."""
    stranger = assay(seed)
    test = stranger.position % 5 == 0
    networks = prior.new_positions_by_structure if by_structure else prior.new_positions
    network = SiteNetwork.of_line(networks[0], n_features(by_structure=by_structure))
    measured, nothing = of_assay(stranger, np.flatnonzero(~test)), np.zeros((LENGTH, 20))
    table = predicted(measured, nothing, network, stranger.sites if by_structure else None)
    return float(spearmanr(table[stranger.position[test], stranger.new[test]], stranger.score[test])[0])


def test_near_sites_of_a_stranger_tell_what_the_chain_does_not(learned):
    near, chain = (
        np.mean([rank_of_stranger(learned.prior, seed, by_structure=by_structure) for seed in (77, 78, 79)])
        for by_structure in (True, False)
    )
    assert near > 0.4
    assert near > chain + 0.3


def test_a_site_is_described_by_others():
    """Its own rows move only means over the whole protein, and how well near sites tell."""
    one = ASSAYS[0]
    measured = of_assay(one, np.arange(N_ROWS))
    site = 30
    near = int(np.argsort(np.linalg.norm(one.sites.coordinates - one.sites.coordinates[site], axis=1))[1])
    other = replace(measured, target=measured.target + 3.0 * (measured.position == site))

    def moved(at: int) -> float:
        before, after = (
            NearSites(rows, one.sites).features(np.full(20, at), np.arange(20)) for rows in (measured, other)
        )
        return float(np.abs(before - after)[:, :6].max())

    assert moved(site) < 0.3
    assert moved(near) > 2 * moved(site)


@pytest.mark.parametrize("rows", [1, 2, 5, 60])
def test_features_are_finite_however_little_is_measured(rows: int):
    one = ASSAYS[1]
    found = NearSites(of_assay_few(one, rows), one.sites).features(*EVERY)
    assert found.shape == (LENGTH * 20, N_FEATURES)
    assert np.isfinite(found).all()


def of_assay_few(one: Assay, rows: int) -> Measured:
    return Measured(tokens_of(one.template), one.position[:rows], one.new[:rows], one.score[:rows])


def test_sites_outside_of_the_structure_are_nothing():
    one = ASSAYS[2]
    outside = np.arange(20, 30)
    features, place = one.sites.features.copy(), one.sites.coordinates.copy()
    features[outside], place[outside] = 0.0, np.nan
    measured = of_assay(one, np.arange(N_ROWS))
    found = NearSites(measured, ProteinSites(features, place)).features(*EVERY)
    here = np.isin(EVERY[0], outside)
    assert not found[here].any()
    changed = replace(measured, target=measured.target + 5.0 * np.isin(measured.position, outside))
    sizes = slice(6, 12)
    again = NearSites(changed, ProteinSites(features, place)).features(*EVERY)
    np.testing.assert_array_equal(again[:, sizes], found[:, sizes])
    nowhere = NearSites(measured, ProteinSites(features * 0, place * np.nan)).features(*EVERY)
    assert not nowhere.any()


def test_networks_without_a_group_have_not_seen_its_scores(learned):
    assert_scores_of_a_group_are_unseen(learned.prior, ASSAYS, "new_positions_by_structure")


def test_few_structures_teach_nothing_and_a_file_may_be_without_such_networks(learned, tmp_path):
    few = [replace(each, sites=None) if number == 0 else each for number, each in enumerate(ASSAYS)]
    found = learn(few).prior
    assert found.new_positions_by_structure is None
    assert found.new_positions is not None
    write_prior(learned.prior, tmp_path / "p")
    again = read_prior(tmp_path / "p").new_positions_by_structure
    np.testing.assert_array_equal(again, learned.prior.new_positions_by_structure)


def both_kinds(by_sequence: float, by_structure: float):
    """A structure and a prior whose networks hold to neighbours along the chain, and to near sites."""
    given, known = evidence_of(structure=STRUCTURE), prior_evidence(np.zeros((SITES, 20)))
    first = n_features(by_structure=True) - N_FEATURES
    networks = {
        PRIOR_NEW_POSITIONS: line(by_sequence),
        PRIOR_NEW_POSITIONS_STRUCTURE: holding_to(slice(first, first + 2), by_structure, by_structure=True),
    }
    return replace(
        given,
        arrays={**given.arrays, **known.arrays, **networks},
        info={**given.info, "prior": known.info["prior"]},
    )


@pytest.fixture
def halves(monkeypatch):
    """Shares of a half each, whatever pays: which network is read is one question, how much it counts another."""
    monkeypatch.setattr(Informed, "share_beside", lambda *_: 0.5)


def test_auto_with_a_structure_reads_near_sites(tmp_path, halves):
    table = variants()
    _, facts, found = trained(tmp_path / "1", table, both_kinds(0.1, 1.0), folds=2)
    for fold in facts:
        assert fold["parts"] == ["gp", "boosting", "new_positions"]
        assert set(fold["evidence"]) == {"structure", "prior"}
        assert (fold["gp_share"], fold["table_share"]) == (0.5, 0.5)
    _, _, nothing = trained(tmp_path / "2", table, both_kinds(0.1, 0.0), folds=2)
    assert np.abs(found - nothing).max() > 0.01
    # The network by sequence has no part in it.
    _, _, same = trained(tmp_path / "3", table, both_kinds(0.5, 1.0), folds=2)
    np.testing.assert_array_equal(same, found)
    # A table that says nothing leaves the means of the training rows, and half of what was there without it.
    _, _, without = trained(tmp_path / "4", table, both_kinds(np.nan, np.nan), folds=2)
    site = np.array([int(name[1:-1]) for name in table.column("mutant")]) % 5
    target = table.column("target")
    level = np.concatenate([np.full((site == k).sum(), target[site != k].mean()) for k in range(2)])
    np.testing.assert_allclose(nothing, without / 2 + level / 2, atol=1e-6)


def test_a_table_that_does_not_help_has_no_share(tmp_path):
    """The structure tells all of these scores: any share of the mean of the training rows would cost."""
    _, facts, found = trained(tmp_path / "1", variants(), both_kinds(0.0, 0.0))
    _, _, without = trained(tmp_path / "2", variants(), both_kinds(np.nan, np.nan))
    assert facts[0]["table_share"] < 0.02
    np.testing.assert_allclose(found, without, atol=0.05)


def test_without_a_network_that_reads_the_structure_the_one_by_sequence_is_used(tmp_path, halves):
    given = both_kinds(0.1, 1.0)
    unknown = {PRIOR_NEW_POSITIONS_STRUCTURE: given.arrays[PRIOR_NEW_POSITIONS_STRUCTURE] * np.nan}
    old = replace(given, arrays={**given.arrays, **unknown})
    _, facts, found = trained(tmp_path / "1", variants(), old)
    assert facts[0]["parts"] == ["gp", "boosting", "new_positions"]
    neither = replace(old, arrays={**old.arrays, PRIOR_NEW_POSITIONS: line(0.1) * np.nan})
    _, facts, other = trained(tmp_path / "2", variants(), neither)
    assert facts[0]["parts"] == ["gp", "boosting"]
    assert "table_share" not in facts[0]
    assert np.abs(found - other).max() > 0.01


def test_with_a_structure_that_does_not_help_auto_is_as_without_one(tmp_path):
    """It was the process with the prior alone: the structure that is of no use had cost the network."""
    table = variants()
    at = table.rows.column_names.index("target")
    noise = np.random.default_rng(5).normal(size=len(table.column("target")))
    other = replace(table, rows=table.rows.set_column(at, "target", [noise]))
    _, facts, found = trained(tmp_path / "1", other, both_kinds(0.1, 1.0))
    assert facts[0]["evidence"] == ["prior"]
    assert facts[0]["parts"] == ["gp", "gp_with_prior", "new_positions"]
    assert np.isfinite(found).all()
