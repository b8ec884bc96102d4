"""`artifacts/model/`: one folder per fold, written by the train stage itself, and `training.json` describing them.

`training.json` is written last: if it is missing, training did not finish. `stages.train.export.load_model` reads the
models.
"""

from typing import Any

from proteinx_pipelines.errors import CorruptArtifact, MissingArtifact
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.records import Training

TRAINING_FILE = "artifacts/model/training.json"
_MODEL_FILES = ("model.json", "model.safetensors")
_REMEDY = (
    "Run the train stage again: send the experiment with `run.allow_duplicate` true and `run.resume` false."
)


def save(record: Training, directory: ExperimentDir) -> list[str]:
    """Write `training.json`; the same record gives the same bytes.

    Returns:
        Its name and those of the models' and the exported parts' files, relative to the root, sorted.
        Checkpoints and loggers' files are not listed: they help a training, and are no part of its result.

    Raises:
        MissingArtifact: a model that the record names was not written; run the train stage again.
    """
    document = {
        "model": record.model_name,
        "folders": [folder.relative_to(directory.root).as_posix() for folder in record.model_dirs],
        "metrics": [dict(found) for found in record.fold_metrics],
        "info": dict(record.info),
    }
    files = _listed(document)
    _check_present(directory, files)
    write_json(directory.path(TRAINING_FILE), document)
    return sorted([TRAINING_FILE, *files])


def load(directory: ExperimentDir) -> Training:
    """Read the record of a training; the models stay on disk.

    Raises:
        MissingArtifact: a file is not there; run the train stage again.
        CorruptArtifact: `training.json` is damaged; run the train stage again.
    """
    path = directory.path(TRAINING_FILE)
    _check_present(directory, [TRAINING_FILE])
    try:
        document = read_json(path)
        record = Training(
            model_name=document["model"],
            model_dirs=[directory.path(folder) for folder in document["folders"]],
            fold_metrics=[dict(found) for found in document["metrics"]],
            info=dict(document["info"]),
        )
        files = _listed(document)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptArtifact(f"{path} cannot be read ({error!r}). {_REMEDY}") from error
    _check_present(directory, files)
    return record


def _listed(document: dict[str, Any]) -> list[str]:
    models = [f"{folder}/{name}" for folder in document["folders"] for name in _MODEL_FILES]
    return [*models, *document["info"].get("exported", [])]


def _check_present(directory: ExperimentDir, names: list[str]) -> None:
    missing = [name for name in names if not directory.path(name).is_file()]
    if missing:
        raise MissingArtifact(f"{directory.root} has no {', '.join(missing)}. {_REMEDY}")
