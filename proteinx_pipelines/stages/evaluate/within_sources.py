"""Metrics within each source and their mean, as a complement to values pooled over sources.

Two assays with different scales give a high pooled rank correlation without any skill: knowing the assay of a variant
is enough to rank it. If the test rows are of several sources, every pooled value of the model and of the baselines is
reported with its mean within sources.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.resampling.within import MIN_GROUP_ROWS, mean_of_defined
from proteinx_pipelines.stages.evaluate.predict import Predictions
from proteinx_pipelines.stages.evaluate.scores import score


def source_facts(
    names: Sequence[str], variants: VariantTable, passes: Sequence[Predictions], *, in_target_units: bool
) -> dict[str, Any] | None:
    """Every metric within each source of the test rows, averaged over passes, and the mean over sources.

    Args:
        names: metrics.
        variants: N rows.
        passes: test predictions, pass by pass.
        in_target_units: false for a ranking.

    Returns:
        None where the test rows are of one source. Else `entries` (`source`, `n` test rows of the first pass and
        every metric), `counted` (sources with at least `MIN_GROUP_ROWS` test rows, which the mean is over),
        `left_out` (the others), and `mean`: metric -> mean over the counted sources in which it is defined, NaN
        where there is none.
    """
    if len(variants.templates) < 2:
        return None
    codes, sources = _codes(variants)
    target = variants.column("target").astype(np.float64)
    tested = np.unique(codes[np.concatenate([own.rows for own in passes])])
    if len(tested) < 2:
        return None
    entries = []
    for code in tested:
        found = []
        for own in passes:
            rows = own.chosen(codes[own.rows] == code)
            found.append(score(names, target[rows.rows], rows.prediction, in_target_units=in_target_units))
        values = {name: float(np.mean([each[name] for each in found])) for name in names}
        entries.append({"source": sources[code], "n": int((codes[passes[0].rows] == code).sum()), **values})
    entries.sort(key=lambda entry: str(entry["source"]))
    counted = [entry for entry in entries if entry["n"] >= MIN_GROUP_ROWS]
    return {
        "entries": entries,
        "counted": [entry["source"] for entry in counted],
        "left_out": [entry["source"] for entry in entries if entry["n"] < MIN_GROUP_ROWS],
        "mean": {name: mean_of_defined([entry[name] for entry in counted]) for name in names},
    }


def source_means(
    names: Sequence[str], variants: VariantTable, passes: Sequence[Predictions], *, in_target_units: bool
) -> dict[str, float]:
    """The means alone; empty where the test rows are of one source."""
    found = source_facts(names, variants, passes, in_target_units=in_target_units)
    return {} if found is None else dict(found["mean"])


def _codes(variants: VariantTable) -> tuple[np.ndarray, list[str]]:
    """int64 [N], an index into the names of the sources."""
    encoded = variants.rows.column("source").combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()
