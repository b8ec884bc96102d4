"""Ports of the services on this node: its `state.db`, its lists in Redis, its experiment directories."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proteinx_pipelines.errors import InputError, QueueUnavailable, UnknownExperiment
from proteinx_pipelines.experiment_dir.files import facts_of, read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_id import experiment_id_problem
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.settings import Settings

if TYPE_CHECKING:
    from proteinx_pipelines.execution.rehearsal import Rehearsal
    from proteinx_pipelines.flags.tree import ExperimentFlags
    from proteinx_pipelines.pipeline.entries import StageEntry
    from proteinx_pipelines.pipeline.plan import Plan

MOST_FILES = 200
"""Most experiments, newest first, whose stage times are read."""


def open_lives(settings: Settings, experiment_id: str | None = None) -> Ledger:
    """Open the history of this WORKDIR's queue; `experiment_id` is the experiment to be looked up.

    Raises:
        UnknownExperiment: there is none yet, and nothing is created by asking; or that experiment was run by hand.
    """
    if experiment_id is not None:
        _refuse_by_hand(settings, experiment_id)
    if not settings.state_path.is_file():
        raise UnknownExperiment(
            f"No experiment has reached the queue of {settings.workdir} yet. Start the node with `proteinx up` "
            "and submit one, or set PROTEINX_WORKDIR to the folder of another node."
        )
    return Ledger(settings.state_path)


def _refuse_by_hand(settings: Settings, experiment_id: str) -> None:
    """Say where an experiment is that was never on the queue."""
    if experiment_id_problem(experiment_id) is not None:
        return
    directory = ExperimentDir(settings.experiments_dir, experiment_id)
    queued = settings.state_path.is_file() and Ledger(settings.state_path).latest(experiment_id)
    if queued or not directory.document.is_file():
        return
    report = directory.report_html
    rest = f"its report is {report}" if report.is_file() else f"it has no report; see {directory.root}"
    raise UnknownExperiment(
        f"{experiment_id} is not in the queue's history: it was run by hand; {rest}. "
        "`proteinx logs`, `compare`, `diff` and `lineage` read it."
    )


def has_own_node(settings: Settings) -> bool:
    """True if experiments sent from here run in this WORKDIR: a node on another machine has its own data."""
    return settings.redis_url is None or settings.state_path.is_file()


def find_lives(settings: Settings) -> Ledger | None:
    """History of this WORKDIR's queue, or None as long as there is none."""
    return Ledger(settings.state_path) if settings.state_path.is_file() else None


@dataclass(frozen=True)
class NodeQueue:
    """The lists of the settings' Redis, as `services.ports.Queue`."""

    settings: Settings

    def send(self, message: bytes) -> None:
        """Put a message on the list.

        Raises:
            QueueUnavailable: the server does not answer; the message says what to look at.
        """
        from proteinx_pipelines.node.talking.connections import master_queue

        try:
            master_queue(self.settings).enqueue(message)
        except QueueUnavailable as error:
            raise QueueUnavailable(
                f"{error} Is the node running (`proteinx up`), and REDIS_URL right?"
            ) from error

    def ask_to_cancel(self, experiment_id: str) -> None:
        """Put a cancel on its list.

        Raises:
            QueueUnavailable: the server does not answer.
        """
        from proteinx_pipelines.node.talking.connections import master_line

        master_line(self.settings).ask_to_cancel(experiment_id)

    def take_reply(self, reply_to: str) -> Mapping[str, Any] | None:
        """Take the next result off the list of one sender; None while there is none.

        Raises:
            QueueUnavailable: the server does not answer.
        """
        from proteinx_pipelines.node.talking.connections import master_line

        found = master_line(self.settings).take_reply(reply_to)
        return None if found is None else dict(json.loads(found))

    def job_of(self, message_key: str) -> str | None:
        """Id of the job that a Master has made of a message; None where there is none (yet).

        Raises:
            QueueUnavailable: the server does not answer.
        """
        from proteinx_pipelines.node.talking.connections import master_line

        return master_line(self.settings).job_of(message_key)

    def is_heard(self) -> bool:
        """True if this node's heartbeat is there; without a node in this WORKDIR, that of any node."""
        from proteinx_pipelines.node.processes.readiness import a_heart_beats, heart_beats

        return heart_beats(self.settings) or (
            not has_own_node(self.settings) and a_heart_beats(self.settings)
        )


@dataclass(frozen=True)
class NodePlanner:
    """Plans from this WORKDIR's directories and store, as `services.ports.Planner`."""

    settings: Settings

    def plan(self, experiment_id: str, flags: "ExperimentFlags", payload_ref: str | None) -> "Plan":
        """Plan the effect of these flags on an experiment now."""
        from proteinx_pipelines.node.lifecycle.planning import plan_experiment

        return plan_experiment(self.settings, experiment_id, flags, payload_ref)

    def rehearse(self, flags: "ExperimentFlags", payload_ref: str | None) -> "Rehearsal":
        """Try an experiment's cheap stages; finds nothing where another node, with its own data, would run it."""
        from proteinx_pipelines.execution.rehearsal import Rehearsal, rehearse

        return rehearse(self.settings, flags, payload_ref) if has_own_node(self.settings) else Rehearsal()

    def past_stages(self) -> "Iterator[tuple[str, StageEntry]]":
        """Stages and their entries; a stage taken over has the time of the experiment that computed it."""
        from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline

        directories = ExperimentDir.all(self.settings.experiments_dir)
        files = [each.pipeline for each in directories if not each.is_hidden]
        ages = [(facts.st_mtime, path) for path in files if (facts := facts_of(path)) is not None]
        for _, path in sorted(ages, reverse=True)[:MOST_FILES]:
            yield from read_pipeline(path).stages.items()


@dataclass(frozen=True)
class NodeDirectories:
    """`WORKDIR/experiments`, as `services.ports.Directories`."""

    settings: Settings

    def ids(self) -> list[str]:
        """Ids of the experiments that have an `experiment.json`, sorted."""
        return ExperimentDir.known_ids(self.settings.experiments_dir)

    def document(self, experiment_id: str) -> Mapping[str, Any] | None:
        """`experiment.json`; None where there is none that can be read."""
        try:
            found = read_json(ExperimentDir(self.settings.experiments_dir, experiment_id).document)
        except (OSError, ValueError, InputError):
            return None
        return found if isinstance(found, Mapping) else None

    def whereabouts(self, experiment_id: str) -> str:
        """`here`, `archived` or `removed`."""
        if ExperimentDir(self.settings.experiments_dir, experiment_id).root.is_dir():
            return "here"
        return "archived" if self.settings.paths.archive(experiment_id).is_file() else "removed"
