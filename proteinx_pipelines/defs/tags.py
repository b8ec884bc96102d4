"""Run tags that tie a Dagster run to one attempt at one generation of an experiment."""

from collections.abc import Mapping
from dataclasses import dataclass

from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.services.facts import facts_of

GENERATION = "proteinx/generation"
ATTEMPT = "proteinx/attempt"
PARTITION = "dagster/partition"
RUN_KEY = "dagster/run_key"


@dataclass(frozen=True)
class RunIdentity:
    """Generation that a run executes. `generation` is None for a run started by hand in the web UI."""

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


_LONGEST_TAG = 200
"""Most characters of a tag that describes an experiment; the web server shows tags on one line."""


def run_tags(current: Generation) -> dict[str, str]:
    """Tags of a generation's run: its identity, and the facts that distinguish its experiment (as `proteinx list`)."""
    facts = facts_of(current.flags)
    said = {
        "proteinx/source": facts.source, "proteinx/model": facts.model, "proteinx/embedding": facts.embedding,
        "proteinx/split": facts.split, "proteinx/priority": str(current.priority),
        **({"proteinx/flags": " ".join(facts.changed)} if facts.changed else {}),
    }  # fmt: skip
    shown = {name: _clipped(text) for name, text in said.items()}
    return {GENERATION: str(current.generation), ATTEMPT: str(current.attempt), **shown}


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_TAG else f"{text[: _LONGEST_TAG - 3]}..."
