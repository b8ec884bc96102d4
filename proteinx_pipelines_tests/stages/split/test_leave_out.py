"""Leave-p-out: which sets are left out, how many, and that the split is what it says."""

from dataclasses import replace
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measurements import TEMPLATE, variants_of

from proteinx_pipelines.errors import BadVariants, EmptySplit, FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.records import Fold
from proteinx_pipelines.stages.split.assign import assign_split
from proteinx_pipelines.stages.split.check import check_split
from proteinx_pipelines.stages.split.leave_out import n_sets

SINGLES = [f"{old}{at}{new}" for at, old in enumerate(TEMPLATE, 1) for new in "MNPQ"]


def leaving_out(variants, p, **more):
    return assign_split(variants, SplitFlags(method="leave_p_out", p=p, **more))


def left_out_by(split, variants):
    """The mutants that each fold tests."""
    mutants = variants.column("mutant")
    return [frozenset(mutants[fold.test]) for fold in split.folds]


def test_every_pair_is_left_out_once():
    variants = variants_of("WT", *SINGLES[:7])
    split = leaving_out(variants, 2)
    assert sorted(map(sorted, left_out_by(split, variants))) == sorted(
        map(sorted, combinations(SINGLES[:7], 2))
    )
    assert all(len(fold.train) == 8 - 2 for fold in split.folds)
    assert split.info["sets"] == split.info["sets_possible"] == 21
    assert split.info["times_tested"] == 6
    assert not split.info["sets_drawn"]


def test_two_names_of_a_sequence_are_left_out_together():
    variants = variants_of("A1C", "A1C:K9K", "A1D", "C2D", "C2E", synonymous="keep")
    split = leaving_out(variants, 1)
    assert frozenset({"A1C", "A1C:K9K"}) in left_out_by(split, variants)
    assert (len(split.folds), split.info["units"], split.info["leakage"]) == (4, 4, [])


def test_a_variant_is_tested_if_all_its_positions_are_left_out():
    variants = variants_of("WT", "A1C", "C2D", "D3E", "A1C:C2D", "A1C:D3E")
    split = leaving_out(variants, 2, held_out="positions")
    assert set(left_out_by(split, variants)) == {
        frozenset({"A1C", "C2D", "A1C:C2D"}), frozenset({"A1C", "D3E", "A1C:D3E"}), frozenset({"C2D", "D3E"}),
    }  # fmt: skip
    mutants = variants.column("mutant")
    trained = {
        tuple(sorted(mutants[fold.test])): set(mutants[fold.train].tolist()) - {"WT"} for fold in split.folds
    }
    assert trained["A1C", "A1C:C2D", "C2D"] == {"D3E"}  # A1C:D3E would show position 1
    assert split.info["times_tested"] == 1  # a double mutant is tested by one pair of positions alone


def test_sets_that_hold_no_variant_are_left_out_and_counted():
    variants = variants_of("A1C", "C2D", "D3E:E4F")
    split = leaving_out(variants, 1, held_out="positions")
    assert set(left_out_by(split, variants)) == {frozenset({"A1C"}), frozenset({"C2D"})}
    assert (split.info["sets_possible"], split.info["sets_without_variants"]) == (4, 2)


def test_too_many_sets_are_drawn_and_that_is_said():
    variants = variants_of("WT", *SINGLES)
    split = leaving_out(variants, 3)
    assert (split.info["sets"], split.info["sets_possible"], split.info["sets_drawn"]) == (200, 9880, True)
    assert len(set(left_out_by(split, variants))) == 200
    assert len(leaving_out(variants, 3, inner_folds=10).folds) == 100 * 10
    assert "200 drawn sets (seed 0) of 3 variants left out: " in split.reasons.to_pylist()[1]
    assert split.reasons.to_pylist()[0].startswith("the wild type, which is never left out")


