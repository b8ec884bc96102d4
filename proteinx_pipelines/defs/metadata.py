"""Metadata shown beside each materialization: counts, tables, plots, keys and origin.

Results come first, keys last. Pictures are those of the report, by their address on the node's web server: their bytes
would outweigh the rest of an event. Until `evaluate` has drawn them, the address is empty.
"""

from collections.abc import Callable
from typing import Any

import dagster as dg
import numpy as np

from proteinx_pipelines.execution.attempt import Attempt, StageResult
from proteinx_pipelines.execution.code_facts import in_words
from proteinx_pipelines.numbering import offsets_in_words
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.records import Design, Embedding, Evaluation, Selection, Split, Training, VariantTable

Facts = dict[str, Any]


def describe(stage: str, result: StageResult, attempt: Attempt) -> Facts:
    """Metadata of one materialization."""
    facts = _DESCRIBE[stage](result.record, attempt) if stage in _DESCRIBE else {}
    entry = result.entry
    return {
        **facts,
        **{name.replace("_", " "): value for name, value in entry.details.items()},
        "action": entry.action,
        "computed by": f"{entry.origin.get('experiment_id')}, generation {entry.origin.get('generation')}",
        "key": entry.key,
        "key inputs": dg.MetadataValue.json(
            {"version": entry.version, "flags": entry.flags, "inputs": entry.inputs}
        ),
        "seconds": entry.seconds,
        **_used(entry),
    }


def _used(entry: StageEntry) -> Facts:
    """Resources that the computation used, as numbers that the web server plots over time, and its code versions."""
    found = entry.resources
    facts = {
        "peak memory (MB)": round(found["peak_memory_bytes"] / 1e6, 1)
        if found.get("peak_memory_bytes")
        else None,
        "CPU (% of a core)": found.get("cpu_percent"),
        "CPU seconds": found.get("cpu_seconds"),
        "code": in_words(entry.code) or None,
    }
    for number, gpu in enumerate(found.get("gpus", ())):
        memory = gpu.get("peak_memory_bytes")
        facts[f"GPU {number} (% busy)"] = gpu.get("utilization_percent")
        facts[f"GPU {number} peak memory (MB)"] = None if memory is None else round(memory / 1e6, 1)
    return {name: value for name, value in facts.items() if value is not None}


def _selection(record: Selection, _attempt: Attempt) -> Facts:
    scores = record.rows.column("DMS_score").drop_null().to_numpy()
    return {
        "rows": record.rows.num_rows,
        "sources": ", ".join(record.templates),
        **({"score": str(record.query["score"])} if "score" in record.query else {}),
        **({"numbering": numbering} if (numbering := offsets_in_words(record.offsets)) else {}),
        "query": dg.MetadataValue.md(f"```sql\n{record.query.get('sql', '')}\n```"),
        "parameters": dg.MetadataValue.json({"parameters": list(record.query.get("parameters", []))}),
        "scores": _spread(scores),
    }


def _transform(record: VariantTable, _attempt: Attempt) -> Facts:
    return {
        "variants": record.n_variants,
        "dropped or merged": dg.MetadataValue.json(
            {key: int(value) for key, value in record.dropped.items()}
        ),
        "targets": _spread(record.column("target")),
        "mutations per variant": dg.MetadataValue.json(_counts(record.column("mut_num"))),
    }


def _embedding(record: Embedding, _attempt: Attempt) -> Facts:
    return {
        "variants": record.n_variants,
        "width": record.width,
        "embedder": dg.MetadataValue.json(dict(record.info)),
    }


def _split(record: Split, _attempt: Attempt) -> Facts:
    rows = [
        dg.TableRecord({"fold": k, "train": len(fold.train), "val": len(fold.val), "test": len(fold.test)})
        for k, fold in enumerate(record.folds)
    ]
    return {
        "folds": len(record.folds),
        "sizes": dg.MetadataValue.table(rows),
        "method": str(record.info.get("method")),
        **(
            {"variants not in the file": missing}
            if (missing := record.info.get("variants_not_in_file"))
            else {}
        ),
    }


def _train(record: Training, _attempt: Attempt) -> Facts:
    names = sorted({name for metrics in record.fold_metrics for name in metrics})
    rows = [
        dg.TableRecord({"fold": k, **{name: float(metrics.get(name, float("nan"))) for name in names}})
        for k, metrics in enumerate(record.fold_metrics)
    ]
    facts: Facts = {"model": record.model_name, "info": dg.MetadataValue.json(_json(record.info))}
    if rows:
        facts["metrics"] = dg.MetadataValue.table(rows)
    return facts


def _evaluate(record: Evaluation, attempt: Attempt) -> Facts:
    found = {name: _rounded(value) for name, value in record.summary.items() if np.isfinite(value)}
    address = f"{FILES}/{attempt.directory.experiment_id}/artifacts"
    links = f"[Open the report]({address}/report.html) · [predictions.csv]({address}/predictions.csv)"
    pictures = {
        title: dg.MetadataValue.md(f"![{title}]({address}/{name})")
        for name, title in PICTURES.items()
        if name in record.files
    }
    return {**found, "report": dg.MetadataValue.md(links), **pictures}


FILES = "/experiments"
"""Path below which the node's web server has the experiments' files."""
PICTURES = {
    "plots/scatter.svg": "measured versus predicted",
    "plots/mutations.svg": "position by residue",
    "plots/calibration.svg": "calibration",
    "plots/residuals.svg": "errors along the predictions",
    "plots/size_curve.svg": "learning curve by training-set size",
    "plots/learning_curve.svg": "learning curve by epoch",
    "plots/split.svg": "split",
    "plots/histogram.svg": "distribution of targets",
}
"""The report's pictures, by their names in the UI."""


def _design(record: Design, attempt: Attempt) -> Facts:
    address = f"{FILES}/{attempt.directory.experiment_id}/artifacts"
    best = [row for row in record.proposals.to_pylist() if row["rank"] > 0][:10]
    rows = [
        dg.TableRecord(
            {"mutant": row["mutant"], "prediction": _rounded(row["prediction"]), "reason": row["reason"]}
        )
        for row in best
    ]
    links = f"[proposals.csv]({address}/design/proposals.csv) · [Open the report]({address}/report.html#next)"
    facts: Facts = {"proposals": dg.MetadataValue.md(links), "library": record.predictions.num_rows}
    return {**facts, "first ten": dg.MetadataValue.table(rows)} if rows else facts


def _rounded(value: float) -> float:
    """Round to four significant digits, enough to read and compare."""
    return float(f"{value:.4g}")


def _spread(values: np.ndarray) -> Any:
    """Minimum, quartiles and maximum of the finite values."""
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return "none"
    names = ("least", "lower quartile", "median", "upper quartile", "most")
    found = np.quantile(finite, [0, 0.25, 0.5, 0.75, 1])
    return ", ".join(f"{name} {_rounded(value):g}" for name, value in zip(names, found, strict=True))


def _counts(values: np.ndarray) -> dict[str, int]:
    found, counts = np.unique(values, return_counts=True)
    return {str(int(value)): int(count) for value, count in zip(found, counts, strict=True)}


def _json(document: Any) -> Any:
    from proteinx_pipelines.experiment_dir.files import json_ready

    return json_ready(dict(document))


_DESCRIBE: dict[str, Callable[[Any, Attempt], Facts]] = {
    "selection": _selection,
    "transform": _transform,
    "embedding": _embedding,
    "split": _split,
    "train": _train,
    "evaluate": _evaluate,
    "design": _design,
}
