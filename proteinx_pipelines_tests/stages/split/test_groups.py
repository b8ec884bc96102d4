"""Methods that keep groups together (sources, clusters), and those that draw evenly or again."""

import numpy as np
import pytest
from measurements import TEMPLATE, variants_of

from proteinx_pipelines.errors import EmptySplit, FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.stages.split.assign import assign_split
from proteinx_pipelines.stages.split.by_cluster import clusters

SINGLES = [f"{old}{at}{new}" for at, old in enumerate(TEMPLATE, 1) for new in "MNPQRS"]
TEMPLATES = {"a": "ACD", "b": "FGH", "c": "KLM"}
SOURCES = variants_of(*[(name, f"{text[0]}1{new}", 1.0) for name, text in TEMPLATES.items() for new in "PQRS"],
                      templates=TEMPLATES)  # fmt: skip


def sources_in(split, part, fold=0):
    return {text.partition("/")[0] for text in split.ids.take(getattr(split.folds[fold], part)).to_pylist()}


def test_sources_are_tested_by_name_once_each_or_in_folds():
    named = assign_split(SOURCES, SplitFlags(method="by_source", test_sources=("b",)))
    assert (sources_in(named, "train"), sources_in(named, "test")) == ({"a", "c"}, {"b"})
    assert named.reasons[0].as_py() == "of source a: train."
    each = assign_split(SOURCES, SplitFlags(method="by_source"))
    assert [sources_in(each, "test", k) for k in range(3)] == [{"a"}, {"b"}, {"c"}]
    two = assign_split(SOURCES, SplitFlags(method="by_source", folds=2))
    assert sorted(len(sources_in(two, "test", k)) for k in range(2)) == [1, 2]


def test_sources_that_are_not_there_are_named():
    with pytest.raises(FlagError, match=r"no variant is of source 'B'; there are a, b, c\."):
        assign_split(SOURCES, SplitFlags(method="by_source", test_sources=("B",)))
    with pytest.raises(EmptySplit, match="at least two sources, and all variants are of 'toy'"):
        assign_split(variants_of("A1C", "A1D"), SplitFlags(method="by_source"))
    with pytest.raises(EmptySplit, match="are 3 sources, and 4 folds are wanted"):
        assign_split(SOURCES, SplitFlags(method="by_source", folds=4))


def test_clusters_are_the_connected_components_of_near_sequences():
    random = np.random.default_rng(1)
    mutants = {":".join(f"{TEMPLATE[p]}{p + 1}{random.choice(list('MN'))}" for p in sorted(places))
               for places in (random.choice(10, 4, replace=False).tolist() for _ in range(60))}  # fmt: skip
    variants = variants_of(*sorted(mutants))
    letters = np.array([list(text) for text in variants.column("sequence")])
    distance = (letters[:, None] != letters[None]).sum(axis=2)
    for most in (1, 2, 3):
        found = clusters(variants, 1 - most / 10)
        linked = distance <= most
        for _ in range(len(letters)):  # the closure, the slow way
            linked = (linked.astype(int) @ linked.astype(int)) > 0
        assert ((found[:, None] == found[None]) == linked).all()


def test_no_two_near_sequences_are_in_two_parts():
    variants = variants_of(*SINGLES)
    split = assign_split(variants, SplitFlags(method="clusters", identity=0.9, folds=5))
    assert split.info["clusters"] == len(TEMPLATE)  # mutants of one position differ in one residue of ten
    for fold in split.folds:
        positions = [
            {variants.column("mutant")[row][1:-1] for row in rows} for rows in (fold.train, fold.test)
        ]
        assert positions[0].isdisjoint(positions[1])
    with pytest.raises(EmptySplit, match=r"hang together in 1 clusters \(the largest has 60\).*0.9000 links"):
        assign_split(variants, SplitFlags(method="clusters", identity=0.8))


def positions_tested(variants, **flags):
    (fold,) = assign_split(variants, SplitFlags(method="clusters", identity=0.9, **flags)).folds
    return {int(mutant[1:-1]) for mutant in variants.column("mutant")[fold.test]}


