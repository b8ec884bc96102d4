"""Shows one experiment: its row, its state, its attempts, its history and its files."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.reading import in_words
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.services.line import places
from proteinx_pipelines.services.listing import Row, row_of
from proteinx_pipelines.services.lookup import find_generation
from proteinx_pipelines.services.ports import Directories, Lives, Queue


@dataclass(frozen=True)
class Shown:
    """All records of one generation."""

    generation: Generation
    row: Row
    attempts: list[dict[str, Any]]
    history: list[dict[str, Any]]
    """History of every generation, oldest first."""
    unread: str
    """One sentence naming the flags that this model does not read; empty where there are none."""
    files: Mapping[str, Any]
    """The index of `experiment.json`: name -> size and digest. Empty for an earlier generation."""

    def document(self) -> dict[str, Any]:
        """Everything as JSON types, without the attempt's token."""
        row = self.row.document()
        names = (field.name for field in dataclasses.fields(self.generation) if field.name != "token")
        stored = {name: getattr(self.generation, name) for name in names}
        return {
            **row,
            **stored,
            "unread_flags": self.unread,
            "attempts": self.attempts,
            "history": self.history,
            "files": dict(self.files),
        }


def show_experiment(
    lives: Lives,
    directories: Directories,
    queue: Queue,
    past: Callable[[], Iterable[tuple[str, StageEntry]]],
    experiment_id: str,
    generation: int | None = None,
) -> Shown:
    """Read the newest generation of an experiment, or the one with this number.

    Args:
        lives: of the experiments.
        directories: of the place.
        queue: asked whether a node takes messages, for one that waits.
        past: gives the stages that were computed, for the times of one that is open.
        experiment_id: whose.
        generation: its number; None is the newest.

    Raises:
        UnknownExperiment: there is none; the message names the nearest.
    """
    current = find_generation(lives, experiment_id, generation)
    place = None
    if not current.is_terminal:
        heard = current.state != "PENDING" or queue.is_heard()
        line = places(lives, past(), heard=heard)
        place = line.get((current.experiment_id, current.generation))
    return Shown(
        generation=current,
        row=row_of(current, directories.whereabouts(current.experiment_id), place),
        attempts=lives.attempts_at(current.experiment_id, current.generation),
        history=lives.history(current.experiment_id),
        unread=_unread(current),
        files=_files(lives, directories, current),
    )


def _unread(current: Generation) -> str:
    try:
        return in_words(current.tree)
    except FlagError:  # written by another version
        return ""


def _files(lives: Lives, directories: Directories, current: Generation) -> Mapping[str, Any]:
    """Files of an earlier generation no longer exist."""
    if lives.latest(current.experiment_id) != current:
        return {}
    document = directories.document(current.experiment_id) or {}
    return dict(document.get("artifacts") or {})
