"""Run tags that tie a Dagster run to one attempt at one generation of an experiment."""

from collections.abc import Mapping
from dataclasses import dataclass

GENERATION = "proteinx/generation"
ATTEMPT = "proteinx/attempt"
PARTITION = "dagster/partition"
RUN_KEY = "dagster/run_key"


@dataclass(frozen=True)
class RunIdentity:
    """What a run is an execution of. `generation` is None for a run started by hand in the web UI."""

    experiment_id: str
    generation: int | None
    attempt: int


def identity_of(tags: Mapping[str, str]) -> RunIdentity:
    """Read a run's tags."""
    generation = tags.get(GENERATION)
    return RunIdentity(
        experiment_id=tags[PARTITION],
        generation=int(generation) if generation else None,
        attempt=int(tags.get(ATTEMPT, "1")),
    )
