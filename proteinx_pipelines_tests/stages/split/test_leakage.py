"""What leaks is found and refused by name; what was allowed goes through with its reason."""

from dataclasses import replace
from pathlib import Path

import measurements
import numpy as np
import pyarrow as pa
import pytest
from measurements import needs_data, variants_of

from proteinx_pipelines.errors import LeakageFound
from proteinx_pipelines.flags.split import AllowedLeak, SplitFlags
from proteinx_pipelines.records import Fold, Split
from proteinx_pipelines.stages.split.assign import assign_split, draw_split
from proteinx_pipelines.stages.split.check import check_split
from proteinx_pipelines.stages.split.leakage import find_leaks, near_identical_rows
from proteinx_pipelines.stages.split.neighbours import Neighbours

VARIANTS = variants_of("WT", "A1C", "A1D", "A1E", "A1E:K9K", "C2D", "A1C:C2D", synonymous="keep")


def split_of(variants, *folds, **info):
    ids = variants.rows["id"].combine_chunks()
    made = [Fold(*(np.array(part, np.int64) for part in fold)) for fold in folds]
    return Split(ids, made, pa.array(["because"] * len(ids)), info)


def found(split, variants=VARIANTS):
    return {leak.check: (leak.n_sequences, leak.rows.tolist()) for leak in find_leaks(split, variants)}


@pytest.mark.parametrize(
    ("folds", "info", "expected"),
    [
        ([([0, 1], [2], [3, 4])], {}, {}),
        ([([3], [], [4])], {}, {"synonymous_mutants": (1, [4])}),
        ([([1], [3], [4])], {}, {"synonymous_mutants": (1, [4])}),
        ([([4], [3], [1])], {}, {"synonymous_mutants": (1, [])}),
        ([([3], [], [4]), ([4], [], [3])], {}, {"synonymous_mutants": (1, [3, 4])}),
        ([([1], [], [0, 2])], {}, {"wild_type_in_test": (0, [0])}),
        ([([1], [], [2, 5])], {}, {}),
        ([([1], [], [2, 5])], {"method": "modulo"}, {"same_position": (0, [2])}),
        ([([1], [6], [5])], {"method": "by_position"}, {"same_position": (0, [5])}),
        ([([1, 2, 3], [], [5])], {"method": "contiguous"}, {}),
        ([([1], [], [5])], {"identity": 0.8}, {"near_identical": (1, [5])}),
        ([([1], [], [5])], {"identity": 0.9}, {}),
        ([([1], [], [2, 5])], {"identity": 0.9}, {"near_identical": (1, [2])}),
    ],
)
def test_each_check_finds_its_own_rows(folds, info, expected):
    split = split_of(VARIANTS, *folds, **info)
    assert found(split) == expected
    problems = check_split(split, VARIANTS)
    assert [text.partition(":")[0] for text in problems] == list(expected)


def test_one_sequence_in_two_sources_is_another_leak_than_two_names_in_one():
    rows = [("a", "A1C", 1.0), ("a", "A1D", 2.0), ("b", "A1C", 3.0), ("b", "A1E", 4.0)]
    variants = variants_of(*rows, templates={"a": "ACD", "b": "ACD"})
    assert found(split_of(variants, ([0, 1], [], [2, 3])), variants) == {"same_sequence": (1, [2])}
    with pytest.raises(
        LeakageFound, match="same_sequence: 1 sequences are in more than one part, in different"
    ):
        assign_split(variants, SplitFlags(method="by_source", test_sources=("b",)))


