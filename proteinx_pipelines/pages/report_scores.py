"""Tables of the report page about how good the model is: metrics, groups, folds, leakage, calibration, classes.

The parts of `report.json` about the input are in `report_data`, single variants in `report_variants`.
"""

from collections.abc import Iterator

from proteinx_pipelines.pages.numbers import interval, percent
from proteinx_pipelines.pages.report_words import Report, label
from proteinx_pipelines.pages.table import Cell, Table, real, with_interval

_LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Levels listed in the calibration table; the picture has all."""


_UNITS = ("by_variants", "by_positions")


def metrics(report: Report) -> Table:
    """The model, the baselines on the same rows, then the parts the model was trained on."""
    names, parts, model = (
        list(report["metrics"]["test"]["values"]),
        report["metrics"],
        report["training"]["model"],
    )
    found = [(f"{model}, test", parts["test"]["values"], parts["test"]["n"])]
    found += [
        (f"Baseline: {entry['title']}", entry["metrics"], parts["test"]["n"]) for entry in report["baselines"]
    ]
    found += [
        (f"{model}, {part}", parts[part]["values"], parts[part]["n"])
        for part in ("val", "train")
        if parts[part]["n"]
    ]
    rows: list[list[Cell]] = [
        [title, n, *(with_interval(values[name]) for name in names)] for title, values, n in found
    ]
    header = ["predictor", "variants", *(label(report, name) for name in names)]
    return Table("metrics", "Test metrics", header, rows, _caption(report), main=0)


def _caption(report: Report) -> str:
    interval = report["interval"]
    text = (
        "Baselines need no model; they see the same test variants. A dash: not defined. ↓: lower is better."
    )
    if interval["resamples"]:
        text += f" In brackets: {percent(interval['level'])} bootstrap interval, {interval['resamples']:,} resamples"
        text += f" of {interval.get('unit', 'variants')}."
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
        text += f" Values are means over {passes['n']} passes;"
        text += " groups, classes, calibration and pictures are of the first."
        if interval["resamples"] and not passes["same_rows"]:
            text += " There are no intervals: the passes test different variants."
    if report["classes"]:
        text += f" AUC and MCC: positive is {report['classes']['cutoff']}."
    return text


def units(report: Report) -> Table | None:
    """The model's intervals by variants and by positions; None in a report that has one kind."""
    values = report["metrics"]["test"]["values"]
    both = {
        name: entry for name, entry in values.items() if "by_variants" in entry and "by_positions" in entry
    }
    if not both:
        return None
    rows: list[list[Cell]] = [
        [label(report, name), real(entry["value"]), *(interval(*entry[unit]) or "–" for unit in _UNITS)]
        for name, entry in both.items()
    ]
    caption = (
        f"The variants of a position are alike, so their errors go together. The report quotes the interval by "
        f"{report['interval']['unit']}: {report['interval']['unit_because']}."
    )
    title = "Intervals by variants and by positions"
    return Table("interval_units", title, ["metric", "value", "by variants", "by positions"], rows, caption)


def ceilings(report: Report) -> Table | None:
    """Best values that any model can reach; None where nothing limits them."""
    found = report.get("ceilings") or {}
    rows: list[list[Cell]] = [
        [label(report, name), value, "ties among the measured values"]
        for name, value in found.get("ties", {}).items()
    ]
    if noise := found.get("noise"):
        why = (
            f"noise of replicates ({noise['variants']:,} variants, deviation {noise['noise_deviation']:.3g})"
        )
        rows.append(["pearson", noise["pearson"], why])
    return (
        Table("ceilings", "Best reachable values", ["metric", "at best", "because of"], rows)
        if rows
        else None
    )


def groups(report: Report) -> Iterator[tuple[str, Table]]:
    """Test metrics by number of mutations and by source, where there are several."""
    names = list(report["metrics"]["test"]["values"])
    measures = [label(report, name) for name in names]
    for kind, title in (("mutations", "By number of mutations"), ("source", "By source")):
        rows = [
            [str(entry["group"]), entry["n"], *(real(entry[name]) for name in names)]
            for entry in report["groups"]
            if entry["kind"] == kind
        ]
        if kind == "source" and (sources := report.get("sources")) and sources["counted"]:
            rows.append(["mean within sources", None, *(real(sources["mean"][name]) for name in names)])
        if rows:
            yield title, Table(f"by_{kind}", title, [kind, "variants", *measures], rows)


