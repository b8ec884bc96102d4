"""Page of one round of a campaign: which variants to order, and whether the last promise was kept."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from proteinx_pipelines.pages.figures.curve import Line, category, curve
from proteinx_pipelines.pages.figures.figure import Figure
from proteinx_pipelines.pages.figures.scatter import scatter
from proteinx_pipelines.pages.numbers import interval, number, percent
from proteinx_pipelines.pages.render import render_page
from proteinx_pipelines.pages.table import Cell, Table

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
        cards=_cards(judged) if judged else [],
        sentences=_sentences(judged) if judged else [],
        figures=[*(_figures(judged) if judged else []), *([_progress(history)] if history else [])],
        hits=_hits(judged) if judged else None,
        learned=_learned(judged) if judged else [],
        plate=_plate(plate, judged),
        report=f"../../../experiments/{current['experiment_id']}/artifacts/report.html",
        chain=_chain(campaign, number_of_round),
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


def _expected(hits: Json) -> str:
    return f"{hits['expected']:.1f} ± {hits['deviation']:.1f}"


def _cards(judged: Json) -> list[dict[str, Any]]:
    hits, n = judged["wild_type"], judged["n"]
    promised = "" if hits["expected"] is None else f"promised {_expected(hits)}"
    cards = [
        ("best so far", judged["best_now"], f"before {number(judged['best_before'])}"),
        ("beat the wild type", hits["found"] / n, f"{hits['found']} of {n}", promised),
        (
            "inside their 95 % interval", judged["coverage"],
            interval(judged["coverage_low"], judged["coverage_high"]),
        ),
        (
            "Spearman on the plate", judged["spearman"], interval(judged["spearman_low"], judged["spearman_high"]),
            f"additive model {number(judged['additive_spearman'])}",
        ),
    ]  # fmt: skip
    return [
        {"name": name, "value": value, "notes": [note for note in notes if note]}
        for name, value, *notes in cards
    ]


def _sentences(judged: Json) -> list[str]:
    """Was the promise kept?"""
    low, high = judged["coverage_low"], judged["coverage_high"]
    kept = (
        "as promised"
        if low <= 0.95 <= high
        else "fewer than promised"
        if high < 0.95
        else "more than promised"
    )
    share = percent(round(judged["coverage"], 3))
    inside = f"{judged['inside']} of {judged['n']} measurements lie inside their 95 % interval"
    found = [f"Intervals: {inside} ({share}, {interval(low, high)}): {kept}."]
    if judged["bias_se"] is not None:
        found.append(_level(judged["bias"], judged["bias_se"]))
    for name, what in (("wild_type", "the wild type"), ("best", "the best before")):
        hits = judged[name]
        if hits["expected"] is not None:
            off = abs(hits["found"] - hits["expected"]) > max(2 * hits["deviation"], 0.5)
            end = ", which is not what was promised." if off else "."
            found.append(
                f"Hits: {_expected(hits)} were expected to beat {what} (if errors are independent), "
                f"{hits['found']} did{end}"
            )
    return found


def _level(bias: float, error: float) -> str:
    if abs(bias) > 2 * error:
        told = f"{number(abs(bias))} {'above' if bias > 0 else 'below'} the predictions on average"
    else:
        told = "not shifted from the predictions"
    return (
        f"Level: measurements are {told} (mean difference {number(bias)}, standard error {number(error)}). Chosen for "
        "high predictions, a plate tends to fall short of them."
    )


def _figures(judged: Json) -> list[Figure]:
    rows = judged["variants"]
    measured, predicted, deviation, low, high = (
        np.array([np.nan if row[key] is None else row[key] for row in rows], np.float64)
        for key in ("measured", "prediction", "deviation", "low", "high")
    )
    order = np.argsort(predicted, kind="stable")
    place = np.arange(1, len(rows) + 1, dtype=np.float64)
    return [
        scatter(
            measured, predicted, [row["mutant"] for row in rows],
            deviation=deviation if np.isfinite(deviation).all() else None, name="promise",
            title="Predicted then, measured now",
            caption=f"{len(rows)} proposed variants; the line is equality.",
            alternative=f"Spearman {number(judged['spearman'])}; {judged['inside']} of {judged['n']} inside.",
            x_label="measured now", y_label="predicted then",
        ),
        curve(
            "intervals",
            [
                Line(
                    "predicted, 95 % interval", place, predicted[order], category(0), low=low[order], high=high[order]
                ),
                Line("measured", place, measured[order], category(1), dots=True, joined=False),
            ],
            title="Each promise and its measurement",
            caption="Variants by their prediction; a dot outside of the band is a promise that was not kept.",
            alternative=f"{judged['inside']} of {judged['n']} measurements are inside the band.",
            x_label="variants, lowest prediction first", y_label="target",
        ),
    ]  # fmt: skip


def _progress(history: Sequence[Json]) -> Figure:
    x = np.arange(len(history) + 1, dtype=np.float64)
    best = np.array([history[0]["best_before"], *(found["best_now"] for found in history)], np.float64)
    return curve(
        "progress",
        [Line("best so far", x, best, category(0), dots=True)],
        title="Best so far",
        caption="After each measured round; 0 is before the first plate.",
        alternative=f"From {number(float(best[0]))} to {number(float(best[-1]))}.",
        x_label="measured rounds",
        y_label="best measured",
    )


def _hits(judged: Json) -> Table:
    rows: list[list[Cell]] = []
    for name, what in (("wild_type", "beat the wild type"), ("best", "beat the best before")):
        hits, half = judged[name], judged["n"] // 2
        before = "–" if hits["before"] is None else percent(round(hits["before"], 3))
        rows.append(
            [
                what, f"{hits['found']} of {judged['n']}", before, f"{hits['top_half']} of {half}",
                f"{hits['additive_top_half']} of {half}", hits["random_half"],
            ]
        )  # fmt: skip
    header = [
        "variants that", "plate", "all measured before", "half the model rated higher",
        "half an additive model rated higher", "random half",
    ]  # fmt: skip
    caption = (
        "What the model's order is worth within this plate: hits in the half that it rated higher, in the half that an "
        "additive model trained on the same rows rates higher, and expected in a random half."
    )
    return Table("hits", "Hits", header, rows, caption)


def _learned(judged: Json) -> list[tuple[str, Table]]:
    """Tables of surprises, mutations and controls, with their headings; empty ones are left out."""
    surprises: list[list[Cell]] = [
        [
            row["mutant"], {"value": row["prediction"], "below": [interval(row["low"], row["high"])]}, row["measured"],
            row["z"],
        ]
        for row in judged["surprises"]
    ]  # fmt: skip
    mutations: list[list[Cell]] = [
        [row["mutation"], row["n"], row["error"], row["se"]] for row in judged["positions"]
    ]
    controls: list[list[Cell]] = [[row["mutant"], row["before"], row["now"]] for row in judged["controls"]]
    tables = [
        ("Surprises", Table(
            "surprises", "Surprises", ["mutant", "predicted", "measured", "deviations away"], surprises,
            "Measured farthest from what was predicted.",
        )),
        ("Mutations that were better or worse than predicted", Table(
            "mutations", "Mutations", ["mutation", "variants", "measured less predicted", "standard error"], mutations,
            "In at least three variants of the plate.",
        )),
        ("Controls", Table(
            "controls", "Controls", ["mutant", "before", "now"], controls,
            "A shift of all controls is a shift of the assay, not of the variants.",
        )),
    ]  # fmt: skip
    return [(heading, found) for heading, found in tables if found.rows]


def _plate(plate: Sequence[Mapping[str, str]], judged: Json | None) -> Table:
    now = {}
    if judged is not None:
        now = {row["mutant"]: row["measured"] for row in judged["variants"]}
        now |= {row["mutant"]: row["now"] for row in judged["controls"]}
    header = [
        "rank",
        "well",
        "mutant",
        "predicted",
        "beats wild type",
        *(["measured"] if judged else []),
        "reason",
    ]
    rows: list[list[Cell]] = []
    for row in plate:
        ends = interval(_number(row["low"]), _number(row["high"]))
        cells: list[Cell] = [
            int(row["rank"]), row["well"], row["mutant"],
            {"value": _number(row["prediction"]), "below": [ends] if ends else []},
            _number(row["p_better_than_wild_type"]),
        ]  # fmt: skip
        rows.append([*cells, *([now.get(row["mutant"])] if judged else []), row["reason"]])
    return Table("plate", "Plate", header, rows, "Rank 0: a control. The whole plate is in `plate.csv`.")


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _chain(campaign: Json, number_of_round: int) -> Table:
    rows: list[list[Cell]] = [
        [
            each["number"], each["source"], each["experiment_id"], _plate_words(each["plate"]),
            _measured_words(each["measured"]),
        ]
        for each in campaign["rounds"][:number_of_round]
    ]  # fmt: skip
    return Table("chain", "Rounds", ["round", "data", "experiment", "plate", "measured"], rows)


def _plate_words(plate: Json | None) -> str:
    if plate is None:
        return ""
    return f"{plate['n_proposed']} + {plate['n_controls']} controls, SHA-256 {plate['fact']['sha256'][:12]}"


def _measured_words(measured: Json | None) -> str:
    if measured is None:
        return ""
    return (
        f"{measured['n_of_plate']} measured, {measured['n_missing']} not; {measured['given_as']}, SHA-256 "
        f"{measured['fact']['sha256'][:12]}"
    )
