"""The part of the page that shows results: headline cards, warnings, metric tables, pictures.

Each function takes the report document and gives HTML; what the page is made of otherwise is `report`.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

from proteinx_pipelines.metrics import TOP_PERCENTS
from proteinx_pipelines.stages.evaluate.tables import (
    Cell,
    Html,
    number,
    picture,
    table,
    with_all_views,
)

CAPTIONS = {
    "plots/scatter.png": "Measured against predicted targets of the test variants.",
    "plots/histogram.png": "Distribution of the measured targets in each part.",
    "plots/calibration.png": "Share of measured values inside the model's own central intervals; the dashed line "
    "is a calibrated model.",
    "plots/size_curve.png": "Test score against the number of training variants; dots are random draws.",
    "plots/mutations.png": "Measured, predicted and error by position and new residue. Dots: the template's "
    "residue. Grey: not measured, or not among the test variants.",
    "plots/learning_curve.png": "Metrics by epoch; one line per fold.",
}
"""Pictures in the order in which they appear; a picture that is not there is left out."""
_WHOLE_WIDTH = ("plots/learning_curve.png", "plots/mutations.png")

Report = Mapping[str, Any]


def cards_html(report: Report) -> str:
    """One card per test metric, with its interval and its mean over folds."""
    cards = []
    for name, entry in report["metrics"]["test"]["values"].items():
        notes = []
        if entry.get("low") is not None:
            notes.append(f"[{number(entry['low'])}, {number(entry['high'])}]")
        if "fold_mean" in entry:
            notes.append(f"fold mean {number(entry['fold_mean'])}")
        if "source_mean" in entry:
            notes.append(f"mean within sources {number(entry['source_mean'])}")
        if report["passes"]:
            notes.append(f"± {number(report['passes']['sd'][name])} over {report['passes']['n']} passes")
        below = "".join(f"<span>{escape(text)}</span>" for text in notes)
        label = escape(f"test {_label(report, name)}")
        cards.append(f'<div class="card"><span>{label}</span><b>{number(entry["value"])}</b>{below}</div>')
    return "".join([*cards, *_class_cards(report["classes"])])


def _class_cards(classes: Mapping[str, Any] | None) -> list[str]:
    if classes is None:
        return []
    below = f"<span>{classes['positive']:,} of {classes['n']:,} positive</span>"
    return [
        f'<div class="card"><span>test {label}</span><b>{number(classes[name])}</b>{below}</div>'
        for name, label in (("auc", "AUC"), ("mcc", "MCC"))
    ]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _label(report: Report, name: str) -> str:
    words = {
        "spearman": "Spearman", "pearson": "Pearson", "mse": "MSE", "mae": "MAE", "ndcg": "NDCG", "r2": "R²",
    }  # fmt: skip
    words |= {f"top{percent}_recall": f"top-{percent} % recall" for percent in TOP_PERCENTS}
    shown = words.get(name, name)
    return f"{shown} ↓" if name in report["lower_is_better"] else shown


def warnings_html(report: Report) -> str:
    """All warnings in one box, or a line that says there are none."""
    items = "".join(f"<li>{escape(entry['message'])}</li>" for entry in report["warnings"])
    if not items:
        return '<p class="fine">No warnings: nothing about these rows makes the metrics an artefact.</p>'
    return f'<section class="warnings"><h2>Read this before quoting a number</h2><ul>{items}</ul></section>'


def metrics_html(report: Report) -> str:
    """The model, the baselines on the same rows, then the parts the model has seen."""
    names = list(report["metrics"]["test"]["values"])
    rows: list[list[Cell]] = [
        [title, n, *(with_all_views(values[name]) for name in names)]
        for title, values, n in _metric_rows(report)
    ]
    header = ["", "variants", *(_label(report, name) for name in names)]
    return table(header, rows, caption=_metrics_caption(report), marked=0)


def _metric_rows(report: Report) -> list[tuple[str, Mapping[str, Any], int | None]]:
    parts = report["metrics"]
    test = parts["test"]
    rows = [(f"{report['training']['model']}, test", test["values"], test["n"])]
    rows += [(f"Baseline: {entry['title']}", entry["metrics"], test["n"]) for entry in report["baselines"]]
    rows += [
        (f"{report['training']['model']}, {part}", parts[part]["values"], parts[part]["n"])
        for part in ("val", "train")
        if parts[part]["n"]
    ]
    return rows


def _metrics_caption(report: Report) -> str:
    interval = report["interval"]
    text = (
        "Baselines need no model; they see the same test variants. A dash: not defined. ↓: lower is better."
    )
    if interval["resamples"]:
        level = _percent(interval["level"])
        text += f" In brackets: {level} bootstrap interval, {interval['resamples']:,} resamples."
    if len(report["split"]["sizes"]) > 1:
        text += (
            " ⌀: mean and standard deviation over folds. Where predictions are constant within folds, as the training "
            "mean is, that is a dash, and the pooled value compares folds, not variants."
        )
    if sources := report.get("sources"):
        text += (
            f" ◇: mean of the values within each source ({len(sources['counted'])} sources); what the value without a "
            "sign has beyond it comes from differences between sources."
        )
    if passes := report["passes"]:
        text += (
            f" Values are means over {passes['n']} passes; groups, classes, calibration and pictures are of "
        )
        text += "the first."
        if interval["resamples"] and not passes["same_rows"]:
            text += " There are no intervals: the passes test different variants."
    if report["classes"]:
        text += f" AUC and MCC: positive is {report['classes']['cutoff']}."
    return text


def figures_html(pictures: Mapping[str, bytes]) -> str:
    """The pictures that there are, in their order."""
    return "".join(
        picture(pictures[name], caption, whole=name in _WHOLE_WIDTH)
        for name, caption in CAPTIONS.items()
        if name in pictures
    )


def groups_html(report: Report) -> str:
    """Test metrics by number of mutations and by source, where there are several."""
    names = list(report["metrics"]["test"]["values"])
    blocks = []
    for kind, caption in (("mutations", "By number of mutations"), ("source", "By source")):
        rows = [
            [entry["group"], entry["n"], *(Html(number(entry[name])) for name in names)]
            for entry in report["groups"]
            if entry["kind"] == kind
        ]
        if kind == "source" and (sources := report.get("sources")) and sources["counted"]:
            rows.append(
                ["mean within sources", None, *(Html(number(sources["mean"][name])) for name in names)]
            )
        if rows:
            header = ["", "variants", *(_label(report, name) for name in names)]
            blocks.append(f'<h3>{caption}</h3><div class="wide">{table(header, rows)}</div>')
    return "".join(blocks)


def folds_html(report: Report) -> str:
    """Test metrics fold by fold; nothing for a single split, in one pass or several."""
    names = list(report["metrics"]["test"]["values"])
    folds = report["metrics"]["test"]["folds"]
    if len(folds) < 2 or (report["passes"] and len(folds) == report["passes"]["n"]):
        return ""  # where a pass is one fold, it is listed as a pass
    rows = [
        [f"fold {entry['fold']}", entry["n"], *(Html(number(entry[n])) for n in names)] for entry in folds
    ]
    header = ["", "test variants", *(_label(report, name) for name in names)]
    return f'<h3>Fold by fold</h3><div class="wide">{table(header, rows)}</div>'


def leakage_html(report: Report) -> str:
    """What the leakage checks found, and the score with and without those rows."""
    leakage = report["leakage"]
    if not leakage["findings"]:
        return '<p class="fine">Leakage checks: nothing found.</p>'
    rows = [
        (entry["check"], entry["sequences"], entry["test_rows"], entry["reason"] or "")
        for entry in leakage["findings"]
    ]
    found = table(["leakage check", "sequences", "test rows", "accepted because"], rows)
    names = list(report["metrics"]["test"]["values"])
    header = ["test rows", "variants", *(_label(report, name) for name in names)]
    scored: list[list[Cell]] = [
        [entry["rows"], entry["n"], *(Html(number(entry[name])) for name in names)]
        for entry in leakage["scores"]
    ]
    return found + table(header, scored, caption="With and without the leaked rows.")


def passes_html(report: Report) -> str:
    """The pooled metrics of every repeat (or inner fold); nothing where each row is tested once."""
    found = report["passes"]
    if not found:
        return ""
    names = list(report["metrics"]["test"]["values"])
    rows: list[list[Cell]] = [
        [f"{found['kind']} {number_}", n_test, *(Html(number(values[name])) for name in names)]
        for number_, (n_test, values) in enumerate(zip(found["n_test"], found["values"], strict=True), 1)
    ]
    header = ["", "test variants", *(_label(report, name) for name in names)]
    return f'<h3>Pass by pass</h3><div class="wide">{table(header, rows)}</div>'


def calibration_html(report: Report) -> str:
    """Coverage of the model's own intervals; nothing for a model without uncertainty."""
    found = report["calibration"]
    if not found:
        return ""
    wanted = (0.5, 0.8, 0.9, 0.95)
    rows: list[list[Cell]] = [
        [f"{_percent(entry['level'])} interval", Html(f"{100 * entry['inside']:.1f} %")]
        for entry in found["coverage"]
        if entry["level"] in wanted
    ]
    note = (
        f"Mean predicted deviation {number(found['mean_deviation'])}, root mean squared error "
        f"{number(found['rms_error'])}; mean log likelihood {number(found['log_likelihood'])}; Spearman of "
        f"deviation and absolute error {number(found['error_correlation'])}."
    )
    inside = table(["the model's own", "of the measured values inside"], rows)
    return f'<h3>Calibration</h3>{inside}<p class="note">{escape(note)}</p>'
