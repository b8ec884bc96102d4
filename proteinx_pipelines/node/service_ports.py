"""The ports of the services on this node: its `state.db`, its lists in Redis, its experiment directories."""

from collections.abc import Iterator
from dataclasses import dataclass

from proteinx_pipelines.errors import QueueUnavailable, UnknownExperiment
from proteinx_pipelines.execution.pipeline_file import read_pipeline
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_id import experiment_id_problem
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.plan import Plan
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.state.store import StateStore

MOST_FILES = 200
"""How many experiments are asked for the times of their stages, newest first."""


def open_lives(settings: Settings, experiment_id: str | None = None) -> StateStore:
    """Open the history of this WORKDIR's queue; `experiment_id` is what will be asked for.

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
    return StateStore(settings.state_path)


def _refuse_by_hand(settings: Settings, experiment_id: str) -> None:
    """Say where an experiment is that never was on the queue."""
    if experiment_id_problem(experiment_id) is not None:
        return
    directory = ExperimentDir(settings.experiments_dir, experiment_id)
    queued = settings.state_path.is_file() and StateStore(settings.state_path).latest(experiment_id)
    if queued or not directory.document.is_file():
        return
    report = directory.report_html
    rest = f"its report is {report}" if report.is_file() else f"it has no report; see {directory.root}"
    raise UnknownExperiment(
        f"{experiment_id} is not in the queue's history: it was run by hand; {rest}. "
        "`proteinx logs`, `compare`, `diff` and `lineage` read it."
    )


@dataclass(frozen=True)
class NodeQueue:
    """The lists of the settings' Redis, as `services.ports.Queue`."""

    settings: Settings

    def send(self, message: bytes) -> None:
        """Put a message on the list.

        Raises:
            QueueUnavailable: the server does not answer; the message says what to look at.
        """
        from proteinx_pipelines.node.line import master_queue

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
        from proteinx_pipelines.node.line import master_line

        master_line(self.settings).ask_to_cancel(experiment_id)

    def is_heard(self) -> bool:
        """Whether this node's heartbeat is there."""
        from proteinx_pipelines.node.readiness import heart_beats

        return heart_beats(self.settings)


@dataclass(frozen=True)
class NodePlanner:
    """Plans from this WORKDIR's directories and store, as `services.ports.Planner`."""

    settings: Settings

    def plan(self, experiment_id: str, flags: ExperimentFlags, payload_ref: str | None) -> Plan:
        """What these flags would do to an experiment now."""
        from proteinx_pipelines.node.planning import plan_experiment

        return plan_experiment(self.settings, experiment_id, flags, payload_ref)

    def past_stages(self) -> Iterator[tuple[str, StageEntry]]:
        """Stages and their entries; one that was taken over has the time of the experiment that computed it."""
        directories = ExperimentDir.all(self.settings.experiments_dir)
        files = [each.pipeline for each in directories if not each.is_hidden and each.pipeline.is_file()]
        for path in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)[:MOST_FILES]:
            yield from read_pipeline(path).stages.items()
