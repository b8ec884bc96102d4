"""Finds an experiment by name; builds the error when there is none."""

from collections.abc import Sequence

from proteinx_pipelines.errors import UnknownExperiment
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.nearest import did_you_mean
from proteinx_pipelines.services.ports import Lives

LISTED = 8
"""Number of existing ids named when the requested one does not exist."""
_COMPARED = 1000
_SUGGESTED = 3


def unknown_experiment(
    name: str, known: Sequence[str], *, where: str = "", listed: str = "There are", more: str = ""
) -> UnknownExperiment:
    """Build the error for a missing experiment: names the nearest ids, or else the existing ones.

    Args:
        name: as it was asked for.
        known: ids that there are, the ones to name first in front.
        where: where was looked: ` in <folder>`.
        listed: what the ids that are named stand for.
        more: a sentence at the end, with a space in front.
    """
    guess = did_you_mean(name, known, _SUGGESTED)
    rest = f" and {len(known) - LISTED:,} more" if len(known) > LISTED else ""
    ids = f"{', '.join(known[:LISTED])}{rest}" if known else "none"
    shown = name if len(name) <= 200 else f"{name[:197]}..."
    return UnknownExperiment(f"There is no experiment {shown!r}{where}.{guess} {listed}: {ids}.{more}")


def find_generation(lives: Lives, experiment_id: str, generation: int | None = None) -> Generation:
    """Find the newest generation of an experiment, or the one with this number.

    Raises:
        UnknownExperiment: there is none; the message names the nearest ids, or the generations there are.
    """
    latest = lives.latest(experiment_id)
    if latest is None:
        known = [current.experiment_id for current in lives.listing(_COMPARED)]
        raise unknown_experiment(
            experiment_id, known, listed="The newest are", more=" `proteinx list` shows more."
        )
    if generation is None:
        return latest
    found = lives.generation(experiment_id, generation)
    if found is None:
        raise UnknownExperiment(
            f"{latest.experiment_id} has no generation {generation}; it has 1 to {latest.generation}."
        )
    return found