def test_a_single_split_by_clusters_tests_what_the_seed_draws():
    """It tested the largest cluster whatever the seed."""
    equal = variants_of(*SINGLES)
    found = [positions_tested(equal, seed=seed) for seed in range(30)]
    assert {len(positions) for positions in found} == {2}
    assert set().union(*found) == set(range(1, 11))
    # The first position has 6 of 15 variants, and a fifth is 3: too large to be the test part.
    one_large = variants_of(*SINGLES[:6], *SINGLES[6::6])
    found = [positions_tested(one_large, seed=seed) for seed in range(30)]
    assert set().union(*found) == set(range(2, 11))
    folds = assign_split(one_large, SplitFlags(method="clusters", identity=0.9, folds=5)).folds
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(15))


def test_where_one_cluster_holds_nearly_all_it_is_trained_on():
    """The test part was 60 of 64 variants."""
    others = [f"{TEMPLATE[k]}{k + 1}W:{TEMPLATE[k + 1]}{k + 2}Y" for k in (0, 3, 5, 8)]
    nearly_all = variants_of("WT", *(text for text in SINGLES if text[-1] != "S"), *others)
    (fold,) = assign_split(nearly_all, SplitFlags(method="clusters", identity=0.9)).folds
    assert len(fold.train) > 50
    assert len(fold.test) == 1


@pytest.mark.slow
def test_ten_thousand_variants_are_clustered_in_seconds():
    import time

    template = "".join(np.random.default_rng(0).choice(list("ACDEFGHIKL"), 200))
    mutants = [f"{old}{at}{new}:{template[at]}{at + 1}N" for at, old in enumerate(template[:-1], 1)
               for new in "MPQRSTVWY"]  # fmt: skip
    mutants += [f"{old}{at}{new}:{template[at + 4]}{at + 5}{other}" for at, old in enumerate(template[:-5], 1)
                for new in "MPQRSTVWY" for other in "MPQRS"]  # fmt: skip
    variants = variants_of(*mutants, templates={"toy": template})
    assert variants.n_variants > 10_000
    started = time.process_time()
    assert clusters(variants, 0.98).max() == 0
    assert clusters(variants, 1.0).max() == variants.n_variants - 1
    assert time.process_time() - started < 20


