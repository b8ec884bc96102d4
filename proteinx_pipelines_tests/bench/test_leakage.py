"""`proteinx bench leakage`, on a made example and on the published folds that leak."""

from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from proteinx_pipelines.bench import leakage
from proteinx_pipelines.bench.leakage import Folds, count_leaks, fold_columns, judge, rebuilt_template
from proteinx_pipelines.cli.bench import bench
from proteinx_pipelines.errors import MissingFile

SHARED = Path(__file__).parents[2] / "../shared/data"
CLEAN = ["A1C,0.1,0", "A1D,0.2,1", "A1E,0.3,0", "A1E:K3K,0.35,0", "K3L,0.4,1", "A1C:K3L,0.5,0"]
LEAKY = ["A1C,0.1,0", "A1C:K3K,0.15,1", "K3K:A1C,0.15,0", "A1D,0.2,1", "K3L,0.4,1", "K3M,,0", "K3M:A1A,1,1"]


def write(folder: Path, name: str, lines: list[str], columns: str = "mutant,DMS_score,fold_rand") -> Folds:
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.csv"
    file.write_text("\n".join([columns, *lines]) + "\n")
    return Folds(file, columns.split(",")[2])


def ask(folder: Path):
    return CliRunner().invoke(bench, ["leakage", "--data", str(folder)])


def test_leaked_rows_are_counted_from_the_text_alone():
    mutants, scores, folds = zip(*(line.split(",") for line in LEAKY), strict=True)
    table = pa.table(
        {"mutant": mutants, "DMS_score": [float(s) if s else None for s in scores], "fold_rand": folds}
    )
    expected = count_leaks(table, "fold_rand")
    assert (expected.rows, expected.leaked, expected.sequences, expected.wild_types) == (6, 3, 1, 0)
    assert expected.first_lines == (0, 3, 4, 6)
    assert rebuilt_template(table) == "AAK"


def test_a_leaky_file_is_blocked_as_it_is_and_merged_and_passes_when_mended(tmp_path):
    verdict = judge(write(tmp_path, "LEAKY", LEAKY))
    assert verdict.found == {"synonymous_mutants": 3}
    assert (verdict.is_blocked, verdict.is_blocked_merged, verdict.mended_passes) == (True, True, True)
    assert verdict.is_right


def test_a_wild_type_in_a_fold_is_a_leak_of_its_own(tmp_path):
    verdict = judge(write(tmp_path, "TESTED", [*CLEAN, "WT,1.0,0"]))
    assert verdict.found == {"wild_type_in_test": 1}
    assert verdict.is_right


def test_one_file_of_each_kind_is_printed_and_is_what_was_expected(tmp_path):
    write(tmp_path / "leaky", "LEAKY", LEAKY)
    write(tmp_path / "clean", "CLEAN", CLEAN)
    (tmp_path / "leaky" / "notes.csv").write_text("what,why\n1,2\n")
    result = ask(tmp_path)
    assert result.exit_code == 0, result.output
    assert "3 rows of 1 sequences" in result.output
    assert "1 of 1 leaky columns blocked, 1 of 1 clean ones passed." in result.output


def test_the_command_fails_when_the_checks_miss_what_leaks(tmp_path, monkeypatch):
    write(tmp_path, "LEAKY", LEAKY)
    monkeypatch.setattr(leakage, "_ask", lambda *_, **__: ({}, False))
    result = ask(tmp_path)
    assert result.exit_code == 1
    assert "0 of 1 leaky columns blocked" in result.output


def test_the_command_fails_when_the_checks_stop_what_is_clean(tmp_path, monkeypatch):
    write(tmp_path, "CLEAN", CLEAN)
    monkeypatch.setattr(leakage, "_ask", lambda *_, **__: ({"same_sequence": 2}, True))
    result = ask(tmp_path)
    assert result.exit_code == 1
    assert "0 of 1 clean ones passed" in result.output


def test_too_few_leaked_rows_found_is_not_right_either(tmp_path, monkeypatch):
    folds = write(tmp_path, "LEAKY", LEAKY)
    monkeypatch.setattr(leakage, "_ask", lambda *_, **__: ({"synonymous_mutants": 2}, True))
    monkeypatch.setattr(leakage, "_mended_passes", lambda *_: True)
    assert not judge(folds).is_right


def test_without_folds_the_error_says_where_to_get_some(tmp_path):
    with pytest.raises(MissingFile, match=r"cv_folds_multiples_substitutions\.zip"):
        fold_columns(tmp_path)
    assert "cv_folds_multiples_substitutions.zip" in CliRunner().invoke(bench, ["leakage"]).output


@pytest.mark.data
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data folder is not there: its folds are skipped")
def test_the_seven_published_leaky_files_are_blocked():
    columns = fold_columns(SHARED / "leaky_folds")
    verdicts = [judge(folds) for folds in columns]
    assert len(verdicts) == 7
    assert all(verdict.expected.is_leaky and verdict.is_right for verdict in verdicts)
    assert sum(verdict.expected.sequences for verdict in verdicts) == 493


@pytest.mark.data
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data folder is not there: its folds are skipped")
@pytest.mark.slow
def test_all_published_clean_folds_pass():
    verdicts = [judge(folds) for folds in fold_columns(SHARED / "proteingym_singles")]
    assert len(verdicts) == 447
    assert all(verdict.is_right and not verdict.expected.is_leaky for verdict in verdicts)
