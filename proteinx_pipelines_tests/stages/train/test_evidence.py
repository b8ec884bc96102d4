"""Structure and alignment in gp, trees and auto: a help on new positions, no loss where useless, part of the model."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from proteinx_pipelines.evidence.gather import GivenEvidence, gather
from proteinx_pipelines.evidence.values import MutationsAt
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import AMINO_ACIDS, Embedding, Evidence, Fold, Split, VariantTable
from proteinx_pipelines.stages.train.evidence_sites import EvidenceSites
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.train import train_models
from proteinx_pipelines_tests.evidence.proteins import (
    fasta,
    given,
    places_of,
    relatives,
    sequence_of,
    structure_text,
)

SITES = 40
TEMPLATE = sequence_of(SITES)
PLACES = places_of(SITES)


def effects() -> np.ndarray:
    """float64 [SITES]: how sensitive each site is, a smooth function of its place."""
    beta = PLACES + np.array([0, -0.8, 1.2])
    near = (np.linalg.norm(beta[:, None] - beta[None], axis=-1) < 8).sum(axis=1)
    return np.asarray((near - near.mean()) / near.std() + np.sin(PLACES[:, 0] / 3))


def variants(*, doubles: bool = False, sites: int | None = None, each: int = 6) -> VariantTable:
    """Six single mutants of each site (or as many doubles), scored by their sites and residues."""
    rng = np.random.default_rng(0)
    rows = []
    for site in range(SITES if sites is None else sites):
        for letter in rng.choice(list(AMINO_ACIDS.replace(TEMPLATE[site], "")), each, replace=False):
            parts = [(site, letter)]
            if doubles:
                other = int(rng.integers(0, SITES))
                if other != site:
                    letters = AMINO_ACIDS.replace(TEMPLATE[other], "")
                    parts.append((other, letters[int(rng.integers(0, 19))]))
            rows.append(sorted(parts))
    sensitivity = effects()
    targets = [-sum(sensitivity[site] for site, _ in row) + 0.3 * rng.normal() for row in rows]
    names = [":".join(f"{TEMPLATE[site]}{site + 1}{letter}" for site, letter in row) for row in rows]
    sequences = []
    for row in rows:
        letters = list(TEMPLATE)
        for site, letter in row:
            letters[site] = letter
        sequences.append("".join(letters))
    n = len(rows)
    table = pa.table(
        {
            "id": [f"toy/{number}" for number in range(n)],
            "source": ["toy"] * n,
            "mutant": names,
            "sequence": sequences,
            "target": targets,
            "DMS_score": targets,
            "mut_num": pa.array([len(row) for row in rows], pa.int32()),
            "n_merged": pa.array([1] * n, pa.int32()),
        }
    )
    return VariantTable(table, {"toy": TEMPLATE})


def evidence_of(**texts: str) -> Evidence:
    files = {(kind, None): given(kind, text) for kind, text in texts.items()}
    found = gather(GivenEvidence(files), {"toy": TEMPLATE})
    assert found is not None
    return found


def trained(folder, table, evidence, *, by_position=True, model="auto", folds=1):
    """Train on four fifths and return the rank correlation on the rest, the fits' facts, and the predictions."""
    tokens = np.array(
        [[AMINO_ACIDS.index(letter) for letter in text] for text in table.column("sequence")], np.uint8
    )
    ids = table.rows.column("id").combine_chunks()
    info = {"name": "onehot", "width": tokens.shape[1] * 20}
    embedding = Embedding(ids, info, tokens=tokens, evidence=evidence)
    site = np.array([int(name.split(":")[0][1:-1]) for name in table.column("mutant")])
    group = site % 5 if by_position else np.arange(len(site)) % 5
    none = np.zeros(0, np.int64)
    parts = [Fold(np.flatnonzero(group != k), none, np.flatnonzero(group == k)) for k in range(folds)]
    split = Split(ids, parts, pa.array(["because"] * len(site)))
    flags = ExperimentFlags.model_validate({"data": {"source": "toy"}, "model": {"name": model}})
    directory = ExperimentDir(folder, "toy")
    training = train_models(table, embedding, split, flags, directory=directory, monitor=StageMonitor())
    # New sequences come without the files: the model has what it needs.
    asked = Embedding(ids, info, tokens=tokens)
    found = [
        load_model(where).predict(asked, part.test)
        for where, part in zip(training.model_dirs, parts, strict=True)
    ]
    prediction, rows = np.concatenate(found), np.concatenate([part.test for part in parts])
    return spearmanr(prediction, table.column("target")[rows])[0], training.info["folds"], prediction


