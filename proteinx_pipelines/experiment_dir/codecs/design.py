"""`artifacts/design/` and `artifacts/model/final/`: the proposed variants, and the model that predicted them."""

import json

import pyarrow as pa

from proteinx_pipelines.errors import CorruptArtifact, MissingArtifact
from proteinx_pipelines.experiment_dir.codecs.evaluate import csv_bytes
from proteinx_pipelines.experiment_dir.files import (
    read_json,
    read_parquet,
    write_bytes,
    write_json,
    write_parquet,
)
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.records import Design

_PREDICTIONS, _PROPOSALS, _CSV, _REPORT = (
    "predictions.parquet", "proposals.parquet", "proposals.csv", "report.json",
)  # fmt: skip


def save(record: Design, directory: ExperimentDir) -> list[str]:
    """Write the design. The final model's folder is written by the stage; its files are listed with the others.

    Returns:
        The names of the files relative to the experiment's root, sorted.
    """
    folder = directory.design_dir
    written = [
        write_parquet(folder / _PREDICTIONS, record.predictions),
        write_parquet(folder / _PROPOSALS, record.proposals),
        write_bytes(folder / _CSV, csv_bytes(record.proposals)),
        write_json(folder / _REPORT, record.report),
        *(path for path in record.model_dir.rglob("*") if path.is_file()),
    ]
    return sorted(path.relative_to(directory.root).as_posix() for path in written)


def load(directory: ExperimentDir) -> Design:
    """Read the design.

    Raises:
        MissingArtifact: a file is not there. CorruptArtifact: a file cannot be read. Run the design stage again.
    """
    folder = directory.design_dir
    for name in (_PREDICTIONS, _PROPOSALS, _REPORT):
        if not (folder / name).is_file():
            raise MissingArtifact(_problem(directory, name, "is not there"))
    try:
        return Design(
            directory.final_model_dir,
            read_parquet(folder / _PREDICTIONS),
            read_parquet(folder / _PROPOSALS),
            read_json(folder / _REPORT),
        )
    except (pa.ArrowException, OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptArtifact(_problem(directory, "", "cannot be read")) from error


def _problem(directory: ExperimentDir, name: str, found: str) -> str:
    return f"artifacts/design/{name} of experiment {directory.experiment_id} {found}. Run the design stage again."
