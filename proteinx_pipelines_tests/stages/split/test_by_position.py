"""Folds of positions, against hand-made cases and ProteinGym's published folds."""

import measurements
import numpy as np
import pytest
from measurements import SHARED, TEMPLATE, needs_data, variants_of

from proteinx_pipelines.errors import EmptySplit
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.stages.split.assign import assign_split
from proteinx_pipelines.stages.split.check import check_split

POSITIONS = (1, 2, 4, 5, 8, 9, 10)  # seven of ten
SINGLES = [f"{TEMPLATE[at - 1]}{at}M" for at in POSITIONS]


def folds_that_test(split) -> dict[int, list[int]]:
    """Position -> the folds in which single mutants of it are tested."""
    found = {}
    for k, fold in enumerate(split.folds):
        for text in split.ids.take(fold.test).to_pylist():
            mutant = text.partition("/")[2]
            if ":" not in mutant:
                found.setdefault(int(mutant[1:-1]), []).append(k)
    return found


@pytest.mark.parametrize(
    ("flags", "folds"),
    [
        ({"method": "modulo"}, [0, 1, 2, 0, 1, 2, 0]),
        ({"method": "modulo", "modulo_by": "position"}, [1, 2, 1, 2, 2, 0, 1]),
        ({"method": "contiguous"}, [0, 0, 0, 1, 1, 2, 2]),  # the longer run comes first
    ],
)
def test_positions_are_dealt_out(flags, folds):
    split = assign_split(variants_of(*SINGLES), SplitFlags(folds=3, **flags))
    assert folds_that_test(split) == {at: [fold] for at, fold in zip(POSITIONS, folds, strict=True)}


def test_without_folds_the_first_of_five_is_tested():
    variants = variants_of(*SINGLES)
    whole = assign_split(variants, SplitFlags(method="contiguous", folds=5))
    single = assign_split(variants, SplitFlags(method="contiguous"))
    assert len(single.folds) == 1
    assert single.folds[0].test.tolist() == whole.folds[0].test.tolist() == [0, 1]
    assert single.folds[0].train.tolist() == [2, 3, 4, 5, 6]


def test_the_wild_type_is_always_trained_on():
    split = assign_split(variants_of("WT", *SINGLES), SplitFlags(method="modulo", folds=3))
    assert all(0 in fold.train for fold in split.folds)
    assert split.reasons[0].as_py() == "no mutated position: train in every fold."


def test_a_variant_in_several_folds_is_in_no_part_of_them():
    variants = variants_of(*SINGLES, "A1M:C2M", "A1M:L10M", "A1M:F5M:L10M")
    split = assign_split(variants, SplitFlags(method="contiguous", folds=3))
    where = {text.partition("/")[2]: row for row, text in enumerate(split.ids.to_pylist())}
    parts = {
        mutant: [
            next((part for part in ("train", "test") if row in getattr(fold, part)), None)
            for fold in split.folds
        ]
        for mutant, row in where.items()
    }
    assert parts["A1M:C2M"] == ["test", "train", "train"]
    assert parts["A1M:L10M"] == [None, "train", None]
    assert parts["A1M:F5M:L10M"] == [None, None, None]
    assert split.info["several_folds_touched"] == 2
    assert split.reasons[where["A1M:L10M"]].as_py() == (
        "mutated positions in folds 0, 2: in no part in folds 0, 2; train in the other 1."
    )
    assert check_split(split, variants) == []


def test_no_tested_position_is_trained_on():
    mutants = [f"{TEMPLATE[a - 1]}{a}M:{TEMPLATE[b - 1]}{b}N" for a in range(1, 11) for b in range(a + 1, 11)]
    variants = variants_of(*SINGLES, *mutants)
    for method in ("modulo", "contiguous"):
        for fold in assign_split(variants, SplitFlags(method=method, folds=4)).folds:
            positions = [
                {
                    int(part[1:-1])
                    for row in rows
                    for part in variants.rows["mutant"][int(row)].as_py().split(":")
                }
                for rows in (fold.train, fold.test)
            ]
            assert positions[0].isdisjoint(positions[1])


