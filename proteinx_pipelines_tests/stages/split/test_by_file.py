"""Splits given by a file: what its values mean, to whom its lines belong, and files that cannot be used."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from measurements import variants_of

from proteinx_pipelines.errors import BadSplitFile, EmptySplit
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.stages.split.assign import assign_split, draw_split

VARIANTS = variants_of("WT", "A1C", "A1D", "A1E", "C2D", "C2E")


def mutants_in(split, part, fold=0):
    return [text.partition("/")[2] for text in split.ids.take(getattr(split.folds[fold], part)).to_pylist()]


@pytest.fixture
def by_file(tmp_path):
    def assign(text, variants=VARIANTS, name="split.csv", **flags):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return draw_split(variants, SplitFlags(method="file", path=str(path), **{"column": "set", **flags}))

    return assign


def test_words_are_followed_whatever_their_case(by_file):
    split = by_file("mutant,set\nWT,train\nA1C,Training\nA1D,VAL\nA1E,validation\nC2D, test\nC2E,TEST\n")
    assert mutants_in(split, "train") == ["WT", "A1C"]
    assert mutants_in(split, "val") == ["A1D", "A1E"]
    assert mutants_in(split, "test") == ["C2D", "C2E"]
    assert split.reasons[0].as_py() == "`set` of split.csv is 'train': train."


def test_fold_numbers_make_cross_validation(by_file):
    split = by_file("mutant,set\nWT,1\nA1C,1\nA1D,5\nA1E,5\nC2D,9\nC2E,9\n")
    assert split.info["fold_numbers"] == [1, 5, 9]
    assert [mutants_in(split, "test", k) for k in range(3)] == [["WT", "A1C"], ["A1D", "A1E"], ["C2D", "C2E"]]
    assert mutants_in(split, "train", 1) == ["WT", "A1C", "C2D", "C2E"]
    assert split.reasons[2].as_py() == "`set` of split.csv is '5': test in fold 1; train in the other 2."


@pytest.mark.parametrize("numbers", [pa.array([0, 0, 1, 1, 2, 2]), pa.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])])
def test_a_parquet_file_does_as_well(tmp_path, numbers):
    path = tmp_path / "folds.parquet"
    pq.write_table(pa.table({"mutant": VARIANTS.rows["mutant"], "fold": numbers}), path)
    split = draw_split(VARIANTS, SplitFlags(method="file", path=str(path), column="fold"))
    assert [fold.test.tolist() for fold in split.folds] == [[0, 1], [2, 3], [4, 5]]


def test_the_resolved_file_wins_over_the_path_in_the_flags(tmp_path):
    path = tmp_path / "split.csv.gz"
    path.write_bytes(gzip.compress(b"mutant,set\nWT,train\nA1C,test\n"))
    flags = SplitFlags(method="file", path="somewhere/else.csv", column="set", allow_unmatched="two rows do")
    assert mutants_in(assign_split(VARIANTS, flags, file=path), "test") == ["A1C"]


def test_marked_training_rows_are_validation_rows_and_other_marks_do_not_count(by_file):
    text = (
        "mutant,set,val\nWT,train,\nA1C,train,True\nA1D,train,0\nA1E,train,1\nC2D,test,true\nC2E,test,false\n"
    )
    split = by_file(text, val_column="val")
    assert mutants_in(split, "train") == ["WT", "A1D"]
    assert mutants_in(split, "val") == ["A1C", "A1E"]
    assert mutants_in(split, "test") == ["C2D", "C2E"]
    assert split.reasons[1].as_py() == "`set` of split.csv is 'train' and `val` is true: val."
    assert mutants_in(by_file(text), "train") == ["WT", "A1C", "A1D", "A1E"]


def test_marks_hold_in_every_fold_that_trains_on_the_row(by_file):
    split = by_file(
        "mutant,set,val\nWT,0,no\nA1C,0,yes\nA1D,1,no\nA1E,1,no\nC2D,2,no\nC2E,2,no\n", val_column="val"
    )
    assert mutants_in(split, "test", 0) == ["WT", "A1C"]
    assert [mutants_in(split, "val", k) for k in range(3)] == [[], ["A1C"], ["A1C"]]


def test_validation_rows_can_be_drawn_from_the_files_training_rows(by_file):
    text = "mutant,set\nWT,train\nA1C,train\nA1D,train\nA1E,train\nC2D,test\nC2E,test\n"
    split = by_file(text, fractions=(0.75, 0.25, 0.0))
    assert [len(getattr(split.folds[0], part)) for part in ("train", "val", "test")] == [3, 1, 2]
    with pytest.raises(BadSplitFile, match=r"`set` of split\.csv has some already"):
        by_file(text.replace("A1E,train", "A1E,val"), fractions=(0.75, 0.25, 0.0))


def test_validation_rows_come_from_one_place(by_file):
    """Marked rows were kept, and others drawn besides; inner folds were added to the file's validation rows."""
    marked = "mutant,set,v\nWT,train,\nA1C,train,yes\nA1D,train,\nA1E,train,\nC2D,test,yes\nC2E,test,\n"
    with pytest.raises(BadSplitFile, match=r"draws validation rows, and `v` of split\.csv has some already"):
        by_file(marked, val_column="v", fractions=(0.75, 0.25, 0.0))
    only_tested = marked.replace("A1C,train,yes", "A1C,train,")  # that mark does not count
    split = by_file(only_tested, val_column="v", fractions=(0.75, 0.25, 0.0))
    assert len(split.folds[0].val) == 1
    with pytest.raises(
        BadSplitFile, match=r"`split\.inner_folds` gives the validation rows, and `set` of the file"
    ):
        by_file(only_tested.replace("A1E,train", "A1E,val"), inner_folds=2)
    assert len(by_file(only_tested, inner_folds=2).folds) == 2


