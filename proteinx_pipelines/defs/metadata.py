"""What a person sees beside each materialization: counts, tables, plots, keys and where it came from.

Plots are small PNGs inside Markdown; they are drawn by `defs.plots` in the step worker, where matplotlib is at home.
"""

from collections.abc import Callable
from typing import Any

import dagster as dg
import numpy as np

from proteinx_pipelines.execution.attempt import Attempt, StageResult
from proteinx_pipelines.records import Embedding, Evaluation, Selection, Split, Training, VariantTable

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
    }


def _selection(record: Selection, _attempt: Attempt) -> Facts:
    scores = record.rows.column("DMS_score").drop_null().to_numpy()
    return {
        "rows": record.rows.num_rows,
        "sources": ", ".join(record.templates),
        "query": dg.MetadataValue.md(f"```sql\n{record.query.get('sql', '')}\n```"),
        "parameters": dg.MetadataValue.json({"parameters": list(record.query.get("parameters", []))}),
        "score histogram": _plot("histogram", scores, "DMS_score"),
    }


def _transform(record: VariantTable, _attempt: Attempt) -> Facts:
    return {
        "variants": record.n_variants,
        "dropped or merged": dg.MetadataValue.json(
            {key: int(value) for key, value in record.dropped.items()}
        ),
        "target histogram": _plot("histogram", record.column("target"), "target"),
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
    }


def _train(record: Training, attempt: Attempt) -> Facts:
    names = sorted({name for metrics in record.fold_metrics for name in metrics})
    rows = [
        dg.TableRecord({"fold": k, **{name: float(metrics.get(name, float("nan"))) for name in names}})
        for k, metrics in enumerate(record.fold_metrics)
    ]
    facts: Facts = {"model": record.model_name, "info": dg.MetadataValue.json(_json(record.info))}
    if rows:
        facts["metrics"] = dg.MetadataValue.table(rows)
    curve = _plot("loss_curve", attempt.directory.metrics)
    return {**facts, "loss curve": curve} if curve else facts


def _evaluate(record: Evaluation, attempt: Attempt) -> Facts:
    rows = [
        dg.TableRecord({"metric": name, "value": float(value)})
        for name, value in sorted(record.summary.items())
    ]
    return {
        **{name: float(value) for name, value in record.summary.items() if np.isfinite(value)},
        "metrics": dg.MetadataValue.table(rows),
        **_pictures(record),
        "report": dg.MetadataValue.path(str(attempt.directory.report_html)),
        "predictions": dg.MetadataValue.path(str(attempt.directory.predictions)),
    }


PICTURES = {
    "plots/scatter.png": "measured versus predicted",
    "plots/mutations.png": "position by residue",
    "plots/calibration.png": "calibration",
    "plots/size_curve.png": "learning curve by training-set size",
    "plots/learning_curve.png": "learning curve by epoch",
    "plots/split.png": "split",
    "plots/histogram.png": "distribution of targets",
}
"""The report's pictures, by what the UI calls them."""


def _pictures(record: Evaluation) -> Facts:
    """What the report shows; without `evaluate.plots`, the scatter alone."""
    found = {
        title: _plot("picture", title, record.files[name])
        for name, title in PICTURES.items()
        if name in record.files
    }
    if found:
        return found
    test = record.predictions.filter(_is_test(record))
    columns = (test.column(name).to_numpy() for name in ("target", "prediction"))
    return {"measured versus predicted": _plot("scatter", *columns)}


def _is_test(record: Evaluation) -> Any:
    import pyarrow.compute as pc

    return pc.equal(record.predictions.column("part"), "test")


def _counts(values: np.ndarray) -> dict[str, int]:
    found, counts = np.unique(values, return_counts=True)
    return {str(int(value)): int(count) for value, count in zip(found, counts, strict=True)}


def _json(document: Any) -> Any:
    from proteinx_pipelines.experiment_dir.files import json_ready

    return json_ready(dict(document))


def _plot(kind: str, *data: Any) -> Any:
    from proteinx_pipelines.defs import plots

    image = getattr(plots, kind)(*data)
    return None if image is None else dg.MetadataValue.md(image)


_DESCRIBE: dict[str, Callable[[Any, Attempt], Facts]] = {
    "selection": _selection,
    "transform": _transform,
    "embedding": _embedding,
    "split": _split,
    "train": _train,
    "evaluate": _evaluate,
}
