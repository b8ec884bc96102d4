"""Interfaces that the services need from their surroundings; `node.lifecycle.service_ports` has a node's."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from proteinx_pipelines.contract.report import Report
    from proteinx_pipelines.flags.tree import ExperimentFlags
    from proteinx_pipelines.ledger.generation import Generation
    from proteinx_pipelines.pipeline.entries import StageEntry
    from proteinx_pipelines.pipeline.plan import Plan


class Lives(Protocol):
    """The recorded history of experiments (`ledger.ledger.Ledger`)."""

    def latest(self, experiment_id: str) -> "Generation | None":
        """The newest generation of an experiment, or None."""

    def generation(self, experiment_id: str, generation: int) -> "Generation | None":
        """One generation, or None."""

    def listing(self, limit: int, state: str | None = None) -> "list[Generation]":
        """The newest generation of each experiment, last arrived first."""

    def in_state(self, *states: str, limit: int = 1000) -> "list[Generation]":
        """Generations in these states, in the order in which they will run."""

    def history(self, experiment_id: str) -> list[dict[str, Any]]:
        """Every transition of an experiment, oldest first."""

    def attempts_at(self, experiment_id: str, generation: int) -> list[dict[str, Any]]:
        """Every attempt at a generation, oldest first."""

    def answered(self, message_key: str) -> Any:
        """The decision about a message: `verdict`, `experiment_id`, `generation`, `result_id`; None if undecided."""

    def result(self, result_id: str) -> dict[str, Any] | None:
        """A stored result document, or None."""

    def rejections(self, limit: int) -> list[dict[str, Any]]:
        """Refused messages, last arrived first: `experiment_id`, `received_at` and the `result` document."""

    def request_cancel(self, experiment_id: str) -> "Generation | None":
        """Record a request to stop the open generations of an experiment."""


class Directories(Protocol):
    """The experiment directories of the place."""

    def ids(self) -> list[str]:
        """Ids of the experiments that have an `experiment.json`, sorted."""

    def document(self, experiment_id: str) -> Mapping[str, Any] | None:
        """`experiment.json`; None if it is missing or unreadable."""

    def whereabouts(self, experiment_id: str) -> str:
        """`here`, `archived` or `removed`."""


class Queue(Protocol):
    """The Redis lists that lead to the nodes."""

    def send(self, message: bytes) -> None:
        """Put a message on the list.

        Raises:
            QueueUnavailable: the server does not answer.
        """

    def ask_to_cancel(self, experiment_id: str) -> None:
        """Put a cancel request on its list.

        Raises:
            QueueUnavailable: the server does not answer.
        """

    def take_reply(self, reply_to: str) -> Mapping[str, Any] | None:
        """Take the next result off one sender's list; None if it is empty.

        Raises:
            QueueUnavailable: the server does not answer.
        """

    def job_of(self, message_key: str) -> str | None:
        """Id of the job that a Master has made of a message; None where there is none (yet).

        Raises:
            QueueUnavailable: the server does not answer.
        """

    def is_heard(self) -> bool:
        """True if a node is taking messages from the list; false also when the server does not answer."""


class Planner(Protocol):
    """Predicts the effect of an experiment without running it."""

    def plan(self, experiment_id: str, flags: "ExperimentFlags", payload_ref: str | None) -> "Plan":
        """Plan an experiment with these flags as it stands now."""

    def rehearse(self, flags: "ExperimentFlags", payload_ref: str | None) -> "Rehearsal":
        """Foreseeable failures, as far as they can be found without running the experiment."""

    def past_stages(self) -> "Iterable[tuple[str, StageEntry]]":
        """Stages computed here, newest experiments first, with their flags and times."""


class Rehearsal(Protocol):
    """Result of a trial without computation (`execution.rehearsal.Rehearsal`)."""

    @property
    def problems(self) -> "Sequence[Problem]":
        """Foreseeable failures."""

    @property
    def rows_matched(self) -> Mapping[str, str]:
        """Flag that names a file -> sentence with the number of variants found in it."""


class Problem(Protocol):
    """A foreseeable failure of an experiment (`execution.rehearsal.Problem`)."""

    @property
    def code(self) -> str:
        """Error code that the result would have."""

    @property
    def text(self) -> str:
        """The problem and its remedy, in a sentence."""


class OpenedGeneration(Protocol):
    """One generation of an experiment, opened for reading (`execution.opened_generation`)."""

    @property
    def name(self) -> str:
        """Name as requested: `gb1-001`, `gb1-001@1`."""

    @property
    def flags(self) -> Mapping[str, Any]:
        """Flags, nested, defaults written out."""

    @property
    def stages(self) -> "Mapping[str, StageEntry]":
        """The finished stages, by name."""

    @property
    def report(self) -> "Report | None":
        """`report.json`; None if the generation has not got that far."""

    def file(self, stage: str, name: str) -> Path | None:
        """A file of a stage, by its name in the experiment directory; None if it no longer exists."""
