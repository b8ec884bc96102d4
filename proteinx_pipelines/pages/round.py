"""Page of one round of a campaign: which variants to order, and whether the last promise was kept."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from proteinx_pipelines.pages.numbers import number
from proteinx_pipelines.pages.render import render_page
from proteinx_pipelines.pages.round_promise import cards_of, figures_of, progress_figure, sentences_of
from proteinx_pipelines.pages.round_tables import chain_table, hits_table, learned_tables, plate_table

Json = Mapping[str, Any]


class Advised(Protocol):
    """Advice on stopping (`campaign.stopping.Advice`)."""

    @property
    def stop(self) -> bool:
        """True if stopping is advised."""

    @property
    def headline(self) -> str:
        """The advice, in one sentence."""

    @property
    def reasons(self) -> Sequence[str]:
        """Its reasons."""


def round_page(
    campaign: Json,
    number_of_round: int,
    *,
    judged: Json | None,
    history: Sequence[Json],
    plate: Sequence[Mapping[str, str]],
    expected: Json | None,
    advice: Advised,
) -> str:
    """Render the page of one round.

    Args:
        campaign: `campaign.json`.
        number_of_round: from 1.
        judged: `round.json`; None until the plate is measured.
        history: `round.json` of this and earlier rounds, oldest first.
        plate: rows of the plate; empty until it is proposed.
        expected: design report of the plate that is ordered next: this round's until it is measured, then the next one.
        advice: on stopping.
    """
    current = campaign["rounds"][number_of_round - 1]
    return render_page(
        "round.html",
        title=f"{campaign['campaign_id']}, round {number_of_round}",
        lead=_lead(current, judged, expected),
        advice=advice if judged or number_of_round > 1 else None,
        facts=_facts(campaign, current),
        cards=cards_of(judged) if judged else [],
        sentences=sentences_of(judged) if judged else [],
        figures=[*(figures_of(judged) if judged else []), *([progress_figure(history)] if history else [])],
        hits=hits_table(judged) if judged else None,
        learned=learned_tables(judged) if judged else [],
        plate=plate_table(plate, judged),
        report=f"../../../experiments/{current['experiment_id']}/artifacts/report.html",
        chain=chain_table(campaign, number_of_round),
    )  # fmt: skip


def _lead(current: Json, judged: Json | None, expected: Json | None) -> str:
    if judged is not None:
        gained = judged["best"]["found"]
        best = (
            f"{gained} beat the best before; the best is now {judged['best_mutant']}, {number(judged['best_now'])}."
            if judged["best_mutant"]
            else f"none beats the best before, {number(judged['best_before'])}."
        )
        return (
            f"{judged['n']} proposed variants were measured: {judged['wild_type']['found']} beat the wild type, and "
            f"{best}"
        )
    if expected is None:
        return "The experiment of this round has not finished."
    mood = "The plate is ready to order" if current["plate"] else "The plate is chosen"
    return (
        f"{mood}: {expected['n_proposed']} variants and {expected['n_controls']} controls. "
        f"{number(expected['expected_better_than_wild_type'])} are expected to beat the wild type, "
        f"{number(expected['expected_better_than_best'])} the best measured variant."
    )


def _facts(campaign: Json, current: Json) -> list[tuple[str, str]]:
    facts = [
        ("Campaign", campaign["campaign_id"]),
        ("Experiment", current["experiment_id"]),
        ("Data", current["source"]),
        ("Opened", _time(current["opened_at"])),
    ]
    if current["plate"]:
        facts.append(("Plate", _time(current["plate"]["proposed_at"])))
    if current["measured"]:
        facts.append(("Measured", _time(current["measured"]["measured_at"])))
    return facts


def _time(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"
