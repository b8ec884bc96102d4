"""Judging anybody's predictions, and splits that are not what their names say."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from proteinx_pipelines import bench as benchmarks
from proteinx_pipelines.bench.declared import check, positions_of
from proteinx_pipelines.bench.score import Predicted, aggregate, audit, changes_of, read_predictions, score
from proteinx_pipelines.cli.bench import bench
from proteinx_pipelines.cli.main import main
from proteinx_pipelines.errors import CatalogError, MissingFile

LETTERS = "CDEFGHIKLM"


def predictions(n_positions: int = 30, noise: float = 0.5, seed: int = 0) -> Predicted:
    """Singles whose scores share the effect of their position."""
    rng = np.random.default_rng(seed)
    mutants = [f"A{position}{letter}" for position in range(1, n_positions + 1) for letter in LETTERS]
    effect = np.repeat(rng.normal(size=n_positions), len(LETTERS))
    y = effect + 0.3 * rng.normal(size=len(mutants))
    error = np.repeat(rng.normal(size=n_positions), len(LETTERS)) * noise
    folds = [str(each) for each in rng.integers(0, 5, len(mutants))]
    return Predicted("TOY_HUMAN_Lab_2026", mutants, y, effect + error, folds)


def write(folder: Path, found: Predicted, name: str | None = None) -> Path:
    lines = ["mutant,y,y_pred,fold"]
    lines += [
        f"{m},{y},{p},{f}"
        for m, y, p, f in zip(found.mutant, found.y, found.y_pred, found.fold or [], strict=True)
    ]
    file = folder / f"{name or found.assay}.csv"
    file.write_text("\n".join(lines))
    return file


def test_the_score_is_scipys_and_positions_widen_the_interval():
    found = predictions()
    judged = score(found, "random", resamples=400)
    assert judged.spearman == pytest.approx(stats.spearmanr(found.y, found.y_pred).statistic)
    assert judged.mse == pytest.approx(np.mean((found.y - found.y_pred) ** 2))
    by_variant, by_position = (high - low for low, high in (judged.by_variant, judged.by_position))
    assert (
        by_position > 1.4 * by_variant
    )  # errors go by position: variants of one are no independent evidence
    assert judged.by_position[0] < judged.spearman < judged.by_position[1]
    assert judged.audit is not None
    assert judged.audit.is_clean


def test_one_sequence_in_several_folds_is_found_under_any_spelling():
    found = Predicted(
        "X",
        ["A1C", "A1C:K3K", "K3K:A1C", "A1D", "WT"],
        np.arange(5.0),
        np.arange(5.0),
        ["0", "1", "0", "1", "1"],
    )
    told = audit(found, None)
    assert (told.leaked, told.repeated, told.wild_types, told.is_clean) == (3, 3, 1, False)
    assert told.examples == ("A1C, A1C:K3K, K3K:A1C",)


@pytest.mark.parametrize(
    ("name", "parts", "holds"),
    [
        ("one_vs_rest", ["train", "train", "test", "test"], True),
        ("one_vs_rest", ["train", "test", "train", "test"], False),
        ("two_to_many", ["train", "train", "train", "test"], True),
        ("low_vs_high", ["train", "train", "test", "test"], True),
        ("low_vs_high", ["train", "test", "train", "test"], False),
        ("fold_contiguous_5", ["0", "0", "1", "1"], False),
        ("sampled", ["train", "test", "train", "test"], None),
        ("one_vs_rest_validation", ["true", "false", "true", "false"], None),
    ],
)
def test_a_split_is_what_its_name_says_or_it_is_told(name, parts, holds):
    found = check(name, ["A1C", "A2D", "A1C:A2D", "A1C:A2D:K3L"], parts, [1.0, 2.0, 3.0, 4.0])
    assert (None if found is None else found.holds) == holds


def test_schemes_by_position_are_told_apart():
    mutants = [f"A{position}{letter}" for position in range(1, 11) for letter in "CD"]
    by_scheme = {
        "contiguous": [str((position - 1) // 5) for position in range(1, 11) for _ in "CD"],
        "modulo": [str(position % 2) for position in range(1, 11) for _ in "CD"],
        "random": ["0", "1"] * 10,
    }
    for name, folds in by_scheme.items():
        for other, wrong in by_scheme.items():
            rule = check(name, mutants, wrong, [None] * 20)
            assert rule is not None
            assert rule.holds == (name == other), (name, other)
        assert check(f"fold_{name}_5", mutants, folds, [None] * 20).holds
    assert positions_of("A10C:D-2E") == (10, -2)


def test_the_aggregate_is_proteingyms():
    values = {"P_A_x_1": 0.2, "P_A_y_2": 0.4, "Q_B_z_3": 0.9, "R_C_w_4": 0.5}
    kinds = {"P_A_x_1": "Stability", "P_A_y_2": "Stability", "Q_B_z_3": "Stability", "R_C_w_4": "Binding"}
    assert aggregate(values, kinds) == pytest.approx(np.mean([np.mean([np.mean([0.2, 0.4]), 0.9]), 0.5]))


def test_the_command_compares_with_published_models_and_fails_on_leaky_folds(tmp_path):
    files = tmp_path / "predictions"
    files.mkdir()
    for k in range(4):
        write(files, predictions(seed=k), f"TOY{k}_HUMAN_Lab_2026")
    table = ["DMS_id,scheme,model,metric,value"]
    for k in range(4):
        name = f"TOY{k}_HUMAN_Lab_2026,random"
        table += [f"{name},strong,Spearman,0.99", f"{name},weak,Spearman,0.1", f"{name},weak,MSE,2.0"]
    (tmp_path / "proteingym_supervised.csv").write_text("\n".join(table))
    words = ["score", str(files), "--scheme", "random", "--published", str(tmp_path), "--json"]
    found = CliRunner().invoke(bench, words)
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert [(row["model"], row["n"], row["better"]) for row in document["against"]] == [
        ("strong", 4, 0),
        ("weak", 4, 4),
    ]
    assert document["against"][1]["low"] < document["against"][1]["spearman"] < document["against"][1]["high"]
    assert document["against"][1]["mse"] < 0
    assert document["against"][0]["mse"] is None
    wrong = CliRunner().invoke(bench, ["score", str(files), "--scheme", "contiguous"])
    assert wrong.exit_code == 1
    assert "the folds are not contiguous" in wrong.stderr
    assert CliRunner().invoke(bench, ["score", str(files), "--published", str(tmp_path)]).exit_code == 2


def test_a_file_without_its_columns_or_numbers_says_what_is_expected(tmp_path):
    (tmp_path / "x.csv").write_text("mutant,score\nA1C,1\n")
    with pytest.raises(CatalogError, match=r"no column y, y_pred; it has mutant, score"):
        read_predictions(tmp_path / "x.csv")
    (tmp_path / "y.csv").write_text("mutant,y,y_pred\nA1C,1,\nA1D,2,0.5\n")
    with pytest.raises(CatalogError, match="y_pred must be numbers"):
        read_predictions(tmp_path / "y.csv")
    with pytest.raises(MissingFile):
        read_predictions(tmp_path / "none.csv")


def test_every_row_that_cannot_be_judged_is_named(tmp_path):
    """Texts that are no mutants counted as the wild type; empty, ragged and headed files ended in a traceback."""
    file = tmp_path / "x.csv"
    file.write_text("mutant,y,y_pred,fold\nfoo,1,2,0\nA1C,x,2,0\nA1D,1,2\nA1E,1,2,\n")
    with pytest.raises(CatalogError) as raised:
        read_predictions(file)
    for said in (
        "line 2: 'foo' is not a mutant",
        "line 3: 'x' is no number",
        "line 4: 3 cells",
        "line 5: '' is no fold",
    ):
        assert said in str(raised.value)
    for text in ("", "mutant,y,y_pred,fold\n"):
        file.write_text(text)
        with pytest.raises(CatalogError, match="no row"):
            read_predictions(file)
    file.write_bytes(bytes(range(256)))
    with pytest.raises(CatalogError):
        read_predictions(file)


@pytest.mark.parametrize("content", [b"", b"mutant,fold_a\nA1C\n", bytes(range(256)), b"\x1f\x8bnot gzip"])
def test_a_file_that_is_no_csv_is_refused_by_every_benchmark_that_reads_one(tmp_path, content):
    """Arrow's exceptions ended `bench leakage` and `bench score --published` in a traceback."""
    (tmp_path / "folds.csv").write_bytes(content)
    right = write(tmp_path, predictions())
    for words in (
        ["leakage", "--data", str(tmp_path)],
        ["score", str(right), "--scheme", "random", "--published", str(tmp_path / "folds.csv")],
    ):
        done = CliRunner().invoke(main, ["bench", *words])
        assert done.exit_code == 1, done.output
        assert "folds.csv cannot be read as CSV" in done.output
    reads = re.compile(r"pyarrow\.csv\.(read|open)_csv")
    files = Path(benchmarks.__file__).parent.glob("*.py")
    assert [path.name for path in files if reads.search(path.read_text())] == ["plain_csv.py"]