@settings(max_examples=40)
@given(st.integers(3, 40), st.data())
def test_drawn_sets_are_different_and_leave_each_variant_out_about_as_often(n, data):
    p, seed = data.draw(st.integers(1, n - 1)), data.draw(st.integers(0, 2**32 - 1))
    wanted = data.draw(st.integers(1, 30))
    variants = variants_of(*SINGLES[:n])
    split = leaving_out(variants, p, sets=wanted, seed=seed)
    found = left_out_by(split, variants)
    assert len(set(found)) == len(found) == min(wanted, comb(n, p))
    assert {len(each) for each in found} == {p}
    assert check_split(split, variants) == []
    if comb(n, p) > 20 * wanted:  # hardly a set comes twice and is thrown away
        times = np.bincount(np.concatenate([fold.test for fold in split.folds]), minlength=n)
        assert times.max() - times.min() <= 3
        if len(found) * p >= 3 * n:
            assert split.info["times_tested"] >= 1


@pytest.mark.parametrize(("n", "p"), [(5, 2), (60, 30), (10, 9), (200, 1)])
def test_the_number_of_sets_is_exact_or_not_given(n, p):
    assert n_sets(n, p) == (comb(n, p) if comb(n, p) <= 2**53 else None)
    assert n_sets(10**6, 5 * 10**5) is None


@pytest.mark.parametrize(
    ("mutants", "flags", "error", "expected"),
    [
        (SINGLES[:4], {"p": 4}, EmptySplit, "have 4. Set `split.p` to at most 3"),
        (SINGLES[:4], {"p": 1, "held_out": "positions"}, EmptySplit, "1 position at a time, and the 4 variants have 1"),
        (["A1C:C2D", "A1D:D3E"], {"p": 1, "held_out": "positions"}, EmptySplit, "No set of 1 position that was tried"),
    ],
)  # fmt: skip
def test_sets_that_cannot_be_left_out_are_refused(mutants, flags, error, expected):
    with pytest.raises(error, match=expected):
        leaving_out(variants_of(*mutants), **flags)


def test_insertions_have_no_position_to_leave_out():
    variants = variants_of("A1C", "C2D", "D3_E4insGG", "D3E")
    with pytest.raises(BadVariants, match="Set it to variants"):
        leaving_out(variants, 1, held_out="positions")
    assert len(leaving_out(variants, 1).folds) == 4


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"split.p": 2}, "`split.p`: belongs to `split.method` 'leave_p_out', not 'random'"),
        ({"split.method": "modulo", "split.sets": 2}, "`split.sets`: belongs to"),
        ({"split.held_out": "positions"}, "`split.held_out`: belongs to"),
        ({"split.method": "leave_p_out", "split.folds": 5}, "`split.folds`: does not go with"),
        ({"split.method": "leave_p_out", "split.repeats": 2}, "`split.sets` asks for more sets"),
        ({"split.method": "leave_p_out", "split.sets": 400, "split.inner_folds": 3}, "are 1200 models"),
        ({"split.method": "leave_p_out", "split.p": 0}, "`split.p`"),
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together_are_refused(flags, expected):
    with pytest.raises(FlagError, match=expected):
        parse_flags({"data.source": "toy", **flags})


def test_a_tree_with_its_defaults_written_out_is_read_again():
    flags = parse_flags({"data.source": "toy", "split.method": "modulo"})
    assert parse_flags(flags.nested()) == flags


@pytest.mark.parametrize("held_out", ["variants", "positions"])
def test_a_split_that_is_not_what_it_says_is_found(held_out):
    variants = variants_of("WT", *SINGLES[:12])
    split = leaving_out(variants, 1, held_out=held_out)
    assert check_split(split, variants) == []
    one, *others = split.folds
    rows = np.arange(1, 9) if held_out == "positions" else np.array([1, 2])
    more = Fold(np.setdiff1d(np.arange(13), rows), one.val, rows)
    problems = check_split(replace(split, folds=(more, *others)), variants)
    assert problems == [f"2 {held_out} are tested in fold 0, and `split.p` is 1."]
    if held_out == "variants":
        twice = check_split(replace(split, folds=(others[0], *others)), variants)
        assert twice == ["The 12 sets left out are 11 different ones."]
    else:
        seen = Fold(np.setdiff1d(np.arange(13), one.test[:1]), one.val, one.test[:1])
        (found,) = check_split(replace(split, folds=(seen, *others)), variants)
        assert found.startswith("same_position: 1 positions are tested and trained on")
