"""`report.html`: one self-contained page from `report.json`, the pictures and `experiment.json`.

This module decides only the order of the page: numbers come from the evaluate stage, sentences from `report_words`.
The same documents give the same bytes. Where and when an experiment ran is no input of its stages, so the page is
made when the experiment finishes, not in a stage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.pages import report_data, report_design, report_scores, report_variants
from proteinx_pipelines.pages import report_words as words
from proteinx_pipelines.pages.figures.figure import Figure
from proteinx_pipelines.pages.numbers import interval, number
from proteinx_pipelines.pages.render import render_page

_TABLES = {
    "scores": report_scores, "variants": report_variants, "design": report_design, "data": report_data,
}  # fmt: skip
"""Modules whose tables and sentences the template places."""
_WHOLE_DATA = ("split",)
"""Pictures with sections of their own."""


@dataclass(frozen=True)
class Identity:
    """Identity of the experiment; empty texts are left out."""

    experiment_id: str
    generation: int = 1
    finished: str = ""
    """Date and time, UTC."""
    duration: str = ""
    node: str = ""
    resources: Sequence[tuple[str, str]] = ()
    """Resources that each stage used, for the last section."""


@dataclass(frozen=True)
class Proposed:
    """Variants that the experiment proposes to make next."""

    rows: Sequence[Mapping[str, Any]]
    """Rows of `proposals.parquet`."""
    facts: Mapping[str, Any]
    """`artifacts/design/report.json`."""


def render_report(
    report: Mapping[str, Any],
    figures: Sequence[Figure],
    identity: Identity,
    proposed: Proposed | None = None,
) -> str:
    """Render the report page.

    Args:
        report: what `report.json` holds.
        figures: the pictures, in their order.
        identity: of the experiment.
        proposed: what it proposes to make next; None where it was not asked.
    """
    by_name = {figure.name: figure for figure in figures}
    return render_page(
        "report.html",
        title=words.title_of(report),
        report=report,
        identity=identity,
        lead=words.lead(report),
        conclusion=words.conclusion(report),
        artefact=words.is_artefact(report),
        cards=_cards(report),
        again=words.again(report, identity.experiment_id),
        figures=[figure for figure in figures if figure.kind != "map" and figure.name not in _WHOLE_DATA],
        maps=[figure for figure in figures if figure.kind == "map"],
        split_figure=by_name.get("split"),
        tables=_TABLES,
        proposed=proposed,
        calibration_note=_calibration_note(report["calibration"]),
        bibtex=_bibtex(report["references"]),
    )


def _cards(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One card per test metric, with its interval and its mean over folds; AUC and MCC where classes are known."""
    cards = []
    artefact = words.is_artefact(report)
    for name, entry in report["metrics"]["test"]["values"].items():
        value, notes = entry.get("value"), []
        if artefact and entry.get("fold_mean") is not None:
            notes.append(f"mean over folds; pooled {number(value)} is an artefact")
            value = entry["fold_mean"]
        else:
            notes += [interval(entry.get("low"), entry.get("high"))]
            notes += [f"fold mean {number(entry['fold_mean'])}"] if "fold_mean" in entry else []
        if "source_mean" in entry:
            notes.append(f"mean within sources {number(entry['source_mean'])}")
        if report["passes"]:
            notes.append(f"± {number(report['passes']['sd'][name])} over {report['passes']['n']} passes")
        cards.append(
            {"name": f"test {words.label(report, name)}", "value": value, "notes": [n for n in notes if n]}
        )
    if probabilities := report.get("probabilities"):
        several = len(probabilities["thresholds"]) > 1
        for entry in probabilities["thresholds"]:
            note = f"{entry['positive']:,} of {probabilities['n']:,} at or above {entry['threshold']:g}"
            ends = interval(entry["auc"].get("low"), entry["auc"].get("high"))
            name = f"test AUC at {entry['threshold']:g}" if several else "test AUC"
            cards.append(
                {"name": name, "value": entry["auc"]["value"], "notes": [n for n in (ends, note) if n]}
            )
    elif classes := report["classes"]:
        note = f"{classes['positive']:,} of {classes['n']:,} positive"
        cards += [
            {"name": f"test {title}", "value": classes[key], "notes": [note]}
            for key, title in (("auc", "AUC"), ("mcc", "MCC"))
        ]
    return cards


def _calibration_note(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    return (
        f"Mean predicted deviation {number(found['mean_deviation'])}, root mean squared error "
        f"{number(found['rms_error'])}; mean log likelihood {number(found['log_likelihood'])}; Spearman of "
        f"deviation and absolute error {number(found['error_correlation'])}."
    )


def _bibtex(references: Sequence[str]) -> str:
    """The references as BibTeX entries with the full text."""
    import re

    entries = []
    for position, text in enumerate(references, 1):
        found = re.match(r"(?P<author>.*?) (?P<year>\d{4}), (?P<rest>.*)", text)
        doi = re.search(r"doi:([^\s,;)]+[^\s,;).])", text)
        fields = {
            "author": found["author"]
            .replace(" and ", ", ")
            .replace(", ", " and ")
            .replace(" et al.", " and others")
            if found
            else "",
            "year": found["year"] if found else "",
            "note": (found["rest"] if found else text).replace("{", "").replace("}", ""),
            "doi": doi[1] if doi else "",
        }
        first = re.sub(r"[^a-z]", "", fields["author"].split(" ")[0].lower()) or "reference"
        lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
        entries.append(f"@misc{{{first}{fields['year']}_{position},\n{lines}}}")
    return "\n".join(entries)
