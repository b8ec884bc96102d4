"""What the report page says of a design: the table of the plate, and sentences about the batch."""

from collections.abc import Iterator, Sequence

from proteinx_pipelines.pages.numbers import interval
from proteinx_pipelines.pages.report_words import Report
from proteinx_pipelines.pages.table import Cell, Table, real


def proposals(rows: Sequence[Report]) -> Table:
    """The plate, with the reason for each well."""
    header = ["rank", "well", "mutant", "predicted", "beats wild type", "beats best", "stability", "reason"]
    shown: list[list[Cell]] = [
        [
            entry["rank"], entry["well"], entry["mutant"],
            {"value": entry["prediction"], "below": [i for i in [interval(entry["low"], entry["high"])] if i]},
            real(entry["p_better_than_wild_type"]), real(entry["p_better_than_best"]), real(entry["stability"]),
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
