"""Which pictures a report has, and the arrays that each of them shows; how they are drawn is `plots` and `maps`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from proteinx_pipelines.records import Split, Training, VariantTable
from proteinx_pipelines.stages.evaluate.learning_curve import learning_curve
from proteinx_pipelines.stages.evaluate.maps import draw_mutation_map, draw_split, mutation_map
from proteinx_pipelines.stages.evaluate.plots import (
    draw_calibration,
    draw_histogram,
    draw_learning_curve,
    draw_scatter,
    draw_size_curve,
)
from proteinx_pipelines.stages.evaluate.predict import Predictions


def draw_pictures(
    variants: VariantTable, split: Split, test: Predictions, report: Mapping[str, Any], training: Training
) -> dict[str, bytes]:
    """PNG bytes by their name under `artifacts/`.

    Args:
        variants: N rows.
        split: of those rows.
        test: P test predictions, of one pass.
        report: the sections with numbers.
        training: for the learning curve by epoch.
    """
    histogram = report["data"]["histogram"]
    counts = {part: np.array(heights) for part, heights in histogram["counts"].items()}
    pictures = {
        "plots/histogram.png": draw_histogram(np.array(histogram["edges"]), counts),
        "plots/split.png": draw_split(split),
    }
    if np.isfinite(test.prediction).all():
        pictures["plots/scatter.png"] = _scatter(variants, test, report)
        if (found := mutation_map(variants, test, in_target_units=report["in_target_units"])) is not None:
            pictures["plots/mutations.png"] = draw_mutation_map(found)
    if report["calibration"]:
        pictures["plots/calibration.png"] = draw_calibration(report["calibration"]["coverage"])
    if (name := _first_defined(report)) is not None:
        pictures["plots/size_curve.png"] = draw_size_curve(report["size_curve"], name, _whole(report, name))
    curve = draw_learning_curve(learning_curve(training))
    return pictures if curve is None else {**pictures, "plots/learning_curve.png": curve}


def _scatter(variants: VariantTable, test: Predictions, report: Mapping[str, Any]) -> bytes:
    target = variants.column("target").astype(np.float64)[test.rows]
    first, entry = next(iter(report["metrics"]["test"]["values"].items()))
    value = "undefined" if entry["value"] is None else f"{entry['value']:.3f}"
    return draw_scatter(
        target,
        test.prediction,
        note=f"{len(target):,} test variants, {first} {value}",
        in_target_units=report["in_target_units"],
    )


def _first_defined(report: Mapping[str, Any]) -> str | None:
    """The first metric that the learning curve by size has a value of; errors have none on ranked targets."""
    names = report["metrics"]["test"]["values"]
    defined = (name for name in names if any(entry[name] is not None for entry in report["size_curve"]))
    return next(defined, None)


def _whole(report: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Training rows (mean over folds) and value of the model that the report is about."""
    n_train = float(np.mean([size["train"] for size in report["split"]["sizes"]]))
    value = report["metrics"]["test"]["values"][name]["value"]
    return n_train, float("nan") if value is None else float(value)
