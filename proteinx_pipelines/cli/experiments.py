"""Finding what a command asks for: the settings, `state.db`, an experiment in it."""

import difflib

from proteinx_pipelines.errors import UnknownExperiment
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.state.generation import Generation
from proteinx_pipelines.state.store import StateStore

_LISTED = 8


def open_state(settings: Settings) -> StateStore:
    """Open the history of this WORKDIR.

    Raises:
        UnknownExperiment: there is none yet; nothing is created by asking.
    """
    if not settings.state_path.is_file():
        raise UnknownExperiment(
            f"No experiment has reached {settings.workdir} yet. Start the node with `proteinx up` and submit one, "
            "or set PROTEINX_WORKDIR to the folder of another node."
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


def _unknown(state: StateStore, experiment_id: str) -> str:
    known = [current.experiment_id for current in state.listing(1000)]
    near = difflib.get_close_matches(experiment_id, known, n=3)
    if near:
        return f"There is no experiment {experiment_id!r}. Did you mean {' or '.join(near)}?"
    newest = ", ".join(known[:_LISTED]) or "none"
    return f"There is no experiment {experiment_id!r}. The newest are: {newest}. `proteinx list` shows more."
