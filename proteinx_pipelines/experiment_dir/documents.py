"""Reads and writes the typed documents of an experiment directory."""

from pathlib import Path

from proteinx_pipelines.contract.experiment import ExperimentDocument
from proteinx_pipelines.contract.report import Report
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir


def read_experiment(directory: ExperimentDir) -> ExperimentDocument:
    """Read `experiment.json`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not one; `pydantic.ValidationError` names the fields.
    """
    return ExperimentDocument.model_validate_json(directory.document.read_bytes())


def write_experiment(directory: ExperimentDir, document: ExperimentDocument) -> Path:
    """Write `experiment.json` atomically."""
    return write_json(directory.document, document.document())


def read_report(directory: ExperimentDir) -> Report:
    """Read `artifacts/report.json`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not one; `pydantic.ValidationError` names the fields.
    """
    return Report.model_validate_json(directory.report_json.read_bytes())
