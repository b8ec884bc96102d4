"""What the services need of the place that they work on. A node's own are in `node.lifecycle.service_ports`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.plan import Plan


class Lives(Protocol):
    """The recorded lives of experiments (`ledger.ledger.Ledger`)."""

    def latest(self, experiment_id: str) -> Generation | None:
        """The newest generation of an experiment, or None."""

    def generation(self, experiment_id: str, generation: int) -> Generation | None:
        """One generation, or None."""

    def listing(self, limit: int, state: str | None = None) -> list[Generation]:
        """The newest generation of each experiment, last arrived first."""

    def in_state(self, *states: str, limit: int = 1000) -> list[Generation]:
        """Generations in these states, those to run first first."""

    def history(self, experiment_id: str) -> list[dict[str, Any]]:
        """Every transition of an experiment, oldest first."""

    def attempts_at(self, experiment_id: str, generation: int) -> list[dict[str, Any]]:
        """Every attempt at a generation, oldest first."""

    def answered(self, message_key: str) -> Any:
        """What was decided about a message: `verdict`, `experiment_id`, `generation`, `result_id`; None so far."""

    def result(self, result_id: str) -> dict[str, Any] | None:
        """A stored result document, or None."""

    def rejections(self, limit: int) -> list[dict[str, Any]]:
        """Refused messages, last arrived first: `experiment_id`, `received_at` and the `result` document."""

    def request_cancel(self, experiment_id: str) -> Generation | None:
        """Record that the open generations of an experiment are to stop."""


class Directories(Protocol):
    """The experiment directories of the place."""

    def ids(self) -> list[str]:
        """Ids of the experiments that have an `experiment.json`, sorted."""

    def document(self, experiment_id: str) -> Mapping[str, Any] | None:
        """`experiment.json`; None where there is none that can be read."""

    def whereabouts(self, experiment_id: str) -> str:
        """`here`, `archived` or `removed`."""


class Queue(Protocol):
    """The lists that lead to the nodes."""

    def send(self, message: bytes) -> None:
        """Put a message on the list.

        Raises:
            QueueUnavailable: the server does not answer.
        """

    def ask_to_cancel(self, experiment_id: str) -> None:
        """Put a cancel on its list.

        Raises:
            QueueUnavailable: the server does not answer.
        """

    def take_reply(self, reply_to: str) -> Mapping[str, Any] | None:
        """Take the next result off the list of one sender; None while there is none.

        Raises:
            QueueUnavailable: the server does not answer.
        """

    def is_heard(self) -> bool:
        """Whether a node takes messages from the list now; false as well while the server does not answer."""


class Planner(Protocol):
    """Foresees what an experiment would do, without running it."""

    def plan(self, experiment_id: str, flags: ExperimentFlags, payload_ref: str | None) -> Plan:
        """What these flags would do to an experiment now."""

    def rehearse(self, flags: ExperimentFlags, payload_ref: str | None) -> "Rehearsal":
        """What an experiment would fail at, as far as that can be known without running it."""

    def past_stages(self) -> Iterable[tuple[str, StageEntry]]:
        """Stages that were computed here, newest experiments first, with their flags and times."""


class Rehearsal(Protocol):
    """What trying an experiment has shown (`execution.rehearsal.Rehearsal`)."""

    @property
    def problems(self) -> "Sequence[Problem]":
        """What it would fail at."""

    @property
    def rows_matched(self) -> Mapping[str, str]:
        """Flag that names a file -> how many variants found theirs in it, in words."""


class Problem(Protocol):
    """Something that an experiment would fail at (`execution.rehearsal.Problem`)."""

    @property
    def code(self) -> str:
        """The error code that its result would have."""

    @property
    def text(self) -> str:
        """What is wrong and what to do."""


class OpenedGeneration(Protocol):
    """One generation of an experiment, opened to be read (`execution.opened_generation.Side`)."""

    @property
    def name(self) -> str:
        """As it was asked for: `gb1-001`, `gb1-001@1`."""

    @property
    def flags(self) -> Mapping[str, Any]:
        """Nested, defaults written out."""

    @property
    def stages(self) -> Mapping[str, StageEntry]:
        """The stages it has finished, by name."""

    @property
    def report(self) -> Mapping[str, Any] | None:
        """`report.json`; None when it has not come that far."""

    def file(self, stage: str, name: str) -> Path | None:
        """A file that a stage left, by its name in the experiment directory; None when it is nowhere any more."""
