"""Sentences of the report page: title, conclusion, command to repeat the experiment."""

import shlex
from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.pages.numbers import interval, number

Report = Mapping[str, Any]
ARTEFACTS = ("constant_in_folds", "constant_predictions", "not_finite", "constant_targets")
"""Warnings under which the pooled value is an artefact and never a headline."""
LABELS = {
    "spearman": "Spearman", "pearson": "Pearson", "mse": "MSE", "mae": "MAE", "ndcg": "NDCG", "r2": "R²",
    **{f"top{percent}_recall": f"top-{percent} % recall" for percent in (1, 5, 10, 20)},
}  # fmt: skip
_NOT_NEW = ("data.source", "model.name", "embedding.name", "embedding.also")
_MOST_FLAGS = 3


def label(report: Report, name: str) -> str:
    """Readable name of a metric, with an arrow where lower is better."""
    shown = LABELS.get(name, name)
    return f"{shown} ↓" if name in report["lower_is_better"] else shown


def title_of(report: Report) -> str:
    """Data, model and representation, then the flags that this experiment changes."""
    changed = {
        name: value for name, value in report["experiment"]["changed_flags"].items() if name not in _NOT_NEW
    }
    told = [
        f"{name}={_short(value)}" for name, value in changed.items() if not name.startswith(("run.", "ext"))
    ]
    more = f" and {len(told) - _MOST_FLAGS} more" if len(told) > _MOST_FLAGS else ""
    ending = f" · {', '.join(told[:_MOST_FLAGS])}{more}" if told else ""
    return f"{report['experiment']['title']}{ending}"


def _short(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"


def pooling_in_words(n_folds: int, passes: Mapping[str, Any] | None) -> str:
    """Describes how folds and passes are combined into one number; empty where there is one model.

    Args:
        n_folds: of all passes.
        passes: `kind` and `n`; None for a single pass.
    """
    if passes is None:
        return "pooled over folds" if n_folds > 1 else ""
    averaged = f"averaged over {passes['n']} passes ({passes['kind']}s)"
    return averaged if n_folds == passes["n"] else f"pooled over the folds of each pass and {averaged}"


def lead(report: Report) -> str:
    """Describes the split and the number of variants in each part."""
    sizes = report["split"]["sizes"]
    if len(sizes) > 1:
        pooled = pooling_in_words(len(sizes), report["passes"])
        return f"{report['split']['words']} Metrics are over predictions of unseen variants, {pooled}."
    counts = {"train": "training", "val": "validation", "test": "test"}
    shown = [f"{sizes[0][part]:,} {name}" for part, name in counts.items() if sizes[0][part]]
    return f"{report['split']['words']} {', '.join(shown)} variants."


def is_artefact(report: Report) -> bool:
    """True if the pooled values reflect folds or constants instead of variants."""
    return any(entry["code"] in ARTEFACTS for entry in report["warnings"])


def conclusion(report: Report) -> str:
    """Conclusion, in one or two sentences."""
    name, entry = next(iter(report["metrics"]["test"]["values"].items()))
    model, n = report["training"]["model"], report["metrics"]["test"]["n"]
    shown = LABELS.get(name, name)
    value, range_ = entry.get("value"), interval(entry.get("low"), entry.get("high"))
    if is_artefact(report):
        if entry.get("fold_mean") is not None:
            return (
                f"The pooled {shown} is an artefact here; the mean over folds is {number(entry['fold_mean'])}. "
                "Read the warnings before quoting it."
            )
        return f"No {shown} can be quoted: the warnings below say why."
    if value is None:
        return f"{shown} is not defined on these {n:,} test variants."
    sentence = (
        f"{model} predicts {n:,} unseen variants with {shown} {number(value)}{f' {range_}' if range_ else ''}"
    )
    best = _best_baseline(report, name)
    if best is None:
        return f"{sentence}."
    title, other = best
    lower = name in report["lower_is_better"]
    gain = (other - value) if lower else (value - other)
    if abs(gain) < 0.0005:
        return f"{sentence}: the baseline “{title}” reaches the same value."
    better = "better" if gain > 0 else "worse"
    return f"{sentence}, {number(abs(gain))} {better} than the best baseline ({title}: {number(other)})."


def _best_baseline(report: Report, name: str) -> tuple[str, float] | None:
    values = [
        (entry["title"], entry["metrics"][name]["value"])
        for entry in report["baselines"]
        if entry["name"] != "zero_shot" and entry["metrics"].get(name, {}).get("value") is not None
    ]
    if not values:
        return None
    pick = min if name in report["lower_is_better"] else max
    return pick(values, key=lambda found: found[1])


def again(report: Report, experiment_id: str) -> str:
    """The command that repeats the experiment under another id."""
    pairs = [
        f"{name}={_argument(value)}"
        for name, value in report["experiment"]["changed_flags"].items()
        if not name.startswith("ext")
    ]
    return " ".join(
        ["proteinx", "train", "--id", f"{experiment_id}-again", *(shlex.quote(pair) for pair in pairs)]
    )


def _argument(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