def test_variants_that_the_file_leaves_out_are_in_no_part_and_counted(by_file):
    text = "mutant,set\nWT,train\nA1C,test\nA1D,\nK9A,test\nnonsense,train\n"
    split = by_file(text, allow_unmatched="the others were measured later")
    assert (split.info["matched"], split.info["variants"], split.info["variants_not_in_file"]) == (3, 6, 3)
    assert split.info["unmatched_because"] == "the others were measured later"
    assert split.info["lines_of_other_variants"] == 2
    assert split.info["sizes"] == [{"train": 1, "val": 0, "test": 1, "unused": 4}]
    assert split.reasons[2].as_py() == "`set` of split.csv is empty: in no part."
    assert split.reasons[5].as_py() == "not in split.csv: in no part."


def test_a_line_of_another_spelling_is_found(by_file):
    variants = variants_of("A1C:C2D", "D3A", "E4A", "WT")
    split = by_file("mutant,set\nC2D:A1C,train\nK9K:D3A,test\nE4A,train\nA1A,test\n", variants)
    assert mutants_in(split, "train") == ["E4A", "A1C:C2D"]
    assert mutants_in(split, "test") == ["WT", "D3A"]
    assert split.info["lines_of_other_variants"] == 0


def test_the_line_of_the_mutant_itself_wins_and_the_contradiction_is_counted(by_file):
    text = "mutant,set\nA1C,train\nA1C:C2C,test\nA1D,test\nA1D:C2C,test\n"
    split = by_file(text, allow_unmatched="two are enough")
    assert mutants_in(split, "train") == ["A1C"]
    assert mutants_in(split, "test") == ["A1D"]
    assert split.info["lines_against_another_spelling"] == split.info["sequences_in_several_places"] == 1


