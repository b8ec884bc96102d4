"""`report.html`: the report document and the pictures as one page that opens anywhere, without a network.

A pure function of `report.json` and the PNG bytes. It decides what a reader sees first and nothing else:
numbers come from `evaluate`, sentences from `words` and `caveats`.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from proteinx_pipelines.stages.evaluate.results import (
    calibration_html,
    cards_html,
    figures_html,
    folds_html,
    groups_html,
    leakage_html,
    metrics_html,
    passes_html,
    warnings_html,
)
from proteinx_pipelines.stages.evaluate.tables import number, pairs, picture, plain, table
from proteinx_pipelines.stages.evaluate.words import pooling_in_words

Report = Mapping[str, Any]
SPLIT_PICTURE = "plots/split.png"
_SPLIT_CAPTION = "The part of every variant in every fold."
MAX_SIZE_ROWS = 20
"""Folds whose sizes are listed."""


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
        cards=cards_html(report),
        warnings=warnings_html(report),
        metrics=metrics_html(report),
        figures=figures_html(pictures),
        groups=groups_html(report),
        folds=passes_html(report) + folds_html(report),
        calibration=calibration_html(report),
        leakage=leakage_html(report),
        split_picture=picture(pictures[SPLIT_PICTURE], _SPLIT_CAPTION, whole=True)
        if SPLIT_PICTURE in pictures
        else "",
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


def page_of(title: str, body: str) -> str:
    """A page in the report's style: a title (text) and a body (HTML)."""
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    head, _, _ = template.partition("<header>")
    head = Template(head).substitute(title=escape(title))
    return f"{head}<header><h1>{escape(title)}</h1></header>{body}</main></body></html>"


def _lead(report: Report) -> str:
    sizes = report["split"]["sizes"]
    if len(sizes) > 1:
        pooled = pooling_in_words(len(sizes), report["passes"])
        return f"{report['split']['words']} Metrics are over predictions of unseen variants, {pooled}."
    counts = {"train": "training", "val": "validation", "test": "test"}
    shown = [f"{sizes[0][part]:,} {name}" for part, name in counts.items() if sizes[0][part]]
    return f"{report['split']['words']} {', '.join(shown)} variants."


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
    funnel = [] if selected is None else [("rows selected", int(selected))]
    funnel += [(f"– {rule.replace('_', ' ')}", count) for rule, count in data["dropped"].items() if count]
    sources = [(entry["source"], entry["template_length"], entry["n_variants"]) for entry in data["sources"]]
    target = {name: number(value) for name, value in data["target"].items()}
    tables = [
        table(["rows", "number"], [*funnel, ("variants", data["n_variants"])]),
        table(["mutations", "variants"], list(data["mutations"].items())),
    ]
    by_source = table(["source", "template residues", "variants"], sources)
    note = f'<p class="note">{escape(f"Target: {plain(target)}.")}</p>'
    return by_source + _side_by_side(tables) + note + _embedding(data["embedding"])


def _embedding(info: Report) -> str:
    """The representations side by side, each with its columns and how it was made."""
    hidden = ("name", "width", "parts", "policy", "version")
    made = {name: value for name, value in info.items() if name not in hidden and value is not None}
    parts = info.get("parts") or [{"name": info["name"], "width": info["width"]}]
    rows = []
    for number_, part in enumerate(parts):
        own = {name: value for name, value in part.items() if name not in ("name", "width")}
        told = {**own, **made} if number_ == 0 else own
        words = "; ".join(f"{name.replace('_', ' ')} {plain(value)}" for name, value in told.items())
        rows.append((part["name"], words, part["width"]))
    return table(["representation", "", "columns"], rows)


def _split(split: Report) -> str:
    sizes = [
        (str(entry["fold"]), *(entry[part] for part in ("train", "val", "test", "none")))
        for entry in split["sizes"][:MAX_SIZE_ROWS]
    ]
    if len(split["sizes"]) > MAX_SIZE_ROWS:
        sizes.append((f"and {len(split['sizes']) - MAX_SIZE_ROWS} more", "", "", "", ""))
    reasons = [(entry["reason"], entry["rows"]) for entry in split["reasons"]]
    more = f'<p class="note">and {split["more_reasons"]} more reasons.</p>' if split["more_reasons"] else ""
    return (
        table(["fold", "train", "validation", "test", "in no part"], sizes)
        + table(["why a row is where it is", "rows"], reasons)
        + more
    )


def _provenance(provenance: Report) -> str:
    seeds = {**provenance["seeds"], "machine": provenance["machine"]}
    blocks = [pairs(provenance["versions"], ("software", "version")), pairs(seeds, ("seed", "value"))]
    digest = f'<p class="note">SHA-256 of the flags: <code>{escape(provenance["flags_sha256"])}</code></p>'
    return _side_by_side(blocks) + digest


def _side_by_side(blocks: Sequence[str]) -> str:
    return '<div class="side">' + "".join(f"<div>{block}</div>" for block in blocks if block) + "</div>"


def _footer(report: Report) -> str:
    version = report["provenance"]["versions"]["proteinx-infra"]
    return (
        f"ProteinX Compute {version}. Beside this page: report.json (all numbers), predictions.parquet "
        "(every variant with its prediction) and plots. Flags, query and stage keys are in config/."
    )
