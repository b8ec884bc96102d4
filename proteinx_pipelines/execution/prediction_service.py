"""Answers predictions to a Master on the same machine, in a process of its own that stays warm.

Run as `python -m proteinx_pipelines.execution.prediction_service`: one request a line on standard input,
`{"workdir", "experiment_id", "mutants" or "file", "source"}`; one answer a line on standard output, `{"rows"}` or an
error's `{"code", "message"}`.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.execution.designing import Asked, predict
from proteinx_pipelines.experiment_dir.files import json_ready
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.master.apart import serve
from proteinx_pipelines.settings import load_settings

IDLE_S = 300.0
"""Seconds without a request after which the process ends."""


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one request."""
    settings = dataclasses.replace(load_settings(), workdir=Path(request["workdir"]))
    directory = ExperimentDir(settings.experiments_dir, request["experiment_id"])
    file = request.get("file")
    asked = Asked(file=Path(file) if file else None, mutants=request.get("mutants") or ())
    try:
        table = predict(settings, directory, asked, request.get("source"))
    except ProteinxError as error:
        return {"code": error.code, "message": str(error)}
    except Exception as error:  # noqa: BLE001  # the process stays for the next request
        return {
            "code": "internal",
            "message": f"The model could not predict: {type(error).__name__}: {error}",
        }
    return {"rows": json_ready(table.to_pylist())}


if __name__ == "__main__":
    serve(answer, IDLE_S)
