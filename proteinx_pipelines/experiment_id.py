"""The rule for the names of experiments: an id is a folder's name on Linux, macOS and Windows.

The one gate between what a sender writes and the file system. Messages are checked against it when they
come in (`contract.request`), directories when they are opened (`experiment_dir.layout`).
"""

import re

from proteinx_pipelines.errors import MessageError

EXPERIMENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WINDOWS_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"com{n}" for n in range(10)),
    *(f"lpt{n}" for n in range(10)),
}


def experiment_id_problem(experiment_id: object) -> str | None:
    """Say what is wrong with an id, or None: the only gate between a message and the file system."""
    shown = repr(experiment_id) if len(repr(experiment_id)) <= 120 else repr(experiment_id)[:117] + "..."
    if not isinstance(experiment_id, str):
        return f"`experiment_id` is {shown}; a text is expected."
    if not EXPERIMENT_ID.fullmatch(experiment_id):
        return (
            f"`experiment_id` is {shown}; 1 to 100 of A-Z a-z 0-9 . _ - are expected, "
            "beginning with a letter or a digit."
        )
    if ".." in experiment_id or experiment_id.endswith("."):
        return f"`experiment_id` is {shown}; two dots in a row and a dot at the end are not allowed."
    if experiment_id.split(".")[0].lower() in _WINDOWS_DEVICES:
        return f"`experiment_id` is {shown}; this is the name of a device on Windows. Choose another."
    return None


def check_experiment_id(experiment_id: object) -> str:
    """Return the id if it may become a folder's name.

    Raises:
        MessageError: code `bad_id`; choose an id of letters, digits, `.`, `_`, `-`.
    """
    problem = experiment_id_problem(experiment_id)
    if problem:
        raise MessageError("bad_id", [problem])
    assert isinstance(experiment_id, str)
    return experiment_id