STRUCTURE = structure_text({"A": TEMPLATE})
KEPT = 0.9 - 0.5 / (1 + np.exp(2 * effects()))
ALIGNMENT = fasta(relatives(TEMPLATE, 150, kept=np.clip(KEPT, 0.1, 0.97)))


@pytest.mark.parametrize(("model", "more"), [("gp", 0.2), ("boosting", 0.1)])
def test_a_structure_tells_of_new_positions(tmp_path, model, more):
    table = variants()
    without, _, _ = trained(tmp_path / "1", table, None, model=model, folds=5)
    rank, facts, _ = trained(tmp_path / "2", table, evidence_of(structure=STRUCTURE), model=model, folds=5)
    assert rank > max(without, 0) + more
    assert [fold["evidence"] for fold in facts].count(["structure"]) >= 3
    assert {fold["left_out"] for fold in facts} == {"positions"}
    json.dumps(facts)


def test_an_alignment_tells_of_new_positions(tmp_path):
    table = variants()
    without, _, _ = trained(tmp_path / "1", table, None, model="gp", folds=5)
    rank, facts, _ = trained(tmp_path / "2", table, evidence_of(alignment=ALIGNMENT), model="gp", folds=5)
    assert rank > max(without, 0) + 0.2
    assert facts[0]["evidence"] == ["alignment"]
    assert set(facts[0]["squared_error"]) == {"alignment", "none"}
    assert facts[0]["weights"]["alignment_change"] > 0


@pytest.mark.parametrize(("model", "by_position"), [("gp", True), ("gp", False)])
@pytest.mark.parametrize("useless", ["structure", "alignment"])
def test_a_useless_file_costs_nothing(tmp_path, useless, by_position, model):
    """A structure of the right sequence in a wrong fold; an alignment whose rows know nothing of the sites.

    Once, likelihood alone decided: it used a wrong fold everywhere, and the rank correlation fell from 0.32 to 0.04.
    """
    text = (
        structure_text({"A": TEMPLATE}, seed=77)
        if useless == "structure"
        else fasta(relatives(TEMPLATE, 12, kept=0.75, seed=5))
    )
    table, given_text = variants(), evidence_of(**{useless: text})
    _, _, without = trained(tmp_path / "1", table, None, by_position=by_position, model=model, folds=5)
    _, facts, found = trained(
        tmp_path / "2", table, given_text, by_position=by_position, model=model, folds=5
    )
    site = np.array([int(name[1:-1]) for name in table.column("mutant")])
    group = site % 5 if by_position else np.arange(len(site)) % 5
    truth = np.concatenate([table.column("target")[group == fold] for fold in range(5)])
    fold_of = np.repeat(np.arange(5), [int((group == fold).sum()) for fold in range(5)])
    assert np.mean((found - truth) ** 2) < 1.03 * np.mean((without - truth) ** 2)
    for fold, told in enumerate(facts):
        if told["evidence"] == []:  # the model is the one without, number for number
            np.testing.assert_array_equal(found[fold_of == fold], without[fold_of == fold])


def test_evidence_that_does_not_fit_leaves_every_number_as_it_is(tmp_path):
    table = variants()
    _, _, plain = trained(tmp_path / "1", table, None)
    foreign = structure_text({"A": sequence_of(SITES, seed=5)})
    _, facts, same = trained(tmp_path / "2", table, evidence_of(structure=foreign))
    np.testing.assert_array_equal(plain, same)
    assert "evidence" not in facts[0]


def test_rows_of_several_mutations_use_evidence_too(tmp_path):
    table = variants(doubles=True)
    without, _, _ = trained(tmp_path / "1", table, None, model="gp", by_position=False)
    rank, facts, _ = trained(
        tmp_path / "2", table, evidence_of(structure=STRUCTURE), model="gp", by_position=False
    )
    assert rank > without - 0.02
    assert facts[0]["left_out"] == "variants"


def test_both_kinds_are_weighed_together_and_every_subset_is_judged(tmp_path):
    _, facts, _ = trained(tmp_path / "1", variants(), evidence_of(structure=STRUCTURE, alignment=ALIGNMENT))
    assert set(facts[0]["squared_error"]) == {"structure+alignment", "structure", "alignment", "none"}
    assert min(facts[0]["squared_error"], key=facts[0]["squared_error"].get) == "+".join(facts[0]["evidence"])
    assert 0 <= facts[0]["gp_share"] <= 1


