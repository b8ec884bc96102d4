"""Tables of a round's page: hits, surprises, mutations and controls, the plate, and the rounds before."""

from collections.abc import Mapping, Sequence
from typing import Any

from proteinx_pipelines.pages.numbers import interval, percent
from proteinx_pipelines.pages.table import Cell, Table

Json = Mapping[str, Any]


def hits_table(judged: Json) -> Table:
    """Hits of the plate, of all measured before, and of its better halves by model, additive model and chance."""
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


def learned_tables(judged: Json) -> list[tuple[str, Table]]:
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


def plate_table(plate: Sequence[Mapping[str, str]], judged: Json | None) -> Table:
    """Wells of the plate, with what was measured since."""
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


def chain_table(campaign: Json, number_of_round: int) -> Table:
    """This round and those before: data, experiment, plate, measurements."""
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