def test_a_reference_of_another_form_and_an_undefined_score_are_said(tmp_path):
    right = write(tmp_path, predictions(n_positions=3))
    for name, text, said in (
        ("none.json", None, "cannot be read"),
        ("x.json", "{", "is not JSON"),
        ("y.json", "[1]", "another form"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        done = CliRunner().invoke(main, ["bench", "score", str(right), "--reference", str(tmp_path / name)])
        assert (done.exit_code, said in done.output) == (2, True), done.output
    (tmp_path / "flat.csv").write_text("mutant,y,y_pred\nA1C,1,5\nA1D,2,5\n")
    assert (
        "Spearman is undefined"
        in CliRunner().invoke(main, ["bench", "score", str(tmp_path / "flat.csv")]).output
    )


def test_predictions_are_read_in_the_forms_and_notations_of_an_import(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text(
        "mutant;y;y_pred;fold\na1c/D3E;1,5;2,5;0\np.Lys4Ala;1;2;1\nE3_Q4insA;0;1;2\nE3_Q4insC;0;1;0\n"
    )
    (found,) = read_predictions(file)
    assert (found.assay, found.y.tolist(), found.y_pred.tolist()) == ("x", [1.5, 1, 0, 0], [2.5, 2, 1, 1])
    judged = score(found, None, resamples=20)
    assert judged.audit is not None
    assert (judged.audit.wild_types, judged.audit.leaked) == (0, 0)
    assert changes_of("a1c/D3E") == changes_of("D3E:A1C") == changes_of("A1C:D3E:K4K")
    assert changes_of("wt") == changes_of("WT") == changes_of("K4K") == frozenset()


def test_the_leakage_benchmark_fails_for_a_split_that_is_not_what_it_says(tmp_path):
    (tmp_path / "flip.csv").write_text(
        "mutant,Fitness,one_vs_rest\nA1C,1,train\nA1C:A2D,2,test\nA2D,1,test\n"
    )
    wrong = CliRunner().invoke(bench, ["leakage", "--data", str(tmp_path)])
    assert wrong.exit_code == 1
    assert "1 test rows with at most 1" in wrong.stderr
    (tmp_path / "flip.csv").write_text(
        "mutant,Fitness,one_vs_rest\nA1C,1,train\nA1C:A2D,2,test\nA2D,1,train\n"
    )
    right = CliRunner().invoke(bench, ["leakage", "--data", str(tmp_path), "--json"])
    assert right.exit_code == 0, right.output
    assert json.loads(right.stdout)[0]["declared"]["holds"]
