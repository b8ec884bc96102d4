"""Intervals by variants and by positions, and the best values that ties and noise allow."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines import metrics
from proteinx_pipelines.contract.report import Report
from proteinx_pipelines.flags.evaluate import EvaluateFlags
from proteinx_pipelines.records import Fold, Split, VariantTable
from proteinx_pipelines.resampling.bootstrap import resampled_values
from proteinx_pipelines.resampling.units import position_groups
from proteinx_pipelines.stages.evaluate.ceilings import about_noise, best_of_ties, ceilings
from proteinx_pipelines.stages.evaluate.interval_caveats import about_intervals
from proteinx_pipelines.stages.evaluate.intervals import Drawn, what_is_drawn
from proteinx_pipelines.stages.evaluate.predict import Predictions


def singles(n_sites: int, per_site: int) -> VariantTable:
    """Single mutants, `per_site` at each of the sites."""
    letters = "CDEFGHIKLMNPQRSTVWY"
    mutants = [f"A{site + 1}{letters[k]}" for site in range(n_sites) for k in range(per_site)]
    rows = pa.table(
        {
            "source": ["toy"] * len(mutants), "mutant": mutants, "target": np.arange(float(len(mutants))),
            "DMS_score": np.arange(float(len(mutants))), "n_merged": pa.array([1] * len(mutants), pa.int32()),
        }
    )  # fmt: skip
    return VariantTable(rows, {"toy": "A" * n_sites})


def split_at(variants: VariantTable, tested: np.ndarray, **info: object) -> Split:
    rows = np.arange(variants.n_variants)
    fold = Fold(rows[~tested], rows[:0], rows[tested])
    return Split(pa.array(rows.astype(str)), [fold], pa.array([""] * len(rows)), info)


@pytest.mark.parametrize(
    ("by_site", "info", "asked", "unit"),
    [
        (True, {"method": "file"}, None, "positions"),  # seen from the rows, whatever the file's name
        (False, {"method": "file"}, None, "variants"),
        (False, {"method": "modulo"}, None, "positions"),
        (False, {"method": "contiguous"}, None, "positions"),
        (False, {"method": "by_position"}, None, "positions"),
        (False, {"method": "leave_one_position_out"}, None, "positions"),
        (True, {"method": "file"}, "variants", "variants"),
        (False, {"method": "random"}, "positions", "positions"),
    ],
)
def test_positions_are_drawn_where_the_split_tests_new_ones(by_site, info, asked, unit):
    variants = singles(20, 5)
    rows = np.arange(100)
    split = split_at(variants, rows // 5 % 4 == 0 if by_site else rows % 5 == 0, **info)
    chosen = Predictions(split.folds[0].test, np.zeros(len(split.folds[0].test), np.int32), np.zeros(0))
    drawn = what_is_drawn(variants, split, chosen, EvaluateFlags(resample=asked))
    assert drawn.unit == unit
    assert drawn.reason


def test_the_report_has_both_intervals_and_the_page_shows_them(make_experiment, page):
    found = make_experiment().evaluate()
    report = Report.model_validate(found.report)
    entry = report.metrics["test"].values["spearman"]
    assert report.interval.unit == "variants"
    assert entry.by_variants == [entry.low, entry.high]
    assert entry.by_positions is not None
    assert entry.by_positions != entry.by_variants
    assert "Intervals by variants and by positions" in page(found)


def test_halves_of_positions_differ_as_much_as_the_interval_by_positions_says():
    """A site's variants share their error: halves of the sites differ twice as much as single variants promise."""
    random = np.random.default_rng(1)
    variants = singles(120, 12)
    of_site = random.normal(size=120)
    target = np.repeat(of_site, 12) + 0.6 * random.normal(size=1440)
    prediction = np.repeat(0.6 * of_site + 0.8 * random.normal(size=120), 12)
    groups = position_groups(["toy"] * 1440, variants.rows.column("mutant"))
    ratio = {}
    for unit in ("variants", "positions"):
        drawn = resampled_values(
            ["pearson"], target, {"m": prediction}, resamples=400, seed=0, progress=lambda _a, _b: None,
            groups=groups if unit == "positions" else None,
        )  # fmt: skip
        differences = []
        for _ in range(200):
            first = random.permutation(120) < 60
            halves = [np.isin(groups, np.flatnonzero(side)) for side in (first, ~first)]
            one, other = (np.corrcoef(target[half], prediction[half])[0, 1] for half in halves)
            differences.append(one - other)
        # A half has half of the positions: each varies as sqrt(2) times the whole, their difference as 2 times.
        ratio[unit] = np.std(differences) / (2 * drawn["m"]["pearson"].std())
    assert 0.85 < ratio["positions"] < 1.15
    assert ratio["variants"] > 1.5


def test_warnings_about_intervals():
    drawn = Drawn("positions", "", np.repeat(np.arange(4), 30))
    found = [entry["code"] for entry in about_intervals(EvaluateFlags(bootstrap=200), drawn, 120)]
    assert found == ["few_resamples", "few_positions"]
    assert list(about_intervals(EvaluateFlags(bootstrap=0), drawn, 120)) == []
    fine = replace(drawn, groups=np.arange(120))
    assert list(about_intervals(EvaluateFlags(), fine, 120)) == []


def test_ties_limit_what_any_model_reaches():
    """50 zeros and 50 ones, ranked perfectly: top10_recall was 0.20 and Spearman 0.87."""
    target = np.repeat([0.0, 1.0], 50)
    best = best_of_ties(target, ("spearman", "mse", "top10_recall"))
    assert best == {"spearman": pytest.approx(0.866, abs=1e-3), "top10_recall": pytest.approx(0.2)}
    random = np.random.default_rng(0)
    for _ in range(50):
        guess = random.permutation(100)
        assert metrics.compute("spearman", target, guess) <= best["spearman"] + 1e-12
    assert best_of_ties(np.ones(20), ("spearman",)) == {}


def test_the_noise_of_replicates_is_the_ceiling():
    random = np.random.default_rng(0)
    variants = singles(100, 10)
    truth = random.normal(size=1000)
    measured = truth[:, None] + 0.8 * random.normal(size=(1000, 2))
    rows = variants.rows
    for name, values in (("DMS_score", measured.mean(axis=1)), ("n_merged", np.full(1000, 2, np.int32))):
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values))
    rows = rows.append_column("replicate_deviation", pa.array(measured.std(axis=1, ddof=1)))
    noisy = VariantTable(rows, variants.templates)
    found = ceilings(noisy, np.arange(1000), ("spearman",))
    expected = np.corrcoef(truth, measured.mean(axis=1))[0, 1]
    assert found["noise"]["pearson"] == pytest.approx(expected, abs=0.02)
    assert [entry["code"] for entry in about_noise(found)] == ["noise_ceiling"]
    assert ceilings(variants, np.arange(1000), ("spearman",))["noise"] is None