def test_every_part_of_a_stratified_split_has_its_share_of_each_bin():
    variants = variants_of(*((mutant, float(i)) for i, mutant in enumerate(SINGLES)))
    (fold,) = assign_split(variants, SplitFlags(method="stratified", bins=6, fractions=(0.6, 0.2, 0.2))).folds
    assert [len(rows) for rows in (fold.train, fold.val, fold.test)] == [36, 12, 12]
    assert np.bincount(fold.test // 10).tolist() == [2] * 6
    assert np.bincount(fold.val // 10).tolist() == [2] * 6
    folds = assign_split(variants, SplitFlags(method="stratified", bins=6, folds=5)).folds
    assert all(np.bincount(fold.test // 10).tolist() == [2] * 6 for fold in folds)


def test_repeats_are_different_passes_that_each_test_every_row_once():
    split = assign_split(variants_of(*SINGLES), SplitFlags(folds=4, repeats=3))
    assert (split.info["passes"], split.info["pass_kind"]) == (3, "repeat")
    passes = [split.folds[4 * k : 4 * k + 4] for k in range(3)]
    for folds in passes:
        assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(60))
    assert len({tuple(folds[0].test) for folds in passes}) == 3
    once = assign_split(variants_of(*SINGLES), SplitFlags(folds=4))
    assert [fold.test.tolist() for fold in once.folds] == [fold.test.tolist() for fold in passes[0]]


def test_inner_folds_validate_every_training_row_once():
    split = assign_split(variants_of(*SINGLES), SplitFlags(folds=3, inner_folds=4))
    assert (len(split.folds), split.info["passes"]) == (12, 4)
    for outer in range(3):
        passes = [split.folds[outer + 3 * k] for k in range(4)]
        assert len({tuple(fold.test) for fold in passes}) == 1
        rest = np.setdiff1d(np.arange(60), passes[0].test)
        assert sorted(np.concatenate([fold.val for fold in passes])) == rest.tolist()


@pytest.mark.parametrize("method", ["random", "stratified"])
def test_inner_folds_of_a_single_split_have_no_validation_rows_but_theirs(method):
    """A tenth, the default of a single random split, was validated on in every pass and never trained on."""
    folds = assign_split(variants_of(*SINGLES), SplitFlags(method=method, inner_folds=5)).folds
    rest = np.setdiff1d(np.arange(60), folds[0].test)
    assert len(rest) == 54
    assert sorted(np.concatenate([fold.val for fold in folds])) == rest.tolist()
    assert all(sorted([*fold.train, *fold.val]) == rest.tolist() for fold in folds)


@pytest.mark.parametrize(
    ("method", "folds", "inner", "cut"),
    [("modulo", 3, 3, "modulo"), ("contiguous", 2, 5, "contiguous"), ("by_position", 3, 2, "by_position"),
     ("leave_one_position_out", None, 4, "by_position"), ("clusters", 3, 2, "clusters")],
)  # fmt: skip
def test_inner_folds_hold_out_positions_or_clusters_where_the_outer_ones_do(method, folds, inner, cut):
    """They were cut at random: a penalty was chosen on positions that training had seen, for a test of others."""
    # The wild type is a neighbour of every mutant: with it, all are one cluster.
    variants = variants_of(*([] if method == "clusters" else ["WT"]), *SINGLES)
    split = assign_split(variants, SplitFlags(method=method, folds=folds, inner_folds=inner))
    assert split.info["inner_method"] == cut
    position = np.array([int(mutant[1:-1]) if mutant != "WT" else 0 for mutant in variants.column("mutant")])
    n_outer = len(split.folds) // inner
    for outer in range(n_outer):
        passes = split.folds[outer::n_outer]
        assert len({tuple(fold.test) for fold in passes}) == 1
        validated = np.concatenate([fold.val for fold in passes])
        assert len(validated) == len(set(validated))
        mutants = np.flatnonzero(position)
        assert set(mutants) <= {*validated, *passes[0].test}
        for fold in passes:
            held_out, known = set(position[fold.val]) - {0}, set(position[fold.train]) - {0}
            assert held_out
            assert held_out.isdisjoint(known)


def test_more_inner_folds_than_positions_are_refused():
    with pytest.raises(
        EmptySplit, match=r"`split\.inner_folds` cuts the 48 training rows of fold 0 into 9 parts"
    ):
        assign_split(variants_of(*SINGLES), SplitFlags(method="modulo", folds=5, inner_folds=9))


def test_each_position_is_tested_once_by_a_model_that_has_not_seen_it():
    split = assign_split(variants_of("WT", *SINGLES), SplitFlags(method="leave_one_position_out"))
    assert [len(fold.test) for fold in split.folds] == [6] * 10
    assert all(len(fold.train) == 55 for fold in split.folds)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"split.repeats": 2}, "`split.repeats`: repeats cross-validation; give `split.folds` too"),
        ({"split.method": "modulo", "split.folds": 3, "split.repeats": 2}, "'modulo' draws nothing at random"),
        ({"split.folds": 500, "split.repeats": 3}, "are 1500 models; at most 1000 are expected"),
        ({"split.inner_folds": 3, "split.fractions": [0.8, 0.1, 0.1]}, "leave out what else asks for some"),
        ({"split.test_sources": ["a"]}, "belongs to `split.method` 'by_source', not 'random'"),
        ({"split.allow_leakage": [{"check": "same_sequense", "reason": "x" * 10}]}, "same_sequence"),
        ({"split.allow_leakage": [{"check": "same_sequence", "reason": ""}]}, "expected a non-empty text"),
    ],
)  # fmt: skip
def test_flags_that_contradict_each_other_say_so(flags, expected):
    with pytest.raises(FlagError, match=expected):
        parse_flags({"data.source": "toy", **flags})
