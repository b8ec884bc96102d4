"""The request to cancel an experiment: its id, as plain text on a Redis list."""

from proteinx_pipelines.experiment_id import check_experiment_id, experiment_id_problem


def write_cancel(experiment_id: str) -> str:
    """Build the text that is put on the list.

    Raises:
        MessageError: code `bad_id`; this is not the id of an experiment.
    """
    return check_experiment_id(experiment_id)


def read_cancel(text: str | bytes) -> str | None:
    """The id named by a request, ignoring white space around it; None if the text is not an id."""
    decoded = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    experiment_id = decoded.strip()
    return experiment_id if experiment_id_problem(experiment_id) is None else None


CANCEL_SCHEMA = {
    "title": "ProteinX cancel request",
    "description": "Plain text, not JSON: the id of the experiment.",
    "type": "string",
    "pattern": r"^(?!.*\.\.)[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?$",
}
"""JSON Schema of the text."""