def prior_evidence(values: np.ndarray) -> Evidence:
    """A prior that predicts `values` [SITES, 20]."""
    facts = {"sha256": "", "members": 3, "related_source": {"toy": {"left_out": [], "is_used": True}}}
    info = {"structure": {}, "alignment": {}, "warnings": [], "prior": facts}
    arrays = {"prior": values[None].astype(np.float32), "prior_modes": np.zeros((1, SITES, 60), np.float32)}
    arrays["prior_exchange"] = np.eye(20, dtype=np.float32).reshape(1, 1, 400)
    return Evidence(["toy"], arrays, info)


@pytest.mark.parametrize("model", ["gp", "boosting"])
def test_a_prior_tells_of_new_positions_and_the_model_keeps_it(tmp_path, model):
    table = variants()
    random = np.random.default_rng(3)
    known = -effects()[:, None] + 0.7 * random.normal(size=(SITES, 20))
    without, _, _ = trained(tmp_path / "1", table, None, model=model, folds=2)
    rank, facts, _ = trained(tmp_path / "2", table, prior_evidence(known), model=model, folds=2)
    assert rank > max(without, 0) + 0.15
    assert all(fold["evidence"] == ["prior"] for fold in facts)


@pytest.mark.parametrize("by_position", [True, False])
def test_at_new_positions_only_the_trees_of_auto_know_the_prior(tmp_path, by_position):
    """A process and trees that both lean on one prior err alike: worse there than if the trees alone know it."""
    known = prior_evidence(np.random.default_rng(3).normal(size=(SITES, 20)))
    _, facts, _ = trained(tmp_path, variants(), known, model="auto", by_position=by_position, folds=2)
    for fold in facts:
        assert fold["evidence"] == ["prior"]
        assert fold["parts"] == ["gp", "boosting"]
        assert ("weights" in fold) != by_position
        assert fold["prior"]["members"] == 3


def test_a_process_with_four_positions_to_learn_from_keeps_the_prior(tmp_path):
    """76 variants at four sites: trees with the prior beside a process without it ordered a new site the wrong way."""
    known = prior_evidence(np.random.default_rng(3).normal(size=(SITES, 20)))
    _, facts, _ = trained(tmp_path, variants(sites=5, each=19), known, model="auto")
    assert "weights" in facts[0]


def test_a_prior_that_knows_nothing_costs_little(tmp_path):
    table = variants()
    noise = np.random.default_rng(3).normal(size=(SITES, 20))
    without, _, _ = trained(tmp_path / "1", table, None, by_position=False, model="gp", folds=2)
    rank, facts, _ = trained(
        tmp_path / "2", table, prior_evidence(noise), by_position=False, model="gp", folds=2
    )
    assert rank > without - 0.04
    weights = [fold["weights"]["prior_change"] for fold in facts]
    assert max(weights) < 0.2  # where it began


def test_training_json_tells_what_was_left_out_to_choose_scales(tmp_path):
    _, facts, _ = trained(tmp_path, variants(), None, model="gp")
    assert facts[0]["left_out"] == "positions"
    assert 1 / 3 <= facts[0]["deviation_factor"] <= 3


def test_the_order_of_the_arrays_in_a_file_changes_nothing():
    """safetensors hands them out in another order each time; the one of exchanges is not by site."""
    prior = prior_evidence(np.random.default_rng(1).normal(size=(SITES, 20)))
    arrays = {**evidence_of(structure=STRUCTURE, alignment=ALIGNMENT).arrays, **prior.arrays}
    line = np.array([[AMINO_ACIDS.index(letter) for letter in TEMPLATE]], np.uint8)
    places = np.arange(SITES)
    at = MutationsAt(
        places, 0 * places, places, line[0].astype(np.int64), (line[0].astype(np.int64) + 1) % 20
    )
    orders = [
        sorted(arrays),
        sorted(arrays, reverse=True),
        ["prior_exchange", *(set(arrays) - {"prior_exchange"})],
    ]
    found = [EvidenceSites(line, {name: arrays[name] for name in order}) for order in orders]
    for other in found[1:]:
        np.testing.assert_array_equal(other.features(at), found[0].features(at))
        for (mine, _), (theirs, _) in zip(other.of_mutations(at), found[0].of_mutations(at), strict=True):
            np.testing.assert_array_equal(mine, theirs)
