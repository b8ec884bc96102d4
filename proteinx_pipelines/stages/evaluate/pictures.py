"""Pictures of a report and the arrays they show; `pages.figures` draws them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from proteinx_pipelines.mutants import WILD_TYPE
from proteinx_pipelines.numbering import as_written
from proteinx_pipelines.pages.figures.colours import PARTS
from proteinx_pipelines.pages.figures.curve import Line, category, curve
from proteinx_pipelines.pages.figures.figure import Figure
from proteinx_pipelines.pages.figures.scatter import scatter
from proteinx_pipelines.pages.figures.strip import strip
from proteinx_pipelines.pages.numbers import number
from proteinx_pipelines.records import Evidence, Split, Training, VariantTable
from proteinx_pipelines.stages.evaluate.learning_curve import learning_curve
from proteinx_pipelines.stages.evaluate.maps import Sites, map_figure
from proteinx_pipelines.stages.evaluate.predict import Predictions
from proteinx_pipelines.stages.evaluate.singles import Singles

MAX_FOLDS = 40
"""Most folds shown in the split's picture and the learning curves."""
_WORDS = {"spearman": "Spearman", "pearson": "Pearson"}


def report_pictures(
    variants: VariantTable,
    split: Split,
    test: Predictions,
    report: Mapping[str, Any],
    training: Training,
    sites: Sites | None,
    singles: Singles | None,
    evidence: Evidence | None = None,
) -> list[Figure]:
    """Build the pictures of a report, in display order.

    Args:
        variants: N rows.
        split: of those rows.
        test: P test predictions, of one pass.
        report: the sections with numbers.
        training: for the learning curve by epoch.
        sites: subject of the map; None if there is no map.
        singles: predictions of all single mutants, if the models can predict new sequences.
        evidence: structure and alignment of the templates, shown above the map.
    """
    found = []
    finite = np.isfinite(test.prediction).all()
    if finite:
        found.append(_scatter(variants, test, report))
    found.append(_distributions(report))
    if finite and report["in_target_units"]:
        found.append(_residuals(variants, test))
    if report["calibration"]:
        found.append(_calibration(report["calibration"]))
    if report.get("probabilities"):
        found += [_reliability(entry) for entry in report["probabilities"]["thresholds"]]
    if (name := _first_defined(report)) is not None:
        found.append(_by_size(report, name))
    found += _by_epoch(training)
    if finite and sites is not None:
        found.append(
            map_figure(
                variants, sites, test, singles, in_target_units=report["in_target_units"], evidence=evidence
            )
        )
    found.append(_split(split))
    return found


def _scatter(variants: VariantTable, test: Predictions, report: Mapping[str, Any]) -> Figure:
    target = variants.column("target").astype(np.float64)
    rows = variants.rows.select(["mutant", "source"]).take(test.rows)
    first, entry = next(iter(report["metrics"]["test"]["values"].items()))
    value = "undefined" if entry["value"] is None else number(entry["value"])
    wild_type = target[variants.column("mutant") == WILD_TYPE]
    note = f"{len(test.rows):,} test variants, {_WORDS.get(first, first)} {value}."
    return scatter(
        target[test.rows],
        test.prediction,
        as_written(rows.column("mutant"), rows.column("source"), variants.offsets).to_pylist(),
        deviation=test.deviation,
        wild_type=float(wild_type.mean()) if len(wild_type) else None,
        same_unit=report["in_target_units"],
        caption=note,
        alternative=f"Scatter of measured against predicted targets: {note}",
        y_label="predicted" if report["in_target_units"] else "predicted (normal score of rank)",
    )


