"""A prior from other assays: learned, without a protein's relatives, used by gp, boosting and auto."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import spearmanr

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.errors import CorruptArtifact, InputError, MissingFile
from proteinx_pipelines.evidence.relatives import is_related
from proteinx_pipelines.evidence.values import PRIOR
from proteinx_pipelines.records import AMINO_ACIDS, Embedding
from proteinx_pipelines.stages.train.amino_acids import properties
from proteinx_pipelines.stages.train.prior import (
    Prior,
    predict,
    prior_of,
    read_prior,
    write_prior,
)
from proteinx_pipelines.stages.train.prior_evidence import with_prior
from proteinx_pipelines.stages.train.prior_learning import Assay, assay_of, learn
from proteinx_pipelines_tests.evidence.proteins import sequence_of

HYDROPATHY = properties()[:, 0]


def assay(name: str, template: str, *, sign: float = 1.0, noise: float = 0.3) -> Assay:
    """Every single substitution, scored by the change of hydropathy."""
    tokens = np.array([AMINO_ACIDS.index(letter) for letter in template])
    position, new = (
        grid.ravel() for grid in np.meshgrid(np.arange(len(template)), np.arange(20), indexing="ij")
    )
    kept = new != tokens[position]
    position, new = position[kept], new[kept]
    random = np.random.default_rng(len(name))
    score = sign * np.abs(HYDROPATHY[new] - HYDROPATHY[tokens[position]]) * -1.0
    return Assay(name, template, position, new, score + noise * random.normal(size=len(score)))


@pytest.fixture(scope="module")
def learned():
    """Five proteins that agree, and a family of two whose scores say the opposite."""
    own = [assay(f"own{k}", sequence_of(36, 10 + k)) for k in range(5)]
    odd = sequence_of(36, 99)
    opposite = [assay("odd", odd, sign=-1.0), assay("odd2", odd[:30] + sequence_of(6, 3), sign=-1.0)]
    return learn([*own, *opposite], facts={"why": "a test"})


def rank(effects: np.ndarray, found: Assay) -> float:
    return float(spearmanr(effects[found.position, found.new], found.score)[0])


def test_a_protein_that_nobody_measured_is_predicted(learned):
    stranger = assay("stranger", sequence_of(36, 50))
    effects = learned.prior.effects(stranger.template)
    assert effects.left_out == ()
    assert rank(effects.values, stranger) > 0.5


def test_relatives_are_left_out(learned):
    """A prior that had seen the protein itself would know its answers: the weights used have never seen the family."""
    groups = {each.name: each.group for each in learned.prior.members}
    assert groups["odd"] == groups["odd2"]  # one family, one group
    template = learned.prior.members[-1].sequence
    effects = learned.prior.effects(template)
    assert effects.left_out == ("odd", "odd2")
    row = 1 + groups["odd"]
    np.testing.assert_allclose(effects.values, predict(learned.prior.weights[row], template)[0], rtol=1e-6)
    # The guard off: weights of all members know the family's odd scores better.
    odd = assay("odd", template, sign=-1.0)
    assert rank(predict(learned.prior.weights[0], template)[0], odd) > rank(effects.values, odd)


def test_relatives_in_several_groups_leave_no_prior_and_that_is_said(learned):
    both = "".join(each.sequence for each in learned.prior.members if each.name in ("own0", "own1"))
    assert is_related(both, learned.prior.members[0].sequence)
    effects = learned.prior.effects(both)
    assert (set(effects.left_out), effects.is_used) == ({"own0", "own1"}, False)
    assert np.isnan(effects.values).all()
    tokens = np.array([[AMINO_ACIDS.index(letter) for letter in both]], np.uint8)
    given = Embedding(None, {"name": "onehot"}, tokens=tokens)
    found = with_prior(given, learned.prior, {"x": both})
    assert found.evidence.info[PRIOR]["related_source"]["x"]["is_used"] is False


def test_one_family_is_too_few():
    template = sequence_of(36, 1)
    with pytest.raises(InputError, match="two families"):
        learn([assay("a", template), assay("b", template)])


def test_rows_that_do_not_fit_are_left_out():
    found = assay_of(
        "x",
        "MKT",
        ["M1A", "A2C", "K2C", "K2C:T3A", "WT", "T9A", "K2*", "T3S"],
        np.array([1.0] * 7 + [np.nan]),
    )
    assert found.position.tolist() == [0, 1]


def test_the_file_is_read_as_it_was_written_and_a_damaged_one_refused(learned, tmp_path):
    write_prior(learned.prior, tmp_path / "p")
    write_prior(learned.prior, tmp_path / "q")
    assert (tmp_path / "p").read_bytes() == (tmp_path / "q").read_bytes()
    found = read_prior(tmp_path / "p")
    np.testing.assert_array_equal(found.weights.astype(np.float32), learned.prior.weights)
    assert found.members == learned.prior.members
    assert len(found.sha256) == 64
    (tmp_path / "p").write_bytes((tmp_path / "q").read_bytes()[:-9])
    with pytest.raises(CorruptArtifact, match="prior learn"):
        read_prior(tmp_path / "p")
    (tmp_path / "p").write_text("not one")
    with pytest.raises(CorruptArtifact):
        read_prior(tmp_path / "p")
    with pytest.raises(MissingFile, match=r"`model\.prior`"):
        read_prior(tmp_path / "none")


def test_words_of_the_flag():
    assert prior_of(None, None) is prior_of("none", None) is None
    assert isinstance(prior_of("default", None), Prior)


def test_the_packages_prior_knows_what_it_was_learned_from():
    found = prior_of("default", None)
    assert found is not None
    assert found.facts["licence"] == "MIT"
    gb1 = "MQYKLILNGKTLKGETTTEAVDAATAEKVFKQYANDNGVDGEWTYDDATKTFTVTE"
    assert any("SPG1" in each.name for each in found.related(gb1))
    assert found.related(sequence_of(120, 4)) == ()


def test_the_command_learns_from_the_catalog_and_shows_what_is_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROTEINX_WORKDIR", raising=False)

    def proteinx(*words: str, expect: int = 0):
        result = CliRunner().invoke(main, list(words))
        assert result.exit_code == expect, result.output
        return result

    for seed in (1, 2, 3):
        one = assay(f"p{seed}", sequence_of(30, seed), sign=-1.0 if seed == 3 else 1.0)
        rows = "".join(
            f"{one.template[at]}{at + 1}{AMINO_ACIDS[new]},{score}\n"
            for at, new, score in zip(one.position, one.new, one.score, strict=True)
        )
        (tmp_path / f"p{seed}.csv").write_text(f"mutant,DMS_score\n{rows}")
        (tmp_path / f"p{seed}.json").write_text(json.dumps({"template": one.template}))
        proteinx("db", "import", f"p{seed}.csv")
    said = json.loads(
        proteinx("prior", "learn", "--out", "our.prior", "--lower-is-better", "p3", "--json").stdout
    )
    assert set(said["spearman"]) == {"p1", "p2", "p3"}
    assert min(said["spearman"].values()) > 0.3
    shown = json.loads(
        proteinx("prior", "show", "our.prior", "--template", sequence_of(30, 2), "--json").stdout
    )
    assert (shown["related_source"], shown["new_positions"]) == (["p2"], False)
    assert json.loads(proteinx("prior", "show", "--json").stdout)["new_positions"] is True
    proteinx("prior", "learn", "--out", "x", "--exclude", "nothing", expect=2)
    said = proteinx("prior", "learn", "--out", "x", "--source", "p4", expect=1).stderr  # it was a traceback
    assert "--source p4: not in" in said
    assert "which has p1, p2, p3." in said
    assert not (tmp_path / "x").exists()
