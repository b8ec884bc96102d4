"""Sentences about an experiment say what its flags say."""

import pytest

from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.split import SPLIT_METHODS
from proteinx_pipelines.stages.evaluate.words import query_in_words, references, split_in_words, title_of


def words(**data):
    return query_in_words(parse_flags({"data": {"source": "toy", **data}}).data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, "All variants of toy."),
        ({"source": ["a", "b"]}, "All variants of a, b."),
        ({"mut_num": {"min": 1, "max": 3}}, "All variants of toy with 1 to 3 mutations."),
        ({"mut_num": {"min": 2}}, "All variants of toy with at least 2 mutations."),
        ({"mut_num": {"min": 2, "max": 2}}, "All variants of toy with exactly 2 mutations."),
        ({"dms_score": {"max": 0.5}}, "All variants of toy with a DMS score of at most 0.5."),
        ({"dms_score_bin": "1"}, "All variants of toy with DMS_score_bin 1."),
        (
            {"where": [{"column": "mutant", "op": "in", "value": ["A1C", "WT"]}], "limit": 5000, "seed": 7},
            "All variants of toy where mutant in A1C, WT; 5,000 of them drawn at random (seed 7).",
        ),
        (
            {
                "mut_num": {"max": 2},
                "where": [
                    {"column": "DMS_score", "op": "between", "value": [0, 1]},
                    {"column": "DMS_score_bin", "op": "is not null"},
                ],
            },
            (
                "All variants of toy with at most 2 mutations, and where DMS_score between 0 and 1, "
                "and where DMS_score_bin is not null."
            ),
        ),
    ],
)
def test_the_query_reads_as_a_sentence(data, expected):
    assert words(**data) == expected


@pytest.mark.parametrize("method", SPLIT_METHODS)
def test_every_split_method_has_words_of_its_own(method):
    given = {"path": "folds.csv", "column": "fold"} if method == "file" else {}
    flags = parse_flags({"data.source": "toy", "split": {"method": method, **given}})
    single, folded = split_in_words(flags, 1), split_in_words(flags, 5)
    assert single.startswith("a single split ")
    assert folded.startswith("5-fold cross-validation ")
    assert "by the method" not in single


def test_the_title_stays_short_with_many_sources():
    flags = parse_flags({"data.source": ["a", "b", "c", "d", "e"]})
    assert title_of(flags) == "a, b, c and 2 more: ridge on onehot"


def test_what_was_used_is_cited():
    plain = " ".join(references(parse_flags({"data.source": "toy", "evaluate.bootstrap": 0})))
    assert "Hoerl" in plain
    assert "Lin et al." not in plain
    assert "Efron" not in plain
    esm = {"data.source": "toy", "embedding.name": "esm2_t6_8M_UR50D", "model.name": "mlp"}
    used = " ".join(references(parse_flags(esm)))
    assert "Lin et al." in used
    assert "Loshchilov" in used
    assert "Efron" in used
