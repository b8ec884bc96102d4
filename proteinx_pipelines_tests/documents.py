"""Documents of an experiment directory for tests: the packaged examples, with what a test says otherwise."""

from typing import Any

from proteinx_pipelines.contract.examples import examples
from proteinx_pipelines.contract.report_example import report_example


def experiment_document(**fields: Any) -> dict[str, Any]:
    """An `experiment.json`."""
    return {**examples()["experiment"].document(), **fields}


def report_document(**fields: Any) -> dict[str, Any]:
    """A `report.json`."""
    return {**report_example().document(), **fields}
