"""Scores with and without leaked test rows: the effect of an accepted leak."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.records import Split, VariantTable
from proteinx_pipelines.stages.evaluate import scores
from proteinx_pipelines.stages.evaluate.predict import Predictions


def leakage_facts(
    names: Sequence[str], variants: VariantTable, split: Split, test: Predictions, *, in_target_units: bool
) -> dict[str, Any]:
    """Findings of the split stage, and every metric on all, leaked and clean test rows.

    Returns:
        `findings` (`check`, `sequences`, `test_rows`, `text`, `reason`), `near_identical` (test rows that differ
        in one residue from a training row; None where the split does not say), and `scores`: one entry for
        `all`, `leaked` and `clean` test rows, with `n`; empty where nothing leaks.
    """
    findings = split.info.get("leakage", ())
    leaked_ids = {text for entry in findings for text in entry["ids"]}
    facts: dict[str, Any] = {
        "findings": [{name: entry[name] for name in entry if name != "ids"} for entry in findings],
        "near_identical": _per_pass(split),
        "scores": [],
    }
    if leaked_ids:
        ids = variants.rows.column("id").combine_chunks().take(pa.array(test.rows))
        leaked = pc.is_in(ids, pa.array(sorted(leaked_ids))).to_numpy(zero_copy_only=False)
        target = variants.column("target").astype(np.float64)[test.rows]
        for kind, rows in (("all", np.full(len(leaked), True)), ("leaked", leaked), ("clean", ~leaked)):
            values = scores.score(names, target[rows], test.prediction[rows], in_target_units=in_target_units)
            facts["scores"].append({"rows": kind, "n": int(rows.sum()), **values})
    return facts


def _per_pass(split: Split) -> int | None:
    """Counts per pass: the split counts test rows over all folds, and every pass tests them again."""
    near: int | None = split.info.get("near_identical")
    if near is None:
        return None
    if "times_tested" in split.info:
        tests = [fold.test for fold in split.folds]
        return round(near * len(np.unique(np.concatenate(tests))) / sum(map(len, tests)))
    return round(near / int(split.info.get("passes", 1)))
