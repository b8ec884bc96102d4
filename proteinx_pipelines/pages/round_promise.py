"""Promise of a round beside what was measured: cards, sentences and pictures of its page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from proteinx_pipelines.pages.figures.curve import Line, category, curve
from proteinx_pipelines.pages.figures.figure import Figure
from proteinx_pipelines.pages.figures.scatter import scatter
from proteinx_pipelines.pages.numbers import interval, number, percent

Json = Mapping[str, Any]


def _expected(hits: Json) -> str:
    return f"{hits['expected']:.1f} ± {hits['deviation']:.1f}"


def cards_of(judged: Json) -> list[dict[str, Any]]:
    """Numbers at the top of the page, each with its name and notes."""
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


def sentences_of(judged: Json) -> list[str]:
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


def figures_of(judged: Json) -> list[Figure]:
    """Pictures of predictions and measurements."""
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


def progress_figure(history: Sequence[Json]) -> Figure:
    """Curve of the best variant over the measured rounds."""
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
