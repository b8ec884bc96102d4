"""Names in the shared store."""

from proteinx_pipelines.experiment_dir.layout import DOCUMENT

OBJECTS, STAGES, SEQUENCES, EXPERIMENTS = "objects", "stages", "sequences", "experiments"
ARCHIVE = "archive.tar"
"""Name of an experiment's archive below its generation."""
PROBE = "probe"
"""Name of the small blob by which `proteinx doctor` tries the store."""


def object_name(sha256: str) -> str:
    """`objects/<sha256>`: a file by its digest."""
    return f"{OBJECTS}/{sha256}"


def description_name(sha256: str) -> str:
    """`objects/<sha256>.json`: the name of a file that somebody put into the store."""
    return f"{OBJECTS}/{sha256}.json"


def stage_name(stage: str, key: str) -> str:
    """`stages/<stage>/<key>`: the entry of a computed stage."""
    return f"{STAGES}/{stage}/{key}"


def policy_folder(policy: str) -> str:
    """`sequences/<policy>`: the vectors of one policy."""
    return f"{SEQUENCES}/{policy}"


def generation_folder(experiment_id: str, generation: int) -> str:
    """`experiments/<id>/<generation>`: the files of an ended experiment."""
    return f"{EXPERIMENTS}/{experiment_id}/{generation}"


def document_name(experiment_id: str, generation: int) -> str:
    """`experiments/<id>/<generation>/experiment.json`: the index of those files; there once all of them are."""
    return f"{generation_folder(experiment_id, generation)}/{DOCUMENT}"