def _distributions(report: Mapping[str, Any]) -> Figure:
    histogram = report["data"]["histogram"]
    edges = np.asarray(histogram["edges"], np.float64)
    lines, sizes = [], []
    for part, heights in histogram["counts"].items():
        counts = np.asarray(heights, np.float64)
        if counts.sum():
            density = counts / counts.sum() / np.diff(edges)
            lines.append(Line(f"{part} ({int(counts.sum()):,})", edges, density, PARTS[part], steps=True))
            sizes.append(f"{int(counts.sum()):,} {part}")
    target = report["data"]["target"]
    return curve(
        "histogram", lines, title="Measured targets",
        caption=f"Distribution of the measured targets in each part ({', '.join(sizes)}), each with area 1.",
        alternative=(
            f"Targets from {number(target['min'])} to {number(target['max'])}, median {number(target['median'])}"
        ),
        x_label="measured target", y_label="density", y_range=(0.0, 1.05 * max(float(line.y.max()) for line in lines)),
    )  # fmt: skip


def _residuals(variants: VariantTable, test: Predictions) -> Figure:
    """Mean error and its spread in twenty equal parts of the predictions."""
    error = test.prediction - variants.column("target").astype(np.float64)[test.rows]
    order = np.argsort(test.prediction, kind="stable")
    pieces = [piece for piece in np.array_split(order, min(20, max(1, len(order) // 10))) if len(piece)]
    at = np.array([test.prediction[piece].mean() for piece in pieces])
    middle = np.array([error[piece].mean() for piece in pieces])
    spread = np.array([error[piece].std() for piece in pieces])
    line = Line("mean error", at, middle, PARTS["test"], dots=True, low=middle - spread, high=middle + spread)
    zero = Line("", np.array([at.min(), at.max()]), np.zeros(2), PARTS["train"], thin=True)
    return curve(
        "residuals", [zero, line], title="Errors along the predictions",
        caption=f"Predicted less measured, mean and standard deviation in {len(pieces)} groups of equal size.",
        alternative=f"Mean error {number(float(error.mean()))}, standard deviation {number(float(error.std()))}",
        x_label="predicted", y_label="predicted − measured",
    )  # fmt: skip


def _calibration(found: Mapping[str, Any]) -> Figure:
    levels = np.array([entry["level"] for entry in found["coverage"]])
    inside = np.array([entry["inside"] for entry in found["coverage"]])
    # A Wilson interval would be narrower at the ends; readers can check the normal interval by hand.
    half = 1.96 * np.sqrt(levels * (1 - levels) / max(1, found["n"]))
    band = Line("what chance allows", levels, levels, PARTS["train"], thin=True,
                low=np.clip(levels - half, 0, 1), high=np.clip(levels + half, 0, 1))  # fmt: skip
    at_95 = inside[int(np.argmin(np.abs(levels - 0.95)))]
    return curve(
        "calibration", [band, Line("the model", levels, inside, PARTS["test"], dots=True)],
        title="Calibration", x_range=(0, 1), y_range=(0, 1), diagonal=True,
        caption=(
            "Share of measured values inside the model's own central intervals; on the diagonal the model is "
            f"calibrated. {found['n']:,} test variants."
        ),
        alternative=f"{at_95:.0%} of the measured values lie inside the 95 % intervals",
        x_label="level of the predicted interval", y_label="share of measured values inside",
    )  # fmt: skip


def _reliability(entry: Mapping[str, Any]) -> Figure:
    groups = entry["reliability"]
    at, observed, low, high = (
        np.array([group[name] for group in groups]) for name in ("predicted", "observed", "low", "high")
    )
    name = "reliability" if entry["class"] == 1 else f"reliability_{entry['class']}"
    return curve(
        name, [Line("test variants", at, observed, PARTS["test"], dots=True, low=low, high=high)],
        title=f"Reliability at {entry['threshold']:g}", x_range=(0, 1), y_range=(0, 1), diagonal=True,
        caption=(
            f"Share of test variants at or above {entry['threshold']:g} in groups of equal size by their predicted "
            "probability, with 95 % intervals; on the diagonal the probabilities are what they say."
        ),
        alternative="; ".join(f"{x:.2f} predicted, {y:.2f} observed" for x, y in zip(at, observed, strict=True)),
        x_label="predicted probability", y_label="share at or above the threshold",
    )  # fmt: skip


def _first_defined(report: Mapping[str, Any]) -> str | None:
    """First metric defined in the learning curve by size; errors are undefined on ranked targets."""
    names = report["metrics"]["test"]["values"]
    defined = (name for name in names if any(entry[name] is not None for entry in report["size_curve"]))
    return next(defined, None)


def _by_size(report: Mapping[str, Any], name: str) -> Figure:
    """Picture of the learning curve by size: a dot per draw, a line through the means, all rows at the end."""
    found = [(entry["n_train"], entry[name]) for entry in report["size_curve"] if entry[name] is not None]
    sizes = sorted({size for size, _ in found})
    means = [float(np.mean([value for size, value in found if size == each])) for each in sizes]
    whole = float(np.mean([size["train"] for size in report["split"]["sizes"]]))
    value = report["metrics"]["test"]["values"][name]["value"]
    last = float("nan") if value is None else float(value)
    x, y = np.array(found, np.float64).T
    return curve(
        "size_curve",
        [Line("one draw", x, y, category(0), thin=True, dots=True, joined=False),
         Line("mean", np.array([*sizes, whole], np.float64), np.array([*means, last]), category(1), dots=True)],
        title="Score by number of training variants",
        caption="Each dot is a model of a random part of the training variants; the last point has all of them.",
        alternative=(
            f"Test {name} from {number(means[0])} with {sizes[0]:,.0f} to {number(last)} with {whole:,.0f} variants"
        ),
        x_label="training variants (mean over folds)", y_label=f"test {_WORDS.get(name, name)}", logarithmic=True,
    )  # fmt: skip


def _by_epoch(training: Training) -> list[Figure]:
    """One picture per metric, one line per part and fold."""
    panels: dict[str, dict[str, Any]] = {}
    for name, folds in learning_curve(training).items():
        part, _, metric = name.partition("/")
        if part in PARTS:
            panels.setdefault(metric, {})[part] = folds
    kept = {
        k: info["best_epoch"]
        for k, info in enumerate(training.info.get("folds", ()))
        if info.get("best_epoch")
    }
    found = []
    for metric, parts in sorted(panels.items()):
        lines = [
            _line(part, points, thin=len(folds) > 1)
            for part, folds in sorted(parts.items())
            for points in list(folds.values())[:MAX_FOLDS]
        ]
        epochs = max(int(line.x.max()) for line in lines)
        stem = "learning_curve" if metric == "loss" else f"learning_curve_{metric}"
        found.append(
            curve(
                stem, lines, title=f"{_WORDS.get(metric, metric.capitalize())} by epoch",
                caption=f"{epochs:,} epochs; one line for each part and fold.",
                alternative="; ".join(f"{line.name} ends at {number(float(line.y[-1]))}" for line in lines[:4]),
                x_label="epoch", y_label=metric,
                marked={"kept": float(kept[0])} if len(kept) == 1 else None,
            )
        )  # fmt: skip
    return found


def _line(part: str, points: Sequence[tuple[int, float]], *, thin: bool) -> Line:
    epochs, values = np.array(points, np.float64).T
    return Line(part, epochs, values, PARTS[part], thin=thin)


def _split(split: Split) -> Figure:
    folds = split.folds[:MAX_FOLDS]
    parts = np.full((len(folds), len(split.ids)), 3, np.int8)
    for number_, fold in enumerate(folds):
        for code, rows in enumerate((fold.train, fold.val, fold.test)):
            parts[number_, rows] = code
    return strip(
        parts,
        caption="The part of every variant in every fold.",
        alternative="; ".join(
            f"fold {k}: {len(fold.train)} train, {len(fold.test)} test" for k, fold in enumerate(folds[:5])
        ),
        order="source, number of mutations and first position",
    )