def folds(report: Report) -> Iterator[tuple[str, Table]]:
    """Test metrics pass by pass and fold by fold; empty for a single split."""
    names = list(report["metrics"]["test"]["values"])
    header = ["tested by", "test variants", *(label(report, name) for name in names)]
    passes, of_folds = report["passes"], report["metrics"]["test"]["folds"]
    if passes:
        rows = [
            [f"{passes['kind']} {k}", n_test, *(real(values[name]) for name in names)]
            for k, (n_test, values) in enumerate(zip(passes["n_test"], passes["values"], strict=True), 1)
        ]
        yield f"Pass by pass ({passes['kind']}s)", Table("passes", "Passes", header, rows)
    if len(of_folds) < 2 or (passes and len(of_folds) == passes["n"]):
        return  # if each pass has one fold, the passes are listed
    rows = [
        [f"fold {entry['fold']}", entry["n"], *(real(entry[name]) for name in names)] for entry in of_folds
    ]
    yield "Fold by fold", Table("folds", "Folds", header, rows)


def leakage(report: Report) -> Iterator[Table]:
    """Results of the leakage checks, and the score with and without the rows found."""
    found = report["leakage"]
    if not found["findings"]:
        return
    rows = [(e["check"], e["sequences"], e["test_rows"], e["reason"] or "") for e in found["findings"]]
    yield Table(
        "leakage", "Leakage checks", ["leakage check", "sequences", "test rows", "accepted because"], rows
    )
    names = list(report["metrics"]["test"]["values"])
    scored = [
        [entry["rows"], entry["n"], *(real(entry[name]) for name in names)] for entry in found["scores"]
    ]
    yield Table(
        "without_leaks",
        "Score without leaked rows",
        ["test rows", "variants", *(label(report, n) for n in names)],
        scored,
    )


def calibration(report: Report) -> Table | None:
    """Coverage of the model's own intervals; None where it predicts none."""
    found = report["calibration"]
    if not found:
        return None
    rows = [
        [
            f"{percent(entry['level'])} interval", f"{100 * entry['inside']:.1f} %",
            f"{100 * entry['low']:.1f} to {100 * entry['high']:.1f} %" if entry.get("low") is not None else "–",
        ]
        for entry in found["coverage"]
        if entry["level"] in _LEVELS
    ]  # fmt: skip
    return Table(
        "calibration",
        "Calibration",
        ["the model's own", "of the measured values inside", "interval of the share"],
        rows,
    )


def probabilities(report: Report) -> Iterator[tuple[str, Table]]:
    """Measures of the class probabilities, then how often variants of each probability were above the threshold."""
    found = report.get("probabilities")
    if not found:
        return
    names = ("auc", "average_precision", "accuracy", "mcc", "brier", "log_loss")
    rows: list[list[Cell]] = [
        [
            f"{entry['threshold']:g}", entry["positive"],
            *(
                {"value": entry[name]["value"], "below": [e for e in [_ends(entry[name])] if e]}
                for name in names
            ),
        ]
        for entry in found["thresholds"]
    ]  # fmt: skip
    header = ["at least", "variants", "AUC", "average precision", "accuracy", "MCC", "Brier ↓", "log loss ↓"]
    caption = (
        "Average precision of a model that knows nothing is the share of variants above the threshold. Accuracy and "
        "MCC are of calls at a probability of one half."
    )
    yield "Classes", Table("probabilities", "Classes", header, rows, caption)
    for entry in found["thresholds"]:
        groups: list[list[Cell]] = [
            [each["n"], each["predicted"], each["observed"], interval(each["low"], each["high"]) or "–"]
            for each in entry["reliability"]
        ]
        title = f"Reliability at {entry['threshold']:g}"
        yield (
            title,
            Table(
                f"reliability_{entry['class']}", title,
                ["variants", "predicted probability", "share above", "95 % interval"], groups,
            ),
        )  # fmt: skip


def _ends(entry: Report) -> str | None:
    return interval(entry.get("low"), entry.get("high"))
