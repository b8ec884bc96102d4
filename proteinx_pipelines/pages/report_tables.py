"""Tables of the report page, from `report.json`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proteinx_pipelines.pages.numbers import interval, percent, plain
from proteinx_pipelines.pages.report_words import label
from proteinx_pipelines.pages.table import Cell, Table, with_interval

Report = Mapping[str, Any]
_LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Levels listed in the calibration table; the picture has all."""
_UNITS = ("by_variants", "by_positions")
MAX_SIZE_ROWS = 20
"""Number of folds whose sizes are listed."""


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
        [label(report, name), _float(entry["value"]), *(interval(*entry[unit]) or "–" for unit in _UNITS)]
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
            [str(entry["group"]), entry["n"], *(_float(entry[name]) for name in names)]
            for entry in report["groups"]
            if entry["kind"] == kind
        ]
        if kind == "source" and (sources := report.get("sources")) and sources["counted"]:
            rows.append(["mean within sources", None, *(_float(sources["mean"][name]) for name in names)])
        if rows:
            yield title, Table(f"by_{kind}", title, [kind, "variants", *measures], rows)


def folds(report: Report) -> Iterator[tuple[str, Table]]:
    """Test metrics pass by pass and fold by fold; empty for a single split."""
    names = list(report["metrics"]["test"]["values"])
    header = ["tested by", "test variants", *(label(report, name) for name in names)]
    passes, of_folds = report["passes"], report["metrics"]["test"]["folds"]
    if passes:
        rows = [
            [f"{passes['kind']} {k}", n_test, *(_float(values[name]) for name in names)]
            for k, (n_test, values) in enumerate(zip(passes["n_test"], passes["values"], strict=True), 1)
        ]
        yield f"Pass by pass ({passes['kind']}s)", Table("passes", "Passes", header, rows)
    if len(of_folds) < 2 or (passes and len(of_folds) == passes["n"]):
        return  # if each pass has one fold, the passes are listed
    rows = [
        [f"fold {entry['fold']}", entry["n"], *(_float(entry[name]) for name in names)] for entry in of_folds
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
        [entry["rows"], entry["n"], *(_float(entry[name]) for name in names)] for entry in found["scores"]
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


def variants(entries: list[Mapping[str, Any]], name: str, title: str) -> Table:
    """A list of variants with measured and predicted values."""
    several = len({entry["source"] for entry in entries}) > 1
    deviating = any(entry["deviation"] is not None for entry in entries)
    header = [
        "mutant",
        *(["source"] if several else []),
        "measured",
        "predicted",
        "difference",
        *(["deviation"] if deviating else []),
    ]
    rows = [_variant(entry, several=several, deviating=deviating) for entry in entries]
    return Table(name, title, header, rows)


def _variant(entry: Mapping[str, Any], *, several: bool, deviating: bool) -> list[Cell]:
    measured, predicted = float(entry["measured"]), float(entry["predicted"])
    names = [entry["mutant"], *([entry["source"]] if several else [])]
    return [
        *names,
        measured,
        predicted,
        predicted - measured,
        *([_float(entry["deviation"])] if deviating else []),
    ]


def proposals(rows: Sequence[Report]) -> Table:
    """The plate, with the reason for each well."""
    header = ["rank", "well", "mutant", "predicted", "beats wild type", "beats best", "stability", "reason"]
    shown: list[list[Cell]] = [
        [
            entry["rank"], entry["well"], entry["mutant"],
            {"value": entry["prediction"], "below": [i for i in [interval(entry["low"], entry["high"])] if i]},
            _float(entry["p_better_than_wild_type"]), _float(entry["p_better_than_best"]), _float(entry["stability"]),
            entry["reason"] or "",
        ]
        for entry in rows
    ]  # fmt: skip
    return Table("proposals", "Proposals", header, shown)


_JUDGES = {
    "folds": "models of the folds",
    "seeds": "models of other seeds",
    "rows": "models of resampled training rows",
    "precision": "the same model in bfloat16",
}


def account(facts: Report) -> Iterator[str]:
    """Sentences about a batch: what is missing, its way, diversity, stability, and what the model does not know."""
    yield from facts.get("notes", ())
    if text := facts.get("batch"):
        drawn = f" Draws are {facts['draws']}." if facts.get("draws") else ""
        yield f"Chosen one after the other ({text}).{drawn}"
    if (found := facts.get("diversity")) and found["mean_distance"] is not None:
        yield (
            f"Diversity: {found['mutations']:,} distinct mutations at {facts['positions']} positions; two proposals "
            f"differ in {found['mean_distance']:.1f} residues on average and in {found['least_distance']} at least; "
            f"one position is changed by {found['most_at_one_position']} of them."
        )
    by_kind = facts.get("stability_by") or {}
    judged = [
        f"{by_kind[kind]:.0%} by {words}" for kind, words in _JUDGES.items() if by_kind.get(kind) is not None
    ]
    if judged:
        yield f"Of the list, on average, {', '.join(judged)} would be proposed too."
    if (made := facts.get("codons")) is not None:
        yield (
            f"By {made['codons']} at every mutated position: {100 * made['stops']:.0f} % of the clones have a stop, "
            f"and {made['clones_95']:,.0f} show the rarest combination with a probability of 95 %."
        )
    if found := facts.get("unknown"):
        remarks = "; ".join(f"{text}: {count}" for text, count in found["remarks"].items())
        yield (
            f"What the model does not know: {found['positions_never_changed']:,} of {found['residues']:,} positions "
            f"were never changed; {found['mutations_seen']:,} of {found['mutations']:,} single mutations were seen. "
            + (f"{found['with_remarks']} proposals reach beyond the data ({remarks})." if remarks else
               "No proposal reaches beyond the data.")
        )  # fmt: skip


def positions(report: Report) -> Table:
    """Means over the tested variants that change each position."""
    rows: list[list[Cell]] = [
        [
            f"{e['wild_type']}{e['position']}",
            e["n"],
            e["measured"],
            e["predicted"],
            e["error"],
        ]
        for e in report["extremes"]["positions"]
    ]
    header = ["position", "variants", "measured", "predicted", "absolute error"]
    return Table(
        "positions", "By position", header, rows, "Means over the test variants that change the position."
    )


def data(report: Report) -> list[Table]:
    """Sources, numbers of selected rows kept and removed, mutations and the representation."""
    found = report["data"]
    selected = report["experiment"]["query"]["rows"]
    funnel: list[tuple[Cell, ...]] = [] if selected is None else [("rows selected", int(selected))]
    funnel += [(f"– {rule.replace('_', ' ')}", count) for rule, count in found["dropped"].items() if count]
    sources = [(entry["source"], entry["template_length"], entry["n_variants"]) for entry in found["sources"]]
    return [
        Table("sources", "Sources", ["source", "template residues", "variants"], sources),
        Table("rows", "Rows", ["rows", "number"], [*funnel, ("variants", found["n_variants"])]),
        Table(
            "mutations",
            "Mutations",
            ["mutations", "variants"],
            [(k, int(v)) for k, v in found["mutations"].items()],
        ),
        *_errors(report["experiment"]["query"].get("errors") or {}),
        _embedding(found["embedding"]),
        *_evidence(found.get("evidence", {})),
    ]


def _errors(found: Report) -> list[Table]:
    """Columns with the errors of the scores by source."""
    rows: list[tuple[Cell, ...]] = []
    for source, facts in found.items():
        if "unclear" in facts:
            rows.append((source, " or ".join(facts["unclear"]), "not clear which: none is used", 0))
            continue
        how = facts["kind"] + (
            f", divided by the root of {facts['divided_by']}" if "divided_by" in facts else ""
        )
        ignored = f"; {facts['impossible']:,} values not above 0" if facts["impossible"] else ""
        rows.append((source, facts["column"], how + ignored, facts["known"]))
    columns = ["source", "column", "kind", "rows with an error"]
    return [Table("errors", "Errors of the scores", columns, rows)] if rows else []


def _evidence(given: Report) -> list[Table]:
    """Files of structure and alignment by source: what was found in them, and whether they are used."""
    rows: list[tuple[Cell, ...]] = []
    for kind, by_source in given.items():
        for source, facts in by_source.items():
            own = (
                f"chain {facts['chain']}, {facts['kind']}"
                + (f", pLDDT {facts['confidence']:g}" if "confidence" in facts else "")
                if kind == "structure"
                else f"{facts['rows']:,} rows, {facts['effective_rows']:,.0f} effective"
            )
            match = (
                f"{100 * facts['coverage']:.0f} %",
                f"{100 * facts['identity']:.1f} %",
                f"{facts['offset']:+d}",
            )
            rows.append((source, kind, facts["file"], own, *match, "yes" if facts["used"] else "no"))
    columns = ["source", "kind", "file", "content", "covers", "identical", "offset", "used"]
    return [Table("evidence", "Structure and alignment", columns, rows)] if rows else []


def _embedding(info: Report) -> Table:
    """The representations, each with its columns and its origin."""
    hidden = ("name", "width", "parts", "policy", "version")
    made = {name: value for name, value in info.items() if name not in hidden and value is not None}
    parts = info.get("parts") or [{"name": info["name"], "width": info["width"]}]
    rows = []
    for k, part in enumerate(parts):
        own = {name: value for name, value in part.items() if name not in ("name", "width")}
        told = {**own, **made} if k == 0 else own
        words = "; ".join(f"{name.replace('_', ' ')} {plain(value)}" for name, value in told.items())
        rows.append((part["name"], words, int(part["width"])))
    return Table("representation", "Representation", ["representation", "made with", "columns"], rows)


def split(report: Report) -> list[Table]:
    """Sizes of the folds, and the reasons for the rows' parts."""
    found = report["split"]
    sizes: list[tuple[Cell, ...]] = [
        (str(e["fold"]), *(e[part] for part in ("train", "val", "test", "none")))
        for e in found["sizes"][:MAX_SIZE_ROWS]
    ]
    if len(found["sizes"]) > MAX_SIZE_ROWS:
        sizes.append((f"and {len(found['sizes']) - MAX_SIZE_ROWS} more", "", "", "", ""))
    reasons = [(entry["reason"], entry["rows"]) for entry in found["reasons"]]
    return [
        Table("folds_sizes", "Sizes", ["fold", "train", "validation", "test", "in no part"], sizes),
        Table("reasons", "Reasons", ["reason for a row's part", "rows"], reasons),
    ]


def pairs(entries: Mapping[str, Any], names: tuple[str, str], name: str) -> Table:
    """Names and values in readable form."""
    return Table(
        name, name.capitalize(), list(names), [(key, plain(value)) for key, value in entries.items()]
    )


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
