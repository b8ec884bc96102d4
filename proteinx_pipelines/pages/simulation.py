"""Page of a simulation: best-so-far curves, how much is luck, and the differences."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from proteinx_pipelines.pages.figures.curve import Line, category, curve
from proteinx_pipelines.pages.figures.figure import Figure
from proteinx_pipelines.pages.numbers import interval, number, percent
from proteinx_pipelines.pages.render import render_page
from proteinx_pipelines.pages.table import Cell, Table

ONE_SEED = "one seed: no interval"


def simulation_page(document: Mapping[str, Any]) -> str:
    """Render the page of one simulation.

    Args:
        document: the JSON document of `proteinx simulate`.
    """
    land, protocol = document["landscape"], document["protocol"]
    return render_page(
        "simulation.html",
        title=f"Campaigns on {land['name']}",
        lead=lead(document),
        conclusion=conclusions(document),
        facts=[
            ("variants", f"{land['variants']:,}, at {land['positions']:,} positions"),
            *([("left out by design.*", f"{land['left_out']:,}")] if land.get("left_out") else []),
            ("best", f"{land['best']['mutant']}, {number(land['best']['score'])}"),
            ("scale", f"0 is {number(land['zero'])}, 1 is {number(land['one'])}"),
            ("protocol", _protocol_words(protocol)),
        ],
        figures=[_best_so_far(document), _luck(document)],
        rules=_rules(document),
        differences=_differences(document),
    )


def lead(document: Mapping[str, Any]) -> str:
    """The result of the first rule, in one sentence."""
    first, protocol = document["rules"][0], document["protocol"]
    last, final = first["curve"][-1], first["final"]
    return (
        f"After {last['measured']:,} measurements, {first['name']} has found {number(last['mean'])} of the best score "
        f"({_interval(last)}), and the best variant itself in "
        f"{percent(round(final['found_maximum'], 3))} of {protocol['seeds']} campaigns."
    )


def _interval(found: Mapping[str, Any]) -> str:
    """The interval in words; a simulation of one seed has none."""
    ends = interval(found["low"], found["high"])
    return f"95 % interval {ends}" if ends else ONE_SEED


def conclusions(document: Mapping[str, Any]) -> list[str]:
    """What the differences say, one sentence each."""
    found = []
    for apart in document["differences"]:
        other = _other(apart)
        side = "above" if apart["mean"] >= 0 else "below"
        if apart["low"] is None:
            found.append(f"{apart['rule']} ends {number(abs(apart['mean']))} {side} {other} ({ONE_SEED}).")
            continue
        sure = "" if apart["low"] > 0 or apart["high"] < 0 else " This may be chance."
        found.append(
            f"{apart['rule']} ends {number(abs(apart['mean']))} {side} {other} (difference "
            f"{interval(apart['low'], apart['high'])}, paired by first plate). A single campaign ends above a single "
            f"one of {other} with probability {percent(round(apart['single'], 2))}.{sure}"
        )
    return found


def _other(apart: Mapping[str, Any]) -> str:
    same = apart["other_batch"] == apart["batch"]
    return str(apart["other"]) if same else f"{apart['other']} in batches of {apart['other_batch']}"


def _protocol_words(protocol: Mapping[str, Any]) -> str:
    what = "single mutants" if protocol["start_from"] == "singles" else "variants"
    return (
        f"{protocol['start']} random {what}, then {protocol['rounds']} plates of {protocol['batch']}, "
        f"{protocol['seeds']} campaigns a rule"
    )


def _names(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name of each rule, with the batch where one name has several."""
    names = [str(rule["name"]) for rule in rules]
    return [
        f"{name}, {rule['batch']} a plate" if names.count(name) > 1 else name
        for name, rule in zip(names, rules, strict=True)
    ]


def _best_so_far(document: Mapping[str, Any]) -> Figure:
    rules, lines = document["rules"], []
    for k, (name, rule) in enumerate(zip(_names(rules), rules, strict=True)):
        points = rule["curve"]
        x, y, low, high = (
            np.array([np.nan if point[key] is None else point[key] for point in points], np.float64)
            for key in ("measured", "mean", "low", "high")
        )
        low, high = np.where(np.isfinite(low), low, y), np.where(np.isfinite(high), high, y)
        lines.append(Line(name, x, y, category(k), dots=True, low=low, high=high))
    ends = ", ".join(f"{line.name} {line.y[-1]:.3f}" for line in lines)
    return curve(
        "best_so_far",
        lines[::-1],
        title="Best variant so far",
        caption=_caption(document["protocol"]["seeds"]),
        alternative=f"At the end: {ends}.",
        x_label="variants measured",
        y_label="fraction of the best score",
    )


def _caption(n_seeds: int) -> str:
    if n_seeds == 1:
        return f"One campaign a rule ({ONE_SEED})."
    return f"Mean over {n_seeds} campaigns a rule; bands are 95 % intervals of the mean."


def _luck(document: Mapping[str, Any]) -> Figure:
    rules, lines = document["rules"], []
    for k, (name, rule) in enumerate(zip(_names(rules), rules, strict=True)):
        ends = np.sort(np.array(rule["ends"], np.float64))
        share = 100 * (np.arange(len(ends)) + 0.5) / len(ends)
        lines.append(Line(name, share, ends, category(k), dots=len(ends) < 40))
    spread = ", ".join(f"{line.name} {line.y.min():.3f} to {line.y.max():.3f}" for line in lines)
    return curve(
        "luck",
        lines[::-1],
        title="How much is luck",
        caption="Where single campaigns end, sorted: they differ in the first plate and in what follows from it.",
        alternative=f"Worst and best campaign: {spread}.",
        x_label="campaigns that end lower, %",
        y_label="fraction of the best score at the end",
        x_range=(0.0, 100.0),
    )


def _rules(document: Mapping[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for rule in document["rules"]:
        last, final = rule["curve"][-1], rule["final"]
        rows.append(
            [
                rule["name"],
                rule["words"],
                rule["batch"],
                rule["rounds"],
                {"value": last["mean"], "below": [interval(last["low"], last["high"]) or ONE_SEED]},
                f"{number(last['p10'])} to {number(last['p90'])}",
                _share(final),
                final["hits"],
                rule["seconds"],
            ]
        )
    if document["random_exact"]:
        rows.append(
            ["random, exactly", "expectation", None, None, document["random_exact"][-1], "", "", None, None]
        )
    header = [
        "rule", "what", "a plate", "plates", "best at the end", "10 to 90 %", "best variant found", "top 1 % found",
        "seconds a campaign",
    ]  # fmt: skip
    return Table("rules", "Rules", header, rows, "", main=0)


def _share(final: Mapping[str, Any]) -> str:
    share, low, high = (
        percent(round(final[name], 3)) for name in ("found_maximum", "found_low", "found_high")
    )
    return f"{share} ({low} to {high})"


def _differences(document: Mapping[str, Any]) -> Table:
    rows: list[list[Cell]] = [
        [
            f"{apart['rule']} less {_other(apart)}",
            {"value": apart["mean"], "below": [interval(apart["low"], apart["high"]) or ONE_SEED]},
            f"{percent(round(apart['better'], 2))}",
            f"{percent(round(apart['single'], 2))}",
        ]
        for apart in document["differences"]
    ]
    header = ["difference", "at the end", "higher from the same start", "higher, each with its own start"]
    return Table("differences", "Differences", header, rows)
