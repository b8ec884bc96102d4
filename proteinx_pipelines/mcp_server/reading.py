"""Tools that change nothing. Each public method is a tool: what an agent sees is its name, parameters, docstring."""

from collections import deque
from itertools import islice
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field

from proteinx_pipelines.client import calls
from proteinx_pipelines.client.client import Client
from proteinx_pipelines.errors import InputError, NotInTime
from proteinx_pipelines.flags.describe import describe
from proteinx_pipelines.flags.nesting import expand, override
from proteinx_pipelines.flags.schema import known_flags

MOST_ROWS = 200
"""Rows of one answer: it is read whole."""
MOST_TEXT = 50_000
"""Bytes of a file in one answer."""
MOST_WAIT_S = 60.0
Size = Annotated[int, Field(ge=1, le=MOST_ROWS)]
JobName = Annotated[str, Field(description="Id of a job (`j-...`), or of an experiment: its newest job")]


class Reading:
    """What a token that may read is offered."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list_jobs(
        self,
        state: str | None = None,
        q: str | None = None,
        source: str | None = None,
        model: str | None = None,
        group: str | None = None,
        filters: dict[str, Any] | None = None,
        sort: str = "-created_at",
        page: int = 1,
        size: Size = 20,
    ) -> dict[str, Any]:
        """List jobs in short form: `{"items", "total"}`.

        `state`: one or more of HELD, WAITING, ASSIGNED, RUNNING, SUCCEEDED, FAILED, CANCELLED, REJECTED, by comma.
        `filters`: further ones, such as {"flag.split.folds": 5, "metric.test/spearman.min": 0.6, "node": "gpu-1"}.
        `sort`: a column, `metric.NAME` (`-metric.test/spearman`: best first), or `order` (the order of the line).
        """
        asked = {"state": state, "q": q, "source": source, "model": model, "group": group, **(filters or {})}
        found = self._client.ask(calls.jobs(page, size, sort=sort, **asked))
        return {"items": [_short(each.document()) for each in found.items], "total": found.total}

    def show_job(self, job: JobName) -> dict[str, Any]:
        """Show a job: state, why it waits or failed, stage, flags, metrics, node, times."""
        return self._client.job(self._job_id(job)).document()

    def wait_for_job(
        self, job: JobName, timeout_s: Annotated[float, Field(ge=0, le=MOST_WAIT_S)] = 30.0
    ) -> dict[str, Any]:
        """Wait until a job has ended, or the time is over (then ask again); the job as it then is."""
        name = self._job_id(job)
        try:
            return self._client.wait(name, timeout_s=timeout_s).document()
        except NotInTime:
            return self._client.job(name).document()

    def job_log(
        self, job: JobName, last: Annotated[int, Field(ge=1, le=1000)] = 50, contains: str = ""
    ) -> dict[str, Any]:
        """Read the last lines of a job's log, of those that contain a text."""
        lines = (each for each in self._client.logs(self._job_id(job)) if contains in str(each.get("text")))
        return {"lines": list(deque(lines, maxlen=last))}

    def list_files(self, job: JobName) -> dict[str, Any]:
        """List the files of a job: path, size in bytes, SHA-256."""
        return {"files": self._client.artifacts(self._job_id(job))}

    def read_file(self, job: JobName, path: str, offset: Annotated[int, Field(ge=0)] = 0) -> dict[str, Any]:
        """Read a text file of a job, such as `artifacts/report.json` or `artifacts/design/proposals.csv`.

        At most 50,000 bytes from `offset`; `size` is that of the whole file.
        """
        content, size = self._client.part_of(self._job_id(job), path, offset, MOST_TEXT)
        if b"\0" in content:
            raise InputError(f"{path} is no text: {size:,} bytes that only a program reads.")
        return {"text": content.decode("utf-8", "replace"), "offset": offset, "size": size}

    def plan(
        self, flags: dict[str, Any], template: str | None = None, experiment_id: str | None = None
    ) -> dict[str, Any]:
        """Check flags and see which stages an experiment would compute or reuse, before it is sent.

        `flags` are nested or dotted: {"data.source": "GB1", "model.name": "ridge"}. `list_flags` names them.
        """
        return self._client.plan(self._with_template(flags, template), experiment_id)

    def results(self, filters: dict[str, Any] | None = None, size: Size = 50) -> dict[str, Any]:
        """Compare jobs: a row each with the flags that differ from defaults, and all metrics.

        `filters` as in `list_jobs`, also `state`, `source`, `model`, `group`, `sort`.
        """
        asked = {"sort": "-created_at", "size": size, **(filters or {})}
        return {"rows": calls.table(list(islice(self._client.jobs(**asked), size)))}

    def lineage(self, job: JobName) -> dict[str, Any]:
        """Trace a job's metrics back to the measured rows: stages, keys, digests, the query, earlier rounds."""
        return self._client.ask_document(f"/api/jobs/{quote(self._job_id(job), safe='')}/lineage")

    def proposals(self, job: JobName, size: Size = 96) -> dict[str, Any]:
        """Read the variants that a job with `design.*` proposes to make next, by well, with reasons."""
        found = self._client.ask_document(f"/api/jobs/{quote(self._job_id(job), safe='')}/proposals")
        return {**found, "items": found["items"][:size]}

    def list_models(self, sort: str = "-created_at", size: Size = 20) -> dict[str, Any]:
        """List trained models with score and interval, data, flags, aliases; `-metric.test/spearman`: best first."""
        return {"items": self._client.ask(calls.items("/api/models", sort=sort, size=size))}

    def show_model(self, model: str) -> dict[str, Any]:
        """Show a model, by id, alias (`champion`) or experiment: score, warnings, files."""
        return self._client.ask_document(f"/api/models/{quote(model, safe='')}")

    def list_datasets(self, q: str = "") -> dict[str, Any]:
        """List uploaded data sets, newest first."""
        found = self._client.ask(calls.items("/api/datasets", q=q))[:MOST_ROWS]
        return {"items": found}

    def show_dataset(self, dataset: str) -> dict[str, Any]:
        """Show a data set, by id or name: what was understood of the file, problems, template, histogram."""
        return self._client.ask_document(f"/api/datasets/{quote(dataset, safe='')}")

    def list_groups(self) -> dict[str, Any]:
        """List groups (sweeps) with the counts of their jobs."""
        return {"items": self._client.ask(calls.items("/api/groups"))[:MOST_ROWS]}

    def show_group(self, group: str) -> dict[str, Any]:
        """Show what varied in a group, by id or name, and what came of it: a row a job."""
        found = self._client.ask_document(f"/api/groups/{quote(group, safe='')}/results")
        return {**found, "items": found["items"][:MOST_ROWS]}

    def list_nodes(self) -> dict[str, Any]:
        """List the nodes: state, load, GPUs, labels, what they run and can do."""
        return {"items": self._client.nodes()}

    def queue(self) -> dict[str, Any]:
        """Count jobs by state; the longest wait; whether the queue is paused."""
        return self._client.queue()

    def list_templates(self) -> dict[str, Any]:
        """List templates: named flag sets to start from, with what each is for."""
        return {"items": self._client.templates()}

    def list_flags(self, contains: str = "") -> dict[str, Any]:
        """Explain flags whose name or meaning contains a text (`split.`, `folds`): values, default, meaning."""
        found = [flag for flag in known_flags() if contains in flag.dotted or contains in flag.meaning]
        return {
            "flags": [
                {"flag": each.dotted, "is": describe(each.schema), "default": each.schema.get("default"),
                 "meaning": each.meaning}
                for each in found
            ]
        }  # fmt: skip

    def _job_id(self, name: str) -> str:
        return job_id_of(self._client, name)

    def _with_template(self, flags: dict[str, Any], template: str | None) -> dict[str, Any]:
        if template is None:
            return flags
        known = {each["name"]: each for each in self._client.templates()}
        if template not in known:
            raise InputError(f"There is no template {template[:100]!r}; there are {', '.join(known)}.")
        newer, _problems = expand(flags)  # the Master tells the problems, of the merged flags
        return override(known[template]["flags"], newer)


def job_id_of(client: Client, name: str) -> str:
    """The id of a job that is named by itself or by its experiment.

    Raises:
        InputError: the Master has no such experiment.
    """
    if name.startswith("j-"):
        return name
    for job in client.jobs(experiment_id=name, size=1):
        return job.job_id
    raise InputError(f"The Master has no job and no experiment {name[:100]!r}; `list_jobs` lists them.")


def _short(job: dict[str, Any]) -> dict[str, Any]:
    """A job of a list: without its flags, and without what is null."""
    return {name: value for name, value in job.items() if name != "flags" and value not in (None, {}, [])}
