"""`artifacts/` of the evaluate stage: predictions, the report as JSON, and its pictures.

The HTML report is made from them when the experiment finishes: `execution.report_page`.
"""

from pathlib import Path

import pyarrow as pa

from proteinx_pipelines.csv_cells import safe_table
from proteinx_pipelines.errors import ArtifactError, CorruptArtifact, MissingArtifact
from proteinx_pipelines.experiment_dir.files import (
    read_json,
    read_parquet,
    write_bytes,
    write_json,
    write_parquet,
)
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.numbering import TEMPLATE_MUTANT
from proteinx_pipelines.records import Evaluation

PREDICTION_COLUMNS = ("id", "mutant", "target", "prediction", "fold", "part")
DEVIATION = "deviation"
"""Additional column where the model predicts its own uncertainty: its standard deviation."""
PROBABILITY = "p_at_least_"
"""Begin of the additional columns where targets are classes."""
_PLOTS = "plots"
_ENDINGS = (".svg", ".json", ".png")


def save(record: Evaluation, directory: ExperimentDir) -> list[str]:
    """Write the evaluation; pictures left by an earlier one are removed.

    Returns:
        The names of the files relative to the experiment's root, sorted.
    """
    artifacts = directory.artifacts_dir
    written = [write_bytes(artifacts / name, content) for name, content in record.files.items()]
    for leftover in set(_pictures(directory)) - set(written):
        leftover.unlink()
    written.append(write_parquet(directory.predictions, record.predictions))
    written.append(write_bytes(directory.predictions_csv, csv_bytes(record.predictions)))
    written.append(write_json(directory.report_json, record.report))
    return sorted(path.relative_to(directory.root).as_posix() for path in written)


def load(directory: ExperimentDir) -> Evaluation:
    """Read the evaluation.

    Raises:
        MissingArtifact: a file is not there; run the evaluate stage again.
        CorruptArtifact: a file cannot be read; run the evaluate stage again.
    """
    from proteinx_pipelines.experiment_dir.documents import read_report  # slow: predictions need no report

    for path in (directory.predictions, directory.report_json):
        if not path.is_file():
            raise _problem(MissingArtifact, directory, path, "is not there")
    try:
        report, found = read_json(directory.report_json), read_report(directory).summary
        summary = {name: float("nan") if value is None else value for name, value in found.items()}
    except ValueError as error:
        raise _problem(CorruptArtifact, directory, directory.report_json, "is not a report") from error
    try:
        predictions = read_parquet(directory.predictions)
    except (pa.ArrowException, OSError) as error:
        raise _problem(CorruptArtifact, directory, directory.predictions, "is not Parquet") from error
    columns = [
        name
        for name in predictions.column_names
        if name not in (TEMPLATE_MUTANT, DEVIATION) and not name.startswith(PROBABILITY)
    ]
    if tuple(columns) != PREDICTION_COLUMNS:
        problem = f"has the columns {predictions.column_names}, not {list(PREDICTION_COLUMNS)}"
        raise _problem(CorruptArtifact, directory, directory.predictions, problem)
    return Evaluation(predictions, summary, report, _files(directory))


def _files(directory: ExperimentDir) -> dict[str, bytes]:
    return {
        path.relative_to(directory.artifacts_dir).as_posix(): path.read_bytes()
        for path in _pictures(directory)
    }


def _pictures(directory: ExperimentDir) -> list[Path]:
    return sorted(path for path in (directory.artifacts_dir / _PLOTS).glob("*") if path.suffix in _ENDINGS)


def csv_bytes(table: pa.Table) -> bytes:
    """The table as UTF-8 CSV; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    import pyarrow.csv as pa_csv

    buffer = pa.BufferOutputStream()
    pa_csv.write_csv(safe_table(table), buffer)
    return bytes(buffer.getvalue())


def _problem(kind: type[ArtifactError], directory: ExperimentDir, path: Path, found: str) -> ArtifactError:
    name = path.relative_to(directory.root).as_posix()
    return kind(f"{name} of experiment {directory.experiment_id} {found}. Run the evaluate stage again.")
