"""Expected run times of stages: medians over comparable past runs."""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from proteinx_pipelines.flags.tree import ExperimentFlags, canonical_json
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.stages import stages_of


class PastRuns:
    """Run times of computed stages; answers any number of estimates.

    Args:
        entries: name of the stage, and its entry; read once.
    """

    def __init__(self, entries: Iterable[tuple[str, StageEntry]]) -> None:
        self._same: dict[tuple[str, str], list[float]] = {}
        self._alike: dict[tuple[str, str], list[float]] = {}
        for stage, entry in entries:
            self._same.setdefault((stage, canonical_json(dict(entry.flags))), []).append(entry.seconds)
            self._alike.setdefault((stage, canonical_json(_names(entry.flags))), []).append(entry.seconds)

    def expected_seconds(self, flags: ExperimentFlags) -> dict[str, float]:
        """Expected run time of each stage in seconds. Stages without a comparable past run are omitted.

        Runs with the same flags are used first. If there are none, runs with the same models and embedders are used
        (the time of a ridge says nothing about a network).
        """
        found = {}
        for stage in stages_of(flags):
            document = stage.document(flags)
            seconds = self._same.get((stage.name, canonical_json(document))) or self._alike.get(
                (stage.name, canonical_json(_names(document)))
            )
            if seconds:
                found[stage.name] = median(seconds)
        return found


def _names(document: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that name what is run, without its settings: `{"model": "mlp"}`."""
    return {
        group: values["name"]
        for group, values in document.items()
        if isinstance(values, Mapping) and "name" in values
    }