def test_sources_with_one_template_share_folds_and_others_have_their_own():
    templates = {"a": TEMPLATE, "b": TEMPLATE, "c": "MMMM"}
    rows = [("a", mutant, 1.0) for mutant in SINGLES[:4]] + [("b", mutant, 1.0) for mutant in SINGLES[2:]]
    rows += [("c", f"M{at}A", 1.0) for at in (1, 2, 3, 4)]
    variants = variants_of(*rows, templates=templates)
    split = assign_split(variants, SplitFlags(method="modulo", folds=2))
    assert check_split(split, variants) == []
    tested = {text: k for k, fold in enumerate(split.folds) for text in split.ids.take(fold.test).to_pylist()}
    assert [tested[f"a/{mutant}"] for mutant in SINGLES[:4]] == [0, 1, 0, 1]
    assert [tested[f"b/{mutant}"] for mutant in SINGLES[2:]] == [0, 1, 0, 1, 0]
    assert [tested[f"c/M{at}A"] for at in (1, 2, 3, 4)] == [0, 1, 0, 1]


def test_fewer_positions_than_folds_is_said():
    with pytest.raises(EmptySplit, match=r"into 5 folds, and the 2 variants have 1 of them.*`split.folds`"):
        assign_split(variants_of("A1C", "A1D"), SplitFlags(method="modulo"))


class TestProteinGym:
    """The published folds are an oracle that this project had no part in."""

    pytestmark = needs_data

    def folds(self, name, method, **flags):
        published = measurements.read_csv(f"proteingym_singles/{name}.csv.gz")
        expected = dict(
            zip(published["mutant"].to_pylist(), published[f"fold_{method}_5"].to_pylist(), strict=True)
        )
        variants = measurements.real_variants(f"proteingym_singles/{name}.csv.gz", name)
        split = assign_split(variants, SplitFlags(method=method, folds=len(set(expected.values())), **flags))
        found = {
            split.ids[int(row)].as_py().partition("/")[2]: k
            for k, fold in enumerate(split.folds)
            for row in fold.test
        }
        return found, expected

    @pytest.mark.parametrize(
        "name",
        ["BLAT_ECOLX_Stiffler_2015", "IF1_ECOLI_Kelsic_2016", "SPG1_STRSG_Olson_2014", "SPG1_STRSG_Wu_2016"],
    )
    def test_modulo_by_position_is_the_published_one(self, name):
        found, expected = self.folds(name, "modulo", modulo_by="position")
        assert found == expected

    @pytest.mark.parametrize("name", ["TADBP_HUMAN_Bolognesi_2019", "KCNH2_HUMAN_Kozek_2020"])
    def test_modulo_by_rank_is_the_published_one_where_positions_and_ranks_agree(self, name):
        found, expected = self.folds(name, "modulo")
        assert found == expected

    @pytest.mark.parametrize(
        "name",
        [
            "BLAT_ECOLX_Stiffler_2015",
            "IF1_ECOLI_Kelsic_2016",
            "SPG1_STRSG_Olson_2014",
            "PABP_YEAST_Melamed_2013",
        ],
    )
    def test_contiguous_is_the_published_one(self, name):
        found, expected = self.folds(name, "contiguous")
        assert found == expected

    def test_the_random_folds_are_followed_from_their_file(self):
        file = SHARED / "proteingym_singles/IF1_ECOLI_Kelsic_2016.csv.gz"
        variants = measurements.real_variants(f"proteingym_singles/{file.name}", "IF1_ECOLI_Kelsic_2016")
        split = assign_split(variants, SplitFlags(method="file", path=str(file), column="fold_random_5"))
        table = measurements.read_csv(f"proteingym_singles/{file.name}")
        expected = dict(zip(table["mutant"].to_pylist(), table["fold_random_5"].to_pylist(), strict=True))
        assert len(split.folds) == 5
        assert sorted(np.concatenate([fold.test for fold in split.folds])) == list(range(variants.n_variants))
        for k, fold in enumerate(split.folds):
            assert {expected[split.ids[int(row)].as_py().partition("/")[2]] for row in fold.test} == {k}