def test_lines_that_contradict_each_other_are_named(by_file):
    with pytest.raises(BadSplitFile, match=r"two things of 1 variants:\n  toy/A1C: .*'test'; .*'train'\n"):
        by_file("mutant,set\nA1C,train\nA1C,test\nA1D,test\nA1D,test\n")
    with pytest.raises(BadSplitFile, match="two things of 1 variants"):
        by_file("mutant,set\nC2D:K9K,train\nC2D:L10L,test\nA1D,test\n")


def test_sources_are_told_apart_by_the_source_column(by_file):
    variants = variants_of(("a", "A1C", 1.0), ("b", "A1C", 2.0), templates={"a": "ACD", "b": "ACDE"})
    split = by_file("source,mutant,set\na,A1C,train\nb,A1C,test\nc,A1C,test\n", variants)
    assert split.ids.take(split.folds[0].train).to_pylist() == ["a/A1C"]
    assert split.ids.take(split.folds[0].test).to_pylist() == ["b/A1C"]
    assert split.info["lines_of_other_variants"] == 1
    with pytest.raises(BadSplitFile, match=r"no column `source`, and the variants are of 2 sources \(a, b\)"):
        by_file("mutant,set\nA1C,train\n", variants)


@pytest.mark.parametrize(
    ("text", "flags", "expected"),
    [
        ("mutant,sets\nWT,train\n", {}, r"no column 'set' \(did you mean 'sets'\?\).*'mutant', 'sets'"),
        ("what,set\nhello,train\n", {}, "has the columns 'what', 'set': there is no column 'mutant'"),
        ("variant,set\nWT,train\n", {"val_column": "v"}, "no column 'v'"),
        (
            "mutant,set\nWT,train\nA1C,tset\n",
            {},
            "`set` of split.csv holds 'tset'; train, val and test are expected",
        ),
        ("mutant,set\nWT,train\nA1C,3\n", {}, "holds '3'"),
        ("mutant,set\nWT,\n", {}, "holds nothing"),
        ("mutant,set\nWT,-1\nA1C,1\n", {}, "holds '-1'"),
        (
            "mutant,set,v\nWT,train,maybe\n",
            {"val_column": "v"},
            "`v` of split.csv holds 'maybe'; true or false",
        ),
        ("", {}, "split.csv cannot be read"),
        ("mutant,set\nWT,train,more\n", {}, "line 2 has 3 cells"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(by_file, text, flags, expected):
    with pytest.raises(BadSplitFile, match=expected):
        by_file(text, **flags)


def test_a_column_of_something_else_is_not_taken_for_folds(by_file):
    lines = "".join(f"K9A,{number}\n" for number in range(1001))
    with pytest.raises(BadSplitFile, match="holds 1001 different fold numbers; at most 1000"):
        by_file(f"mutant,set\n{lines}")


def test_files_that_are_missing_or_of_another_form_are_refused(tmp_path, by_file):
    with pytest.raises(BadSplitFile, match="is not a file on this node"):
        assign_split(VARIANTS, SplitFlags(method="file", path=str(tmp_path / "no.csv"), column="set"))
    with pytest.raises(BadSplitFile, match="cannot be read"):
        by_file("\0\1 no table at all", name="split.xlsx")
    with pytest.raises(BadSplitFile, match="has no column 'set'"):
        by_file("no parquet at all", name="split.parquet")
    with pytest.raises(BadSplitFile, match="has no column 'set'"):
        by_file("no gzip at all", name="split.csv.gz")


def test_a_file_of_another_assay_shows_both_names(by_file):
    with pytest.raises(
        BadSplitFile, match=r"names 0 of the 6 variants.*`?toy/WT, .*named like 'W99A', 'W99C'"
    ):
        by_file("mutant,set\nW99A,train\nW99C,test\n")
    with pytest.raises(EmptySplit, match=r"it names 0 of the 6 variants. A variant is `toy/WT`"):
        by_file("mutant,set\nW99A,train\nW99C,test\n", allow_unmatched="to see the next error")


LETTERS = "CDEFGHIKLMNPQRSTVWY"
TWENTY = variants_of(*(f"A1{letter}" for letter in LETTERS), "C2A")


@pytest.mark.parametrize("n", range(16, 21))
def test_few_matches_are_an_error_and_some_missing_a_number(by_file, n):
    """190 of 4,807 rows matched by coincidence, a third of them in the wrong part, and the command exited with 0."""
    parts = ["train", "test"] * 10
    lines = [f"{mutant},{part}\n" for mutant, part in zip(TWENTY.column("mutant"), parts, strict=True)]
    text = "mutant,set\n" + "".join(lines[:n])
    if n < 18:
        with pytest.raises(BadSplitFile, match=rf"names {n} of the 20 variants \({n * 5}%\); at least 90%"):
            by_file(text, TWENTY)
    split = by_file(text, TWENTY, allow_unmatched="why not")
    assert split.info["matched"] == n
    assert split.info["variants_not_in_file"] == 20 - n


def test_sequences_name_lines_where_there_are_no_mutants(by_file):
    sequence = dict(zip(VARIANTS.column("mutant"), VARIANTS.column("sequence"), strict=True))
    text = "Sequence,target,set\n" + "".join(
        f"{sequence[mutant].lower()},0.1,{part}\n"
        for mutant, part in (("WT", "train"), ("A1C", "train"), ("A1D", "train"), ("A1E", "test"), ("C2D", "test"),
                             ("C2E", "test"))
    )  # fmt: skip
    split = by_file(text)
    assert mutants_in(split, "test") == ["A1E", "C2D", "C2E"]
    assert split.info["matched_by"] == "Sequence"
    with pytest.raises(BadSplitFile, match="they must be as long as the template"):
        by_file(text.replace("acdefghikl", "macdefghikl").replace("ccdefghikl", "m"))


def test_a_column_of_zeros_and_ones_is_not_taken_for_folds_in_silence(by_file):
    """A binned score was two folds without a word."""
    text = "mutant,DMS_score_bin\nWT,0\nA1C,1\nA1D,0\nA1E,1\nC2D,0\nC2E,1\n"
    with pytest.raises(BadSplitFile, match="holds 0 and 1: the numbers of two folds, or classes, or a mark"):
        by_file(text, column="DMS_score_bin")
    assert len(by_file(text, column="DMS_score_bin", folds=2).folds) == 2
    assert len(by_file(text.replace("DMS_score_bin", "Fold_a"), column="Fold_a").folds) == 2
    with pytest.raises(BadSplitFile, match=r"holds 2 different fold numbers, and `split\.folds` says 3"):
        by_file(text, column="DMS_score_bin", folds=3)
    words = "mutant,set\nWT,train\nA1C,test\nA1D,test\nA1E,test\nC2D,test\nC2E,test\n"
    with pytest.raises(BadSplitFile, match=r"holds parts, not fold numbers, and `split\.folds` says 2"):
        by_file(words, folds=2)


def test_a_column_of_marks_that_is_not_used_is_said(by_file):
    text = "mutant,set,Validation\nWT,train,\nA1C,train,True\nA1D,train,\nA1E,test,\nC2D,test,\nC2E,test,\n"
    assert by_file(text).info["marks_not_used"] == "Validation"
    assert by_file(text, val_column="Validation").info["marks_not_used"] is None


def test_every_form_and_notation_of_an_import_splits_too(by_file):
    """The one door: what can be imported can split."""
    text = "HGVS_pro;Set\np.=;train\np.Ala1Cys;train\np.(Ala1Asp);val\na1e;test\nC2D;test\nCys2Glu;test\n"
    split = by_file(text, name="split.txt", column="Set")
    assert mutants_in(split, "train") == ["WT", "A1C"]
    assert mutants_in(split, "test") == ["A1E", "C2D", "C2E"]
    assert split.info["matched_by"] == "HGVS_pro"
