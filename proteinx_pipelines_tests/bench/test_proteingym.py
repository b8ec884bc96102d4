"""The supervised protocol, on assays made up here and on the published ones."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from proteinx_pipelines.bench.assays import CI_SET, assay_files, choose, read_assay
from proteinx_pipelines.bench.proteingym import AssayScore, score_assay
from proteinx_pipelines.bench.protocol import OutOfFold
from proteinx_pipelines.bench.published import ONE_HOT, Published, read_published
from proteinx_pipelines.bench.verdict import averages, compare, passes, why_different
from proteinx_pipelines.cli.bench import bench
from proteinx_pipelines.errors import CatalogError, MissingFile
from proteinx_pipelines.records import AMINO_ACIDS

SHARED = Path(__file__).parents[2] / "../shared/data"
PUBLISHED = SHARED / "published" / "proteingym_supervised.csv"
TEMPLATE = "ACDEFGHIKLMNPQRSTVWY"
EFFECT = dict(zip(AMINO_ACIDS, np.linspace(-1, 1, 20), strict=True))


def write_assay(folder: Path, name: str = "TOY", *, with_sequences: bool = False) -> Path:
    rng = np.random.default_rng(3)
    lines = []
    for position, wild_type in enumerate(TEMPLATE, 1):
        for residue in "ACDEFGHI":
            if residue != wild_type:
                score = EFFECT[residue] * 0.3 + position * 0.05 + rng.normal(0, 0.01)
                sequence = TEMPLATE[: position - 1] + residue + TEMPLATE[position:]
                folds = (rng.integers(5), position % 5, (position - 1) // 4)
                line = {"mutant": f"{wild_type}{position}{residue}", "DMS_score": score}
                line |= {"mutated_sequence": sequence} if with_sequences else {}
                lines.append(
                    line
                    | dict(zip(("fold_random_5", "fold_modulo_5", "fold_contiguous_5"), folds, strict=True))
                )
    file = folder / f"{name}.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    if not with_sequences:
        (folder / "index.json").write_text(json.dumps({name: {"template": TEMPLATE}}))
    return file


def write_published(folder: Path, value: float, name: str = "TOY") -> Path:
    file = folder / "published.txt"
    file.write_text(f"DMS_id,scheme,model,metric,value\n{name},random,{ONE_HOT},Spearman,{value}\n")
    return file


def score(pooled: float, *, fold_mean: float = 0.5, remarks: tuple[str, ...] = ()) -> AssayScore:
    return AssayScore("TOY", "random", 100, pooled, fold_mean, 0.5, None, 1.0, remarks)


def compared(ours: AssayScore, value: float, *, either_way: bool = False):
    known = Published({("TOY", "random", ONE_HOT): value})
    return compare(ours, known, against=ONE_HOT, model="ridge", either_way=either_way)


def test_the_protocol_predicts_every_variant_once_and_recovers_an_additive_assay(tmp_path):
    found = score_assay("TOY", write_assay(tmp_path), "random", ["model.name=ridge", "model.alpha=0.1"])
    assert found.n == 152
    assert found.pooled > 0.9
    assert found.mse < 0.2
    assert found.remarks == ()


def test_a_template_is_rebuilt_from_the_mutated_sequence(tmp_path):
    file = write_assay(tmp_path, with_sequences=True)
    assert read_assay("TOY", file).templates == {"TOY": TEMPLATE}


def test_without_a_template_the_file_is_refused(tmp_path):
    file = write_assay(tmp_path)
    (tmp_path / "index.json").unlink()
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    moved = file.rename(elsewhere / file.name)
    with pytest.raises(CatalogError, match="no template"):
        read_assay("TOY", moved)


def test_predictions_that_do_not_vary_are_remarked_on_and_have_no_mean_over_folds(tmp_path):
    found = score_assay("TOY", write_assay(tmp_path), "modulo", ["model.name=ridge"])
    assert np.isnan(found.fold_mean)
    assert found.remarks == (
        "metric: predictions do not vary within 5 of 5 folds, where no order is predicted",
    )


def test_pooling_is_of_values_standardised_on_each_folds_training_rows():
    level = np.array([0.0, 0.0, 10.0, 10.0])
    found = OutOfFold(
        target=np.array([1.0, 2.0, 11.0, 12.0]), prediction=np.array([1.0, 2.0, 11.0, 12.0]) + level / 10,
        deviation=np.array([0.1, 0.1, 1.0, 1.0]), fold=np.array([0, 0, 1, 1]), level=level,
        spread=np.array([1.0, 1.0, 2.0, 2.0]), seconds=0.0, dropped={}, n_unused=0,
    )  # fmt: skip
    assert found.pooled == pytest.approx(5 / 6)  # targets 1 2 0.5 1, predictions 1 2 1 1.5
    assert found.fold_mean == pytest.approx(1)
    assert found.mse == pytest.approx(0.125)
    assert found.coverage() == 1.0


@pytest.mark.parametrize(
    ("pooled", "value", "either_way", "within"),
    [(0.50, 0.51, False, True), (0.50, 0.53, False, False), (0.60, 0.50, False, True), (0.60, 0.50, True, False),
     (float("nan"), 0.0, False, False)],
)  # fmt: skip
def test_only_what_is_below_fails_unless_both_ways_are_asked_for(pooled, value, either_way, within):
    assert compared(score(pooled), value, either_way=either_way).within is within


def test_a_difference_is_put_down_to_metric_data_or_model():
    assert compared(score(0.4, fold_mean=0.5), 0.5).reasons[0].startswith("metric: the mean over folds")
    assert compared(score(0.4, fold_mean=0.4), 0.5).reasons[0].startswith("model")
    lost = score(0.4, fold_mean=0.4, remarks=("data: 3 stop",))
    assert compared(lost, 0.5).reasons == ("data: 3 stop",)
    assert compared(score(0.5), 0.5).reasons == ()


def test_what_differs_is_counted_by_its_first_reason():
    found = [
        compared(score(0.5), 0.5), compared(score(0.4, fold_mean=0.5), 0.5), compared(score(0.4, fold_mean=0.4), 0.5),
        compared(score(0.4, fold_mean=0.4, remarks=("data: 3 stop",)), 0.5), compared(score(float("nan")), 0.5),
        compared(score(0.5, remarks=("folds: 4 instead of 5",)), 0.5),
    ]  # fmt: skip
    assert why_different(found) == {"data": 1, "folds": 0, "metric": 2, "model": 1}


def test_averages_are_of_the_same_assays_and_the_best_published_model_comes_first():
    one, other = (replace(score(pooled), name=name) for name, pooled in (("A", 0.4), ("B", 0.6)))
    values = {("A", "random", "good"): 0.7, ("B", "random", "good"): 0.9, ("C", "random", "good"): 0.0,
              ("A", "random", "poor"): 0.1, ("A", "modulo", "poor"): 0.5}  # fmt: skip
    found = averages([one, other], Published(values), ["random"], model="auto")
    assert [(row.model, row.is_ours, row.assays) for row in found] == [
        ("auto", True, 2), ("good", False, 2), ("poor", False, 1)
    ]  # fmt: skip
    assert [row.mean for row in found] == pytest.approx([0.5, 0.8, 0.1])
    both = averages(
        [one, replace(one, scheme="modulo")], Published(values), ["random", "modulo"], model="auto"
    )
    assert [(row.model, row.by_scheme, row.mean) for row in both] == [
        ("auto", (0.4, 0.4), 0.4), ("poor", (0.1, 0.5), 0.3), ("good", (0.7, None), None)
    ]  # fmt: skip


def test_a_whole_folder_is_judged_by_its_mean():
    found = [compared(score(0.4), 0.5), compared(score(0.7), 0.6)]
    assert passes(found, each=False)
    assert not passes(found, each=True)


def test_the_command_prints_writes_and_fails_below_the_published_value(tmp_path):
    write_assay(tmp_path)
    out = tmp_path / "out" / "scores.csv"
    words = ["proteingym", "--data", str(tmp_path), "--assays", "TOY", "model.alpha=0.1", "--out", str(out)]
    good = CliRunner().invoke(bench, [*words, "--published", str(write_published(tmp_path, 0.9))])
    assert good.exit_code == 0, good.output
    assert "0.900" in good.output
    rows = list(csv.DictReader(out.open()))
    assert list(rows[0]) == ["DMS_id", "n", "scheme", "pooled_spearman", "fold_mean_spearman", "mse"]
    assert float(rows[0]["pooled_spearman"]) > 0.9
    bad = CliRunner().invoke(
        bench, [*words, "model.alpha=1e9", "--published", str(write_published(tmp_path, 0.999))]
    )
    assert bad.exit_code == 1


def test_without_data_the_command_says_where_to_get_it(tmp_path):
    missing = CliRunner().invoke(bench, ["proteingym"])
    assert missing.exit_code == 2
    assert "cv_folds_singles_substitutions.zip" in missing.output
    with pytest.raises(MissingFile, match=r"release 1\.3"):
        assay_files(tmp_path)


def test_unknown_assays_are_named_with_the_nearest(tmp_path):
    with pytest.raises(MissingFile, match=r"'TOI' \(did you mean 'TOY'\?\)"):
        choose({"TOY": tmp_path}, ["TOI"])


@pytest.mark.data
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data folder is not there: ProteinGym is skipped")
@pytest.mark.parametrize("name", [name for name in CI_SET if name != "BLAT_ECOLX_Stiffler_2015"])
def test_one_hot_ridge_is_the_published_one_hot_model(name):
    file = assay_files(SHARED / "proteingym_singles")[name]
    value = read_published(PUBLISHED).value(name, "random", ONE_HOT)
    assert score_assay(name, file, "random", ["model.name=ridge"]).pooled == pytest.approx(value, abs=0.02)


@pytest.mark.data
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data folder is not there: ProteinGym is skipped")
@pytest.mark.parametrize("name", ["TCRG1_MOUSE_Tsuboyama_2023_1E0L", "A0A1I9GEU1_NEIME_Kennouche_2019"])
def test_the_gaussian_process_covers_what_its_interval_promises(name):
    file = assay_files(SHARED / "proteingym_singles")[name]
    assert 0.90 <= score_assay(name, file, "random", ["model.name=gp"]).coverage <= 0.98


@pytest.mark.data
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data folder is not there: ProteinGym is skipped")
@pytest.mark.parametrize(("scheme", "floor"), [("random", 0.85), ("modulo", 0.28), ("contiguous", 0.33)])
@pytest.mark.slow
def test_auto_predicts_unseen_positions_where_one_hot_cannot(scheme, floor):
    name = "TCRG1_MOUSE_Tsuboyama_2023_1E0L"
    file = assay_files(SHARED / "proteingym_singles")[name]
    assert score_assay(name, file, scheme, ["model.name=auto"]).pooled >= floor
