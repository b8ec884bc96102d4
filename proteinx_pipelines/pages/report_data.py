"""Tables of the report page about the input: sources, rows, representation, evidence, split, flags and versions."""

from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.pages.numbers import plain
from proteinx_pipelines.pages.report_words import Report
from proteinx_pipelines.pages.table import Cell, Table

MAX_SIZE_ROWS = 20
"""Number of folds whose sizes are listed."""


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
