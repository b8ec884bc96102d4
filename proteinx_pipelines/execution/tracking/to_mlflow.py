"""MLflow: a run with parameters, metrics and files, and its model registered with an alias.

The server is that of MLFLOW_TRACKING_URI, the experiment that of MLFLOW_EXPERIMENT_NAME; credentials are MLflow's own
variables. A run is found again by a tag, so that a second try goes on where the first broke off.

Source: https://mlflow.org/docs/latest, "MlflowClient", limits of `log_batch`.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.execution.tracking.run import ALIAS, PROJECT, TrackedRun

_METRICS, _REST = 1_000, 100
"""Most metrics, and most parameters, in one request."""
_LONGEST = 6_000
"""Characters of a parameter's value."""
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_DISABLE_TELEMETRY": "true",
}  # fmt: skip
Item = TypeVar("Item")


def send(run: TrackedRun) -> None:
    """Tell MLflow.

    Raises:
        BackendError: the package is missing, or no server is named.
        Exception: what MLflow raises when its server does not answer.
    """
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag
    except ImportError as error:
        raise BackendError(
            "The tracker mlflow needs its package: `pip install 'proteinx-infra[mlflow]'`."
        ) from error
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        raise BackendError("MLFLOW_TRACKING_URI names no server; set it in the environment of the node.")
    client = MlflowClient()
    found = _run(client, run)
    run_id = found.info.run_id
    if found.data.tags.get("proteinx.told") != "metrics":
        for some in _batches(list(run.parameters.items()), _REST):
            client.log_batch(run_id, params=[Param(name, value[:_LONGEST]) for name, value in some])
        values = [Metric(each.name, each.value, each.milliseconds, each.step) for each in run.values()]
        now = found.info.start_time
        values += [Metric(name, value, now, 0) for name, value in run.summary.items()]
        for part in _batches(values, _METRICS):
            client.log_batch(run_id, metrics=part)
        client.log_batch(run_id, tags=[RunTag("proteinx.told", "metrics")])
    for name in run.files:
        client.log_artifact(run_id, str(run.directory.path(name)), name.rpartition("/")[0])
    if run.succeeded and run.model_dir is not None:
        client.log_artifacts(run_id, str(run.model_dir), "model")
        _register(client, run, run_id)
    client.set_terminated(run_id, "FINISHED" if run.succeeded else "FAILED")


def _run(client: Any, run: TrackedRun) -> Any:
    """The run of this experiment: the one of an earlier try, or a new one."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
    experiment = client.get_experiment_by_name(name)
    experiment_id = experiment.experiment_id if experiment is not None else client.create_experiment(name)
    known = client.search_runs([experiment_id], f"tags.`proteinx.run` = '{run.name}'", max_results=1)
    return known[0] if known else client.create_run(experiment_id, tags=run.tags, run_name=run.name)


def _register(client: Any, run: TrackedRun, run_id: str) -> None:
    from mlflow.exceptions import MlflowException

    name = run.model_name
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = client.search_model_versions(f"name = '{name}'")
    mine = next((version for version in known if version.run_id == run_id), None)
    version = mine or client.create_model_version(name, f"runs:/{run_id}/model", run_id, tags=run.tags)
    client.set_registered_model_alias(name, ALIAS, version.version)


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
