"""`report.html`: the report document and the pictures as one page that opens anywhere, without a network.

A pure function of `report.json` and the PNG bytes. It decides what a reader sees first and nothing else:
numbers come from `evaluate`, sentences from `words` and `caveats`.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from proteinx_pipelines.stages.evaluate.tables import (
    Html,
    number,
    pairs,
    picture,
    plain,
    table,
    with_deviation,
    with_interval,
)

CAPTIONS = {
    "plots/scatter.png": "Measured against predicted targets of the test variants.",
    "plots/histogram.png": "Distribution of the measured targets in each part.",
    "plots/learning_curve.png": "Metrics by epoch; one line per fold.",
}
"""Pictures in the order in which they appear; a picture that is not there is left out."""
_WHOLE_WIDTH = ("plots/learning_curve.png",)

Report = Mapping[str, Any]


def render_report(report: Report, pictures: Mapping[str, bytes]) -> str:
    """The page.

    Args:
        report: what `report.json` holds.
        pictures: PNG bytes by their name under `artifacts/`.
    """
    template = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    experiment = report["experiment"]
    return template.substitute(
        title=escape(experiment["title"]),
        lead=escape(_lead(report)),
        cards=_cards(report),
        warnings=_warnings(report),
        metrics=_metrics(report),
        figures=_figures(pictures),
        groups=_groups(report),
        folds=_folds(report),
        query_words=escape(experiment["query"]["words"]),
        query=_query(experiment["query"]),
        flags=_flags(experiment),
        data=_data(report),
        split_words=escape(report["split"]["words"]),
        split=_split(report["split"]),
        methods=escape(report["methods"]),
        references="".join(f"<li>{escape(text)}</li>" for text in report["references"]),
        provenance=_provenance(report["provenance"]),
        footer=escape(_footer(report)),
    )


def _lead(report: Report) -> str:
    sizes = report["split"]["sizes"]
    if len(sizes) > 1:
        return f"{len(sizes)}-fold cross-validation; every metric on out-of-fold predictions of all folds."
    counts = {"train": "training", "val": "validation", "test": "test"}
    return (
        ", ".join(f"{sizes[0][part]:,} {name}" for part, name in counts.items() if sizes[0][part])
        + " variants."
    )


def _cards(report: Report) -> str:
    cards = []
    for name, entry in report["metrics"]["test"]["values"].items():
        notes = []
        if entry.get("low") is not None:
            level = _percent(report["interval"]["level"])
            notes.append(f"{level} interval {number(entry['low'])} to {number(entry['high'])}")
        if "fold_mean" in entry:
            notes.append(f"fold mean {number(entry['fold_mean'])}")
        lines = "".join(f"<span>{escape(text)}</span>" for text in [f"test {_label(report, name)}"])
        below = "".join(f"<span>{escape(text)}</span>" for text in notes)
        cards.append(f'<div class="card">{lines}<b>{number(entry["value"])}</b>{below}</div>')
    return "".join(cards)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _label(report: Report, name: str) -> str:
    words = {"spearman": "Spearman", "pearson": "Pearson", "mse": "MSE", "mae": "MAE", "ndcg": "NDCG"}
    shown = words.get(name, "top-10 % recall" if name == "top10_recall" else name)
    return f"{shown} (lower is better)" if name in report["lower_is_better"] else shown


def _warnings(report: Report) -> str:
    items = "".join(f"<li>{escape(entry['message'])}</li>" for entry in report["warnings"])
    if not items:
        return '<p class="fine">No warnings: nothing about these rows makes the metrics an artefact.</p>'
    return f'<section class="warnings"><h2>Read this before quoting a number</h2><ul>{items}</ul></section>'


def _metrics(report: Report) -> str:
    names = list(report["metrics"]["test"]["values"])
    folds = len(report["split"]["sizes"]) > 1
    rows: list[list[Any]] = []
    for title, values, n in _metric_rows(report):
        rows.append([title, n, *(with_interval(values[name]) for name in names)])
        if folds and "fold_mean" in values[names[0]]:
            rows.append(["  mean over folds", None, *(with_deviation(values[name]) for name in names)])
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
    text = "Baselines need no model and are evaluated on the same test variants. A dash: not defined here."
    if interval["resamples"]:
        text += f" Brackets: {_percent(interval['level'])} bootstrap interval, {interval['resamples']:,} resamples."
    return text


def _figures(pictures: Mapping[str, bytes]) -> str:
    return "".join(
        picture(pictures[name], caption, whole=name in _WHOLE_WIDTH)
        for name, caption in CAPTIONS.items()
        if name in pictures
    )


def _groups(report: Report) -> str:
    names = list(report["metrics"]["test"]["values"])
    blocks = []
    for kind, caption in (("mutations", "By number of mutations"), ("source", "By source")):
        rows = [
            [entry["group"], entry["n"], *(Html(number(entry[name])) for name in names)]
            for entry in report["groups"]
            if entry["kind"] == kind
        ]
        if rows:
            header = ["", "variants", *(_label(report, name) for name in names)]
            blocks.append(f'<h3>{caption}</h3><div class="wide">{table(header, rows)}</div>')
    return "".join(blocks)


def _folds(report: Report) -> str:
    names = list(report["metrics"]["test"]["values"])
    folds = report["metrics"]["test"]["folds"]
    if len(folds) < 2:
        return ""
    rows = [
        [f"fold {entry['fold']}", entry["n"], *(Html(number(entry[n])) for n in names)] for entry in folds
    ]
    header = ["", "test variants", *(_label(report, name) for name in names)]
    return f'<h3>Fold by fold</h3><div class="wide">{table(header, rows)}</div>'


def _query(query: Report) -> str:
    if not query["sql"]:
        return ""
    return f"<pre>{escape(query['sql'])}\n-- parameters: {escape(plain(query['parameters']))}</pre>"


def _flags(experiment: Report) -> str:
    caption = '<p class="note">Flags that differ from their defaults:</p>'
    return caption + pairs(experiment["changed_flags"], ("flag", "value"))


def _data(report: Report) -> str:
    data = report["data"]
    selected = report["experiment"]["query"]["rows"]
    funnel: list[tuple[str, Any]] = [] if selected is None else [("rows selected", int(selected))]
    funnel += [(f"– {rule.replace('_', ' ')}", count) for rule, count in data["dropped"].items() if count]
    target = {name: number(value) for name, value in data["target"].items()}
    return "".join(
        [
            table(["rows", "number"], [*funnel, ("variants", data["n_variants"])]),
            table(
                ["source", "template residues", "variants"],
                [
                    (entry["source"], entry["template_length"], entry["n_variants"])
                    for entry in data["sources"]
                ],
            ),
            table(["mutations", "variants"], list(data["mutations"].items())),
            f'<p class="note">Target: {escape(plain(target))}.</p>',
            f'<p class="note">Embedding: {escape(plain(data["embedding"]))}.</p>',
        ]
    )


def _split(split: Report) -> str:
    sizes = table(
        ["fold", "train", "validation", "test", "in no part"],
        [
            (str(size["fold"]), size["train"], size["val"], size["test"], size["none"])
            for size in split["sizes"]
        ],
    )
    reasons = table(
        ["why a row is where it is", "rows"], [(r["reason"], r["rows"]) for r in split["reasons"]]
    )
    more = f'<p class="note">and {split["more_reasons"]} more reasons.</p>' if split["more_reasons"] else ""
    return sizes + reasons + more


def _provenance(provenance: Report) -> str:
    facts = {
        **{f"version of {name}": found for name, found in provenance["versions"].items()},
        "machine": provenance["machine"],
        **provenance["seeds"],
        "SHA-256 of the flags": provenance["flags_sha256"],
    }
    return pairs(facts, ("what", "value"))


def _footer(report: Report) -> str:
    version = report["provenance"]["versions"]["proteinx-infra"]
    return (
        f"ProteinX Compute {version}. Beside this page: report.json (every number above), predictions.parquet "
        "(every variant with its prediction), plots. Flags, query and stage keys are in config/ of the experiment."
    )
