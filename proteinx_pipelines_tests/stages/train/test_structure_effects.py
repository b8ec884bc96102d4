"""Effects by structure: learned across proteins, without relatives, in the place of those from the sequence alone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import spearmanr

from proteinx_pipelines.bench.evidence_files import sites_of_assays
from proteinx_pipelines.cli.main import main
from proteinx_pipelines.cli.prior import _of_catalog
from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.evidence.structure_sites import COLUMNS, PACKING
from proteinx_pipelines.evidence.values import PRIOR, PRIOR_STRUCTURE
from proteinx_pipelines.records import AMINO_ACIDS, Embedding, Evidence
from proteinx_pipelines.stages.evaluate.baselines import prior_score
from proteinx_pipelines.stages.train.evidence_sites import sites_of
from proteinx_pipelines.stages.train.new_positions_learning import FEWEST_FAMILIES
from proteinx_pipelines.stages.train.prior import read_prior, write_prior
from proteinx_pipelines.stages.train.prior_evidence import with_prior
from proteinx_pipelines.stages.train.prior_learning import Assay, learn
from proteinx_pipelines.stages.train.structure_effects import ProteinSites, predicted, site_features
from proteinx_pipelines_tests.evidence.proteins import sequence_of
from proteinx_pipelines_tests.stages.train.left_out_groups import assert_scores_of_a_group_are_unseen
from proteinx_pipelines_tests.stages.train.test_evidence import (
    TEMPLATE,
    evidence_of,
    fasta,
    relatives,
    structure_text,
    variants,
)
from proteinx_pipelines_tests.stages.train.test_new_positions import tokens_of

LENGTH, N_ROWS = 40, 400
NUMBER = PACKING.index("contact_number")


def columns_of(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Structure and packing of a protein at random, [LENGTH, columns] each."""
    random = np.random.default_rng([seed, 1])
    return random.normal(size=(LENGTH, len(COLUMNS))), random.normal(size=(LENGTH, len(PACKING)))


def assay(seed: int) -> Assay:
    """Scores that fall with the contact number of the site, whatever the residues are; with the protein's sites."""
    template, random = sequence_of(LENGTH, seed), np.random.default_rng(seed)
    position, new = (grid.ravel() for grid in np.meshgrid(np.arange(LENGTH), np.arange(20), indexing="ij"))
    kept = np.flatnonzero(new != tokens_of(template)[position])
    kept = np.sort(random.choice(kept, N_ROWS, replace=False))
    structure, packing = columns_of(seed)
    score = -packing[position[kept], NUMBER] + 0.3 * random.normal(size=N_ROWS)
    place = np.random.default_rng([seed, 2]).normal(size=(LENGTH, 3)) * 10.0
    sites = ProteinSites(site_features(structure, packing), place)
    return Assay(f"p{seed}", template, position[kept], new[kept], score, sites)


ASSAYS = [assay(seed) for seed in range(10, 10 + FEWEST_FAMILIES)]


@pytest.fixture(scope="module")
def learned():
    return learn(ASSAYS)


def test_sites_are_in_units_of_their_protein_and_unknown_ones_are_nothing():
    structure, packing = columns_of(1)
    structure[5:15] = np.nan
    packing[5:15] = np.nan
    found = site_features(structure, packing)
    known = np.setdiff1d(np.arange(LENGTH), np.arange(5, 15))
    assert not found[5:15].any()
    assert found[known, -1].all()
    np.testing.assert_allclose(found[known, 0].mean(), 0.0, atol=0.1)  # cut at three deviations
    # Another unit of the file's columns, but for those that are told as they are, changes nothing.
    other, exposed = packing * 7.0 + 3.0, structure.copy()
    np.testing.assert_allclose(site_features(exposed, other), found, atol=1e-5)
    exposed[:, COLUMNS.index("confidence")] *= 100.0
    np.testing.assert_allclose(site_features(exposed, other), found, atol=1e-5)
    exposed[:, COLUMNS.index("exposed")] *= 2.0
    assert np.abs(site_features(exposed, other) - found).max() > 0.1
    assert not site_features(structure * np.nan, packing * np.nan).any()


def test_a_stranger_is_predicted_by_its_structure(learned):
    stranger = assay(77)
    effects = learned.prior.effects(stranger.template)
    found = predicted(effects.structure_effects, effects.values, stranger.template, stranger.sites.features)
    here = stranger.position, stranger.new
    assert spearmanr(found[here], stranger.score)[0] > 0.8
    assert abs(spearmanr(effects.values[here], stranger.score)[0]) < 0.3  # the sequence says nothing of it
    real = np.arange(20) != tokens_of(stranger.template)[:, None]
    np.testing.assert_allclose((found[real].mean(), found[real].std()), (0.0, 1.0), atol=1e-3)
    with_x = "X" + stranger.template[1:]
    values = learned.prior.effects(with_x).values
    found = predicted(effects.structure_effects, values, with_x, stranger.sites.features)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()