def test_a_leak_that_is_allowed_goes_through_with_its_reason(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("mutant,set\nWT,test\nA1C,train\nA1D,test\nA1E,train\nA1E:K9K,test\n")
    flags = {"method": "file", "path": str(path), "column": "set", "allow_unmatched": "a part"}
    wild_type = AllowedLeak(check="wild_type_in_test", reason="the published file tests it")
    synonymous = AllowedLeak(check="synonymous_mutants", reason="to show what leaking does")
    with pytest.raises(
        LeakageFound, match=r"synonymous_mutants: 1 seq.*\n.*wild_type_in_test: the wild"
    ) as error:
        assign_split(VARIANTS, SplitFlags(**flags))
    assert error.value.code == "leakage"
    assert 'split.allow_leakage=[{"check": "synonymous_mutants", "reason"' in str(error.value)
    with pytest.raises(LeakageFound, match=r"trained on it:\n  synonymous_mutants: [^\n]*\nMend"):
        assign_split(VARIANTS, SplitFlags(**flags, allow_leakage=(wild_type,)))
    split = assign_split(VARIANTS, SplitFlags(**flags, allow_leakage=(wild_type, synonymous)))
    assert check_split(split, VARIANTS) == []
    assert [(entry["check"], entry["reason"], entry["ids"]) for entry in split.info["leakage"]] == [
        ("synonymous_mutants", "to show what leaking does", ["toy/A1E:K9K"]),
        ("wild_type_in_test", "the published file tests it", ["toy/WT"]),
    ]
    assert check_split(replace(split, info={}), VARIANTS) != []


def test_neighbours_are_those_that_differ_in_one_residue():
    random = np.random.default_rng(5)
    mutants = {
        ":".join(f"{measurements.TEMPLATE[p]}{p + 1}{random.choice(list('MNW'))}" for p in sorted(places))
        for places in (random.choice(5, random.integers(1, 4), replace=False).tolist() for _ in range(80))
    }
    variants = variants_of("WT", *sorted(mutants))
    letters = np.array([list(text) for text in variants.column("sequence")])
    distance = (letters[:, None] != letters[None]).sum(axis=2)
    own = variants.column("mut_num") > 0
    for size in (3, 20):
        rows = random.choice(np.flatnonzero(own), size, replace=False)
        expected = (distance[:, rows] <= 1).any(axis=1) & own
        assert (Neighbours(variants).near(rows) & own).tolist() == expected.tolist()
    split = split_of(variants, (list(range(40)), [], list(range(40, variants.n_variants))))
    train, test = (getattr(split.folds[0], part) for part in ("train", "test"))
    expected = (distance[np.ix_(test, train[own[train]])] <= 1).any(axis=1).sum()
    assert near_identical_rows(split, variants) == expected > 0


LEAKED = {"AMFR": (84, 298), "BBC1": (84, 168), "BCHB": (58, 116), "CSN4": (71, 284), "DNJA": (92, 184),
          "EPHB": (70, 140), "TCRG": (34, 68)}  # fmt: skip
"""Sequences in several folds, and their rows: counted from the files by themselves."""


class TestLeakyFolds:
    """ProteinGym's first folds put `D28A` in one fold and `D28A:N41N` in another."""

    pytestmark = needs_data

    @pytest.mark.parametrize(
        "file", sorted((measurements.SHARED / "leaky_folds").glob("*.csv.gz")), ids=lambda file: file.name[:4]
    )
    def test_the_published_leaky_folds_are_blocked_kept_apart_or_merged(self, file):
        n_sequences, n_rows = LEAKED[file.name[:4]]
        flags = SplitFlags(method="file", path=str(file), column="fold_rand_multiples")
        kept = variants_of_file(file, synonymous="keep")
        with pytest.raises(
            LeakageFound, match=f"{n_sequences} sequences are in .*: {n_rows} test rows are also"
        ):
            assign_split(kept, flags)
        merged = variants_of_file(file)
        with pytest.raises(LeakageFound, match=f"the file puts {n_sequences} sequences in several folds"):
            assign_split(merged, flags)
        reason = AllowedLeak(check="synonymous_mutants", reason="merged: each sequence has one fold")
        allowed = assign_split(merged, flags.model_copy(update={"allow_leakage": (reason,)}))
        assert check_split(allowed, merged) == []

    @pytest.mark.parametrize("name", ["TCRG1_MOUSE_Tsuboyama_2023_1E0L", "IF1_ECOLI_Kelsic_2016"])
    @pytest.mark.parametrize("scheme", ["random", "modulo", "contiguous"])
    def test_clean_published_folds_pass(self, name, scheme):
        file = measurements.SHARED / f"proteingym_singles/{name}.csv.gz"
        variants = variants_of_file(file)
        split = assign_split(variants, SplitFlags(method="file", path=str(file), column=f"fold_{scheme}_5"))
        assert split.info["leakage"] == check_split(split, variants) == []
        clean = draw_split(variants, SplitFlags(method="modulo", folds=5)).info
        assert clean["leakage"] == []
        assert clean["near_identical"] == 0


def variants_of_file(file: Path, **transform):
    table = measurements.read_csv(str(file.relative_to(measurements.SHARED)))
    rows = zip(table["mutant"].to_pylist(), table["DMS_score"].to_pylist(), strict=True)
    name = file.name.split(".")[0]
    return variants_of(*rows, templates={"toy": measurements.template_of(name)}, **transform)
