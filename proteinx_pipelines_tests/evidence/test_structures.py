"""Structures: read, matched to a template, described, and left out with a message where they do not fit."""

import importlib

import numpy as np
import pytest
from scipy.stats import spearmanr

from proteinx_pipelines.errors import BadEvidence, MissingPackage
from proteinx_pipelines.evidence.gather import GivenEvidence, gather
from proteinx_pipelines.evidence.structure_sites import COLUMNS, PACKING
from proteinx_pipelines_tests.evidence.proteins import given, places_of, sequence_of, structure_text

TEMPLATE = sequence_of(60)
OTHER = sequence_of(60, seed=5)


def found(text, name="toy.pdb", *, chain=None, template=TEMPLATE):
    files = {("structure", None): given("structure", text, name, chain=chain)}
    return gather(GivenEvidence(files), {"toy": template})


@pytest.mark.parametrize("name", ["toy.pdb", "toy.pdb.gz", "toy.cif", "toy.cif.gz", "unnamed"])
def test_every_form_gives_the_same_sites(name):
    form = "cif" if ".cif" in name else "pdb"
    evidence = found(structure_text({"A": TEMPLATE}, form=form), name)
    facts = evidence.info["structure"]["toy"]
    assert (facts["chain"], facts["coverage"], facts["identity"], facts["offset"]) == ("A", 1.0, 1.0, 0)
    assert facts["used"]
    assert evidence.info["warnings"] == []
    np.testing.assert_allclose(evidence.arrays["coordinates"][0], places_of(60), atol=1e-3)


def test_burial_counts_the_neighbours_within_the_radius():
    evidence = found(structure_text({"A": TEMPLATE}))
    beta = places_of(60) + np.array([0, -0.8, 1.2])
    apart = np.linalg.norm(beta[:, None] - beta[None], axis=-1)
    for name, radius in (("neighbours_8", 8), ("neighbours_10", 10), ("neighbours_14", 14)):
        mine = evidence.arrays["structure"][0, :, COLUMNS.index(name)]
        close = np.abs(apart - radius).min(axis=1) > 0.01  # the file has three decimals
        np.testing.assert_array_equal(mine[close], ((apart < radius).sum(axis=1) - 1)[close])


def test_the_chain_that_fits_is_found_and_its_numbering_does_not_matter():
    text = structure_text({"A": OTHER, "B": TEMPLATE}, first=101)
    facts = found(text).info["structure"]["toy"]
    assert (facts["chain"], facts["chains"], facts["identity"]) == ("B", ["A", "B"], 1.0)


def test_a_part_of_the_template_is_covered_and_the_rest_is_unknown():
    evidence = found(structure_text({"A": TEMPLATE[20:55]}))
    facts = evidence.info["structure"]["toy"]
    assert (facts["sites"], facts["offset"]) == (35, -20)
    known = np.isfinite(evidence.arrays["coordinates"][0]).all(axis=1)
    np.testing.assert_array_equal(known, (np.arange(60) >= 20) & (np.arange(60) < 55))


def test_a_wrong_chain_is_not_used_and_the_message_names_the_one_that_fits():
    evidence = found(structure_text({"A": OTHER, "B": TEMPLATE}), chain="A")
    assert not evidence.info["structure"]["toy"]["used"]
    assert evidence.arrays == {}
    (text,) = evidence.info["warnings"]
    assert "chain A" in text
    assert "Chain B fits better" in text


def test_a_chain_that_is_not_there_is_an_error_that_lists_those_that_are():
    with pytest.raises(BadEvidence, match=r"no protein chain 'Z'; it has A, B"):
        found(structure_text({"A": OTHER, "B": TEMPLATE}), chain="Z")


def test_residues_of_low_confidence_count_as_unknown():
    confidence = np.where(np.arange(60) < 25, 30.0, 90.0)
    evidence = found(structure_text({"A": TEMPLATE}, confidence=confidence))
    facts = evidence.info["structure"]["toy"]
    assert (facts["kind"], facts["sites"]) == ("predicted", 35)
    assert np.isnan(evidence.arrays["coordinates"][0, :25]).all()


def test_a_relative_is_used_with_a_message():
    swapped = "".join("A" if number % 4 == 0 else letter for number, letter in enumerate(TEMPLATE))
    evidence = found(structure_text({"A": swapped}))
    assert evidence.info["structure"]["toy"]["used"]
    assert "relative" in evidence.info["warnings"][0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("nothing of a structure\n", "structure"),
        ("data_toy\n_atom_site.x 1\n", "cannot be read as a structure"),
        (structure_text({"A": TEMPLATE}).replace(" CA ", " XX "), "no residue with a C-alpha"),
    ],
)
def test_what_is_no_structure_is_refused_by_name(text, words):
    with pytest.raises(BadEvidence, match=words) as refused:
        found(text, "mine.cif" if text.startswith("data_") else "mine.pdb")
    assert "mine." in str(refused.value)


def test_without_the_package_the_extra_is_named(monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(MissingPackage, match=r"proteinx-infra\[structure\]"):
        found(structure_text({"A": TEMPLATE}) if False else "ATOM\n")


def test_packing_counts_side_chains_by_the_square_of_their_distance():
    """Side chains of this file are a C-beta each; glycine has a C-alpha."""
    found_packing = found(structure_text({"A": TEMPLATE})).arrays["packing"][0]
    centre = places_of(60) + np.array([0, -0.8, 1.2])
    squared = ((centre[:, None] - centre[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(squared, np.inf)
    mine = found_packing[:, PACKING.index("contact_number")]
    np.testing.assert_allclose(mine, (1 / np.maximum(squared, 1.0)).sum(axis=1), rtol=2e-2)
    exposed = found_packing[:, PACKING.index("side_exposed")]
    assert (exposed >= 0).all()
    assert spearmanr(exposed, mine)[0] < -0.3  # packed side chains are hidden
