"""`proteinx db describe` as text and as a page, from the results of `catalog.describing`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from proteinx_pipelines.visible import indented, one_line

if TYPE_CHECKING:
    from proteinx_pipelines.catalog.describing import Description

_BAR_WIDTH = 40


def facts_of(found: "Description") -> list[tuple[str, str]]:
    """Name and value of each fact."""
    summary, replicates = found.details.summary, found.replicates
    facts = [
        ("rows", f"{summary.rows:,}, {summary.without_score:,} of them without a score"),
        ("template", f"{summary.template_length:,} residues"),
        (
            "numbering",
            f"position in the template {found.offset:+d}" if found.offset else "that of the template",
        ),
        ("positions covered", f"{found.positions:,} of {summary.template_length:,}"),
        ("single substitutions", f"{found.singles:,} of {found.possible_singles:,} possible"),
        ("measured several times", _replicated(replicates.mutants, replicates.rows, replicates.deviation)),
    ]
    if found.indels:
        facts.append(("insertions and deletions", f"{found.indels:,} rows"))
    facts += [
        (f"beside the score: {column.name}", f"{column.kind}, {column.rows:,} rows")
        for column in found.further
    ]
    return facts


def _replicated(mutants: int, rows: int, deviation: float | None) -> str:
    if not mutants:
        return "no mutant"
    spread = "" if deviation is None else f", standard deviation {deviation:.4g}"
    return f"{mutants:,} mutants in {rows:,} rows{spread}"


def histograms_of(found: "Description") -> list[tuple[str, list[tuple[str, int, int]]]]:
    """Heading, and for each bar its label, height and the largest height."""
    details = found.details
    edges = [f"{low:.4g} to {high:.4g}" for low, high in zip(details.edges, details.edges[1:], strict=False)]
    return [
        ("Scores", _bars(edges, details.histogram)),
        ("Mutations", _bars([*map(str, details.mutation_counts)], [*details.mutation_counts.values()])),
        ("Positions", _bars([*found.per_position], [*found.per_position.values()])),
    ]


def _bars(labels: Sequence[str], counts: Sequence[int]) -> list[tuple[str, int, int]]:
    most = max(counts, default=0)
    return [(label, count, most) for label, count in zip(labels, counts, strict=True)]


def described_lines(found: "Description") -> list[str]:
    """The description as terminal text."""
    facts = facts_of(found)
    width = max(len(name) for name, _ in facts)
    lines = [one_line(found.details.summary.name)]
    lines += [f"  {name:<{width}}  {indented(value, width + 4)}" for name, value in facts]
    for heading, bars in histograms_of(found):
        if bars and heading != "Positions":
            longest = max(len(label) for label, _, _ in bars)
            drawn = [(label, count, "#" * round(_BAR_WIDTH * count / most)) for label, count, most in bars]
            lines += ["", heading]
            lines += [f"  {label:>{longest}}  {bar:<{_BAR_WIDTH}} {count:,}" for label, count, bar in drawn]
    if found.odd:
        lines += ["", "Does it make sense?", *(f"  {one_line(sentence)}" for sentence in found.odd)]
    return lines


def description_page(found: "Description") -> str:
    """The description as a page that needs no network."""
    from proteinx_pipelines.pages.render import render_page

    return render_page(
        "source.html",
        title=found.details.summary.name,
        odd=found.odd,
        facts=facts_of(found),
        histograms=histograms_of(found),
        residues=found.details.template,
        understood=[
            (name, _text(value)) for name, value in found.understood.items() if value not in ("", [], {})
        ],
    )


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_text(item)}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