def test_networks_without_a_group_have_not_seen_its_scores(learned):
    assert_scores_of_a_group_are_unseen(learned.prior, ASSAYS, "structure_effects")
    for member in learned.prior.members:
        effects = learned.prior.effects(member.sequence)
        np.testing.assert_array_equal(
            effects.structure_effects, learned.prior.structure_effects[1 + member.group]
        )


def test_few_structures_teach_nothing():
    few = [replace(each, sites=None) if number == 0 else each for number, each in enumerate(ASSAYS)]
    found = learn(few).prior
    assert found.structure_effects is None
    assert found.known_positions is not None


def test_the_networks_are_read_back_to_the_bit_and_a_file_may_be_without_them(learned, tmp_path):
    write_prior(learned.prior, tmp_path / "p")
    found = read_prior(tmp_path / "p").structure_effects
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, learned.prior.structure_effects)
    write_prior(replace(learned.prior, structure_effects=None), tmp_path / "q")
    assert read_prior(tmp_path / "q").structure_effects is None
    write_prior(
        replace(learned.prior, structure_effects=learned.prior.structure_effects[:, 1:]), tmp_path / "r"
    )
    with pytest.raises(CorruptArtifact, match="structure_effects"):
        read_prior(tmp_path / "r")


def embedding_with(prior, evidence: Evidence | None) -> Embedding:
    tokens = np.array(
        [[AMINO_ACIDS.index(letter) for letter in text] for text in variants().column("sequence")], np.uint8
    )
    given = Embedding(None, {"name": "onehot"}, tokens=tokens, evidence=evidence)
    return with_prior(given, prior, {"toy": TEMPLATE})


def test_the_effects_by_structure_are_used_with_the_structure_and_not_without_it(learned):
    """A structure that does not help is left out, and with it what the prior says by it."""
    table = variants()
    found = embedding_with(learned.prior, evidence_of(structure=structure_text({"A": TEMPLATE})))
    assert found.evidence.info[PRIOR]["by_structure"] is True
    arrays = found.evidence.arrays
    templates = np.array([[AMINO_ACIDS.index(letter) for letter in TEMPLATE]], np.uint8)
    for kinds, name in ((("structure", "prior"), PRIOR_STRUCTURE), (("prior",), PRIOR)):
        sites = sites_of(found.evidence, templates, kinds)
        np.testing.assert_array_equal(sites.arrays["prior"], arrays[name])
    assert not np.allclose(arrays[PRIOR], arrays[PRIOR_STRUCTURE])
    rows = np.arange(len(table.column("target")))
    told = prior_score(table, rows, found.evidence)
    first = table.column("mutant")[0]
    expected = arrays[PRIOR_STRUCTURE][0, int(first[1:-1]) - 1, AMINO_ACIDS.index(first[-1])]
    assert told[0] == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("texts", [{}, {"alignment": fasta(relatives(TEMPLATE, 30))}], ids=str)
def test_without_a_structure_there_are_no_effects_by_it(learned, texts):
    found = embedding_with(learned.prior, evidence_of(**texts) if texts else None)
    assert PRIOR_STRUCTURE not in found.evidence.arrays
    assert found.evidence.info[PRIOR]["by_structure"] is False


def test_an_embedding_of_an_earlier_version_has_the_effects_of_the_sequence(learned):
    before = evidence_of(structure=structure_text({"A": TEMPLATE}))
    kept = {name: array for name, array in before.arrays.items() if name != "packing"}
    found = embedding_with(learned.prior, replace(before, arrays=kept))
    assert PRIOR_STRUCTURE not in found.evidence.arrays


def written(folder: Path, name: str, template: str) -> None:
    """A table that can be imported: one substitution at each site."""
    rows = "".join(
        f"{letter}{at}{'A' if letter != 'A' else 'C'},{at}\n" for at, letter in enumerate(template, 1)
    )
    (folder / f"{name}.csv").write_text(f"mutant,DMS_score\n{rows}")
    (folder / f"{name}.json").write_text(json.dumps({"template": template}))


def test_structures_attached_to_sources_are_learned_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROTEINX_WORKDIR", raising=False)
    (tmp_path / "one.pdb").write_text(structure_text({"A": TEMPLATE}))
    for name, template in (("one", TEMPLATE), ("two", sequence_of(30, 3))):
        written(tmp_path, name, template)
        assert CliRunner().invoke(main, ["db", "import", f"{name}.csv"]).exit_code == 0
    attach = ["db", "attach", "one", "--structure", "one.pdb"]
    assert CliRunner().invoke(main, attach).exit_code == 0
    one, two = _of_catalog(None, [])
    assert two.sites is None
    assert one.sites is not None
    assert one.sites.features.shape[0] == len(TEMPLATE)
    assert one.sites.features[:, -1].all()
    assert np.isfinite(one.sites.coordinates).all()
    refused = CliRunner().invoke(main, ["prior", "learn", "--out", "x", "--structures", "."])
    assert refused.exit_code == 2
    assert "--structures goes with --data" in refused.output
    same = sites_of_assays(tmp_path, {"one_2024": TEMPLATE, "two": two.template})
    assert list(same) == ["one_2024"]
    np.testing.assert_allclose(same["one_2024"].features, one.sites.features)
