"""Reads the result of an ended experiment, as it was sent."""

from typing import Any

from proteinx_pipelines.errors import NoResultYet
from proteinx_pipelines.services.lookup import find_generation
from proteinx_pipelines.services.ports import Lives


def result_of(lives: Lives, experiment_id: str, generation: int | None = None) -> dict[str, Any]:
    """The result document of a generation; of the newest when None.

    Raises:
        UnknownExperiment: there is none of this id or number.
        NoResultYet: it has not ended.
    """
    current = find_generation(lives, experiment_id, generation)
    document = lives.result(current.result_id) if current.result_id else None
    if document is None:
        stage = f" ({current.stage})" if current.stage else ""
        raise NoResultYet(f"{current.experiment_id} has no result yet: it is {current.state}{stage}.")
    return document
