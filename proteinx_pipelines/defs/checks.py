"""Blocking checks of each asset: conditions for the next stage to read it.

A check reads the record only. Checks cover the promises of the stages, not the inputs that stages refuse themselves.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg
import numpy as np

from proteinx_pipelines.pipeline.stages import Stage
from proteinx_pipelines.records import (
    PROPERTY,
    Design,
    Embedding,
    Evaluation,
    Selection,
    Split,
    Training,
    VariantTable,
)

Check = Callable[[Any, Mapping[str, Any]], str | None]
"""(record, records that it was made from, by stage) -> the problem in words, or None."""
Inputs = Mapping[str, Any]


def _selection_has_rows(record: Selection, _inputs: Inputs) -> str | None:
    return None if record.rows.num_rows > 0 else "no row was chosen"


def _variants_are_unique(record: VariantTable, _inputs: Inputs) -> str | None:
    distinct = record.rows.column("id").combine_chunks().unique()
    extra = record.n_variants - len(distinct)
    return f"{extra} ids stand more than once" if extra else None


def _targets_are_finite(record: VariantTable, _inputs: Inputs) -> str | None:
    known = np.isfinite(record.column("target").astype(np.float64))
    for name in record.properties:  # a variant may have a further property alone
        known |= np.isfinite(record.column(PROPERTY + name).astype(np.float64))
    wrong = int((~known).sum())
    return f"{wrong} targets are not finite" if wrong else None


def _vectors_are_finite(record: Embedding, _inputs: Inputs) -> str | None:
    if record.vectors is None:
        return None
    for start in range(0, record.n_variants, 65_536):
        if not np.isfinite(record.vectors[start : start + 65_536]).all():
            return f"a vector among rows {start} to {start + 65_535} is not finite"
    return None


def _parts_are_disjoint(record: Split, inputs: Inputs) -> str | None:
    from proteinx_pipelines.stages.split.check import check_split

    return " ".join(check_split(record, inputs["transform"])) or None


def _every_fold_has_a_model(record: Training, _inputs: Inputs) -> str | None:
    missing = [str(folder) for folder in record.model_dirs if not (folder / "model.json").is_file()]
    return f"no model in {', '.join(missing)}" if missing else None


def _predictions_are_finite(record: Evaluation, _inputs: Inputs) -> str | None:
    values = np.asarray(
        record.predictions.column("prediction").to_numpy(zero_copy_only=False), dtype=np.float64
    )
    wrong = int((~np.isfinite(values)).sum())
    return f"{wrong} of {len(values)} predictions are not finite" if wrong else None


def _nothing_known_is_proposed(record: Design, inputs: Inputs) -> str | None:
    rows = {
        row["rank"]: row for row in record.proposals.to_pylist() if row["rank"] > 0
    }.values()  # once, not by well
    names = [row["sequence"] for row in rows]
    variants: VariantTable = inputs["transform"]
    # Of every source: a variant that another one measured, on whatever scale, is known too.
    labelled = np.isfinite(variants.column("target").astype(np.float64))
    known = set() if record.report["keeps_measured"] else set(variants.column("sequence")[labelled])
    refused = {frozenset(name.split(":")) for name in record.report["excluded"]}
    measured, twice = sum(name in known for name in names), len(names) - len(set(names))
    excluded = sum(frozenset(row["mutant"].split(":")) in refused for row in rows)
    problem = f"{measured} proposals are measured, {excluded} are excluded, {twice} stand twice"
    return problem if measured or excluded or twice else None


_CHECKS: dict[str, dict[str, tuple[str, Check]]] = {
    "selection": {"selection_has_rows": ("At least one row was chosen.", _selection_has_rows)},
    "transform": {
        "variants_are_unique": ("No id stands twice.", _variants_are_unique),
        "targets_are_finite": ("Every target is a finite number.", _targets_are_finite),
    },
    "embedding": {"vectors_are_finite": ("Every vector is finite.", _vectors_are_finite)},
    "split": {
        "parts_are_disjoint": (
            "No variant is in two parts of a fold, and none is given away.",
            _parts_are_disjoint,
        ),
    },
    "train": {"every_fold_has_a_model": ("Each fold has an exported model.", _every_fold_has_a_model)},
    "design": {
        "nothing_known_is_proposed": (
            "No proposal is measured, excluded or twice.",
            _nothing_known_is_proposed,
        )
    },
    "evaluate": {"predictions_are_finite": ("Every prediction is a finite number.", _predictions_are_finite)},
}


def checks_of(stage: str) -> dict[str, str]:
    """Check of a stage -> its condition; a stage without a row here promises nothing."""
    return {name: text for name, (text, _) in _CHECKS.get(stage, {}).items()}


def check_results(
    stage: str, record: Any, inputs: Mapping[str, Any], experiment_id: str
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the checks of a stage on its record, and on the records it was made from."""
    for name, (text, check) in _CHECKS.get(stage, {}).items():
        problem = check(record, inputs)
        yield dg.AssetCheckResult(
            check_name=name,
            passed=problem is None,
            description=problem or text,
            metadata={"experiment_id": experiment_id},
        )


def unasked_results(stage: Stage, experiment_id: str) -> Iterator[dg.AssetCheckResult]:
    """Results for a stage that the experiment does not ask for: Dagster requires one for each check of a step."""
    for name in _CHECKS.get(stage.name, {}):
        yield dg.AssetCheckResult(
            check_name=name,
            passed=True,
            description=f"Not made: `{stage.asked_for_by}` is not set.",
            metadata={"experiment_id": experiment_id},
        )
