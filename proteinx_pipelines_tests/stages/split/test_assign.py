"""What holds for every method: parts are disjoint, rows have reasons, and their order does not show."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measurements import TEMPLATE, variants_of

from proteinx_pipelines.errors import EmptySplit
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.records import AMINO_ACIDS, VariantTable
from proteinx_pipelines.stages.split.assign import METHODS, assign_split
from proteinx_pipelines.stages.split.check import check_split

PARTS = ("train", "val", "test")
VARIANTS = variants_of(
    "WT",
    *(f"{old}{at}{new}" for at, old in enumerate(TEMPLATE, 1) for new in "MNPQ"),
    *(f"A1{new}:{TEMPLATE[at - 1]}{at}{new}" for at in range(2, 11) for new in "RST"),
)
SPLITS = [
    {},
    {"fractions": (0.5, 0.3, 0.2), "seed": 7},
    {"folds": 4},
    {"folds": 4, "fractions": (0.7, 0.3, 0.0)},
    {"method": "n_vs_rest"},
    {"method": "n_vs_rest", "fractions": (0.8, 0.2, 0.0)},
    {"method": "modulo"},
    {"method": "modulo", "folds": 3, "modulo_by": "position", "fractions": (0.9, 0.1, 0.0)},
    {"method": "contiguous", "folds": 4},
    {"method": "low_vs_high", "quantile": 0.3},
    {"method": "low_vs_high", "threshold": 12.0},
    {"method": "stratified"},
    {"method": "stratified", "fractions": (0.5, 0.2, 0.3), "bins": 3, "seed": 4},
    {"method": "stratified", "folds": 4},
    {"method": "by_position", "folds": 3},
    {"method": "by_position"},
    {"method": "leave_one_position_out"},
    {"method": "leave_p_out", "p": 2, "sets": 30},
    {"method": "leave_p_out", "p": 3, "sets": 4, "inner_folds": 2, "seed": 5},
    {"method": "leave_p_out", "p": 2, "held_out": "positions"},
    {"method": "leave_p_out", "held_out": "positions", "sets": 6, "fractions": (0.8, 0.2, 0.0)},
    {"method": "clusters", "identity": 1.0, "folds": 3},
    {"method": "random", "folds": 3, "repeats": 3},
    {"method": "by_position", "folds": 3, "repeats": 2, "fractions": (0.8, 0.2, 0.0)},
    {"method": "random", "folds": 3, "inner_folds": 4},
    {"method": "n_vs_rest", "inner_folds": 3},
    {"method": "contiguous", "folds": 2, "inner_folds": 2},
    {"method": "by_position", "folds": 3, "inner_folds": 2},
    {"method": "clusters", "identity": 1.0, "folds": 3, "inner_folds": 2},
]


def named(flags) -> str:
    return ",".join(f"{name}={value}" for name, value in flags.items()) or "default"


def part_of_each(split) -> dict[str, tuple[str, ...]]:
    """The part of each id in every fold."""
    ids = split.ids.to_pylist()
    table = np.full((len(ids), len(split.folds)), "unused", object)
    for k, fold in enumerate(split.folds):
        for part in PARTS:
            table[getattr(fold, part), k] = part
    return dict(zip(ids, map(tuple, table), strict=True))


@pytest.mark.parametrize("flags", SPLITS, ids=named)
def test_every_split_is_sound_and_explains_every_row(flags):
    split = assign_split(VARIANTS, SplitFlags(**flags))
    assert check_split(split, VARIANTS) == []
    reasons = split.reasons.to_pylist()
    assert len(reasons) == VARIANTS.n_variants
    for reason, parts in zip(reasons, part_of_each(split).values(), strict=True):
        assert reason.endswith(".")
        for part in set(parts) - {"train"}:
            assert (part if part != "unused" else "in no part") in reason.split(":")[-1]
    sizes = [
        {part: parts.count(part) for part in (*PARTS, "unused")}
        for parts in zip(*part_of_each(split).values(), strict=True)
    ]
    assert split.info["sizes"] == sizes
    expected = flags.get("folds") or flags.get("sets")
    expected = expected or {"leave_one_position_out": 10, "leave_p_out": 45}.get(flags.get("method", ""), 1)
    expected *= flags.get("repeats", 1) * flags.get("inner_folds", 1)
    assert split.info["n_folds"] == len(split.folds) == expected
    assert split.info["method"] == flags.get("method", "random")


@pytest.mark.parametrize("flags", SPLITS, ids=named)
def test_the_order_of_the_rows_does_not_show(flags):
    order = np.random.default_rng(3).permutation(VARIANTS.n_variants)
    shuffled = VariantTable(VARIANTS.rows.take(order), VARIANTS.templates)
    one, other = (assign_split(table, SplitFlags(**flags)) for table in (VARIANTS, shuffled))
    assert part_of_each(one) == part_of_each(other)
    reasons = [
        dict(zip(split.ids.to_pylist(), split.reasons.to_pylist(), strict=True)) for split in (one, other)
    ]
    assert reasons[0] == reasons[1]


@pytest.mark.parametrize("flags", SPLITS, ids=named)
def test_the_same_seed_gives_the_same_split(flags):
    one, other = (assign_split(VARIANTS, SplitFlags(**flags)) for _ in range(2))
    assert part_of_each(one) == part_of_each(other)
    assert one.reasons.equals(other.reasons)


@pytest.mark.parametrize("flags", [flags for flags in SPLITS if "fractions" in flags or not flags], ids=named)
def test_another_seed_gives_another_draw(flags):
    one, other = (assign_split(VARIANTS, SplitFlags(**{**flags, "seed": seed})) for seed in (1, 2))
    assert part_of_each(one) != part_of_each(other)


@settings(max_examples=60)
@given(st.integers(10, 120), st.integers(0, 2**32 - 1), st.integers(2, 10), st.sampled_from([None, 0.25]))
def test_the_test_parts_of_random_folds_partition_the_rows(n, seed, folds, val):
    template = "".join(random.Random(n).choices(AMINO_ACIDS[1:], k=n))
    variants = variants_of(
        *(f"{old}{at}A" for at, old in enumerate(template, 1)), templates={"toy": template}
    )
    fractions = None if val is None else (1 - val, val, 0.0)
    split = assign_split(variants, SplitFlags(folds=folds, seed=seed, fractions=fractions))
    tested = np.concatenate([fold.test for fold in split.folds])
    assert sorted(tested) == list(range(n))
    sizes = [len(fold.test) for fold in split.folds]
    assert max(sizes) - min(sizes) <= 1
    for fold in split.folds:
        assert len(fold.train) + len(fold.val) + len(fold.test) == n
        assert len(fold.val) == int((val or 0) * (n - len(fold.test)) + 0.5)


def test_a_random_split_has_the_sizes_asked_for():
    found = [assign_split(VARIANTS, SplitFlags(seed=seed, fractions=(0.5, 0.3, 0.2))) for seed in range(3)]
    n = VARIANTS.n_variants
    for split in found:
        (fold,) = split.folds
        assert (len(fold.test), len(fold.val)) == (int(0.2 * n + 0.5), int(0.3 * n + 0.5))
    (default,) = assign_split(VARIANTS, SplitFlags()).folds
    assert (len(default.test), len(default.val)) == (int(0.1 * n + 0.5), int(0.1 * n + 0.5))


def test_a_larger_validation_part_leaves_the_test_part_as_it_was():
    small, large = (assign_split(VARIANTS, SplitFlags(fractions=(0.8 - val, val, 0.2))) for val in (0.1, 0.4))
    assert small.folds[0].test.tolist() == large.folds[0].test.tolist()


def test_rows_with_one_sequence_are_drawn_together():
    mutants = [f"{old}{at}{new}" for at, old in enumerate(TEMPLATE, 1) for new in "MNPQ"]
    silent = [f"{mutant}:A1A" for mutant in mutants if mutant[1:-1] != "1"]
    variants = variants_of(*mutants, *silent, synonymous="keep")
    for flags in ({}, {"folds": 3}, {"folds": 3, "fractions": (0.7, 0.3, 0.0)}):
        assert check_split(assign_split(variants, SplitFlags(**flags)), variants) == []


def test_drawn_validation_rows_are_said_to_be_drawn():
    split = assign_split(VARIANTS, SplitFlags(method="n_vs_rest", fractions=(0.8, 0.2, 0.0)))
    (fold,) = split.folds
    assert len(fold.val) == int(0.2 * 41 + 0.5)
    assert {split.reasons[row].as_py() for row in fold.val.tolist()} <= {
        f"{count}, at most 1: val (drawn from the training rows)." for count in ("0 mutations", "1 mutation")
    }


def test_no_validation_rows_unless_asked():
    for method in sorted(set(METHODS) - {"by_source", "clusters"}):
        folds = 2 if method in ("random", "stratified") else None
        split = assign_split(VARIANTS, SplitFlags(method=method, folds=folds))
        assert all(len(fold.val) == 0 for fold in split.folds)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"fractions": (0.9, 0.1, 0.0)}, r"test is empty: train 61, val 7, test 0.*\n.*`split.fractions`"),
        ({"method": "n_vs_rest", "n": 2}, r"test is empty: train 68.*\n.*`split.n`, which is 2.*0, 1, 2"),
        ({"method": "low_vs_high", "threshold": -1}, r"train is empty: train 0.*\n.*targets go from 0 to 67"),
        ({"method": "n_vs_rest", "fractions": (0.01, 0.99, 0.0)}, r"train is empty.*\n.*fewer validation"),
        ({"folds": 100}, r"fold \d+: test is empty.*\n(.*\n)*.*and 28 more\n.*fewer `split.folds` than 100"),
    ],
)  # fmt: skip
def test_an_empty_part_is_named_with_the_sizes_and_the_way_out(flags, expected):
    with pytest.raises(EmptySplit, match=expected):
        assign_split(VARIANTS, SplitFlags(**flags))
