"""Expected run times of stages: medians over what was computed before."""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from proteinx_pipelines.flags.tree import ExperimentFlags, canonical_json
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.stages import stages_of


def expected_seconds(past: Iterable[tuple[str, StageEntry]], flags: ExperimentFlags) -> dict[str, float]:
    """Expected run time of each stage in seconds. Stages without a comparable past run are omitted.

    Runs with the same flags tell best. Where there are none, those with the same models and embedders tell (a ridge
    says nothing about a network).

    Args:
        past: stages that were computed, by name.
        flags: of the experiment in question.
    """
    wanted = {stage.name: stage.document(flags) for stage in stages_of(flags)}
    same: dict[str, list[float]] = {stage: [] for stage in wanted}
    alike: dict[str, list[float]] = {stage: [] for stage in wanted}
    for stage, entry in past:
        if stage not in wanted:
            continue
        if canonical_json(dict(entry.flags)) == canonical_json(wanted[stage]):
            same[stage].append(entry.seconds)
        elif _names(entry.flags) == _names(wanted[stage]):
            alike[stage].append(entry.seconds)
    chosen = {stage: same[stage] or alike[stage] for stage in wanted}
    return {stage: median(seconds) for stage, seconds in chosen.items() if seconds}


def _names(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is run, without its settings: `{"model": "mlp"}`."""
    return {
        group: values["name"]
        for group, values in document.items()
        if isinstance(values, Mapping) and "name" in values
    }
