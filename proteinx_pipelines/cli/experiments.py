"""Finding what a command asks for: the settings, `state.db`, an experiment in it."""

import difflib

from proteinx_pipelines.errors import UnknownExperiment
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_id import experiment_id_problem
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.state.generation import Generation
from proteinx_pipelines.state.store import StateStore

_LISTED = 8


def open_state(settings: Settings, experiment_id: str | None = None) -> StateStore:
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


def find_generation(state: StateStore, experiment_id: str, generation: int | None = None) -> Generation:
    """The newest generation of an experiment, or the one with this number.

    Raises:
        UnknownExperiment: there is none; the message names the nearest ids, or the generations there are.
    """
    latest = state.latest(experiment_id)
    if latest is None:
        raise UnknownExperiment(_unknown(state, experiment_id))
    if generation is None:
        return latest
    found = state.generation(experiment_id, generation)
    if found is None:
        raise UnknownExperiment(
            f"{latest.experiment_id} has no generation {generation}; it has 1 to {latest.generation}."
        )
    return found


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


def _unknown(state: StateStore, experiment_id: str) -> str:
    known = [current.experiment_id for current in state.listing(1000)]
    near = difflib.get_close_matches(experiment_id, known, n=3)
    if near:
        return f"There is no experiment {experiment_id!r}. Did you mean {' or '.join(near)}?"
    newest = ", ".join(known[:_LISTED]) or "none"
    return f"There is no experiment {experiment_id!r}. The newest are: {newest}. `proteinx list` shows more."
