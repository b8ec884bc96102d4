"""Tools that change something. Each public method is a tool: what an agent sees is its name, parameters, docstring."""

import tempfile
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field

from proteinx_pipelines.client import calls
from proteinx_pipelines.client.client import Client
from proteinx_pipelines.mcp_server.reading import MOST_ROWS, JobName, job_id_of

Priority = Annotated[int, Field(ge=-100, le=100)]


class Changing:
    """What a token that may submit is offered beside `Reading`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(
        self,
        flags: dict[str, Any],
        template: str | None = None,
        dataset: str | None = None,
        experiment_id: str | None = None,
        priority: Priority = 0,
        group: str | None = None,
        needs: dict[str, Any] | None = None,
        deadline: str | None = None,
        held: bool = False,
    ) -> dict[str, Any]:
        """Create a job; returns at once. Call `plan` before, `wait_for_job` after.

        `flags`: nested or dotted, such as {"data.source": "GB1", "model.name": "ridge"}; with `template`, what differs
        from it. `dataset`: an uploaded data set by id or name. `needs`: {"gpu": 1, "memory_gb": 32, "labels": []}.
        """
        return self._client.submit(
            flags, template=template, dataset=dataset, experiment_id=experiment_id, priority=priority,
            group=group, needs=needs, deadline=deadline, held=held,
        ).document()  # fmt: skip

    def sweep(
        self,
        name: str,
        flags: dict[str, Any],
        grid: dict[str, list[Any]],
        template: str | None = None,
    ) -> dict[str, Any]:
        """Submit every combination of some flags as one group; `show_group` compares them.

        `grid`: {"split.seed": [0, 1, 2], "model.name": ["ridge", "gp"]}. `flags` and `template` are shared.
        """
        more = {} if template is None else {"template": template}
        made = self._client.sweep(name, flags, grid=grid, **more)
        return {"group_id": made.group_id, "unit_id": made.unit_id, "counts": made.counts()}

    def cancel(self, job: JobName) -> dict[str, Any]:
        """Cancel a job: at once while it waits, else its node is asked to stop it."""
        return self._client.cancel(self._job_id(job)).document()

    def retry(self, job: JobName) -> dict[str, Any]:
        """Ask for the same work again; the new job. Stages that are finished are taken over."""
        return self._client.retry(self._job_id(job)).document()

    def clone(self, job: JobName, flags: dict[str, Any]) -> dict[str, Any]:
        """Ask for work like this, with changed flags; the new job."""
        return self._client.clone(self._job_id(job), flags).document()

    def change_job(
        self,
        job: JobName,
        priority: Priority | None = None,
        before: str | None = None,
        after: str | None = None,
        held: bool | None = None,
    ) -> dict[str, Any]:
        """Change a job that no node has yet: its priority, its place (before or after another), its hold."""
        return self._client.change(
            self._job_id(job), priority=priority, before=before, after=after, held=held
        ).document()

    def predict(
        self, model: str, variants: Annotated[list[str], Field(min_length=1, max_length=MOST_ROWS)]
    ) -> dict[str, Any]:
        """Predict variants (`A24C:D40G`, or whole sequences) with a model, by id or alias, with intervals."""
        return {"predictions": self._client.ask(calls.predict(model, variants))}

    def upload_dataset(self, name: str, content: str, template: str | None = None) -> dict[str, Any]:
        """Upload measured variants as text (CSV with a column of mutants and one of scores); what was understood.

        `template`: the wild-type sequence that mutants refer to. A job takes it as `dataset`.
        """
        more = {} if template is None else {"template": template}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "upload.csv"
            file.write_text(content, encoding="utf-8")
            return self._client.upload(file, name, **more)

    def name_model(self, model: str, alias: str) -> dict[str, Any]:
        """Give a model a name, such as `champion`; whoever had it loses it."""
        path = f"/api/models/{quote(model, safe='')}/aliases/{quote(alias, safe='')}"
        return self._client.ask(calls.document(path, "PUT"))

    def _job_id(self, name: str) -> str:
        return job_id_of(self._client, name)


class Ruling:
    """What a token of the scope `admin` is offered beside the others."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def pause_queue(self) -> dict[str, Any]:
        """Let no further job go to a node; what runs goes on."""
        return self._client.pause()

    def resume_queue(self) -> dict[str, Any]:
        """Let jobs go to nodes again."""
        return self._client.resume()

    def drain_node(self, node: str) -> dict[str, Any]:
        """Give a node no more jobs; it finishes what it has."""
        return self._client.ask(calls.document(f"/api/nodes/{quote(node, safe='')}/drain", "POST", {}))

    def undrain_node(self, node: str) -> dict[str, Any]:
        """Give a node jobs again."""
        return self._client.ask(calls.document(f"/api/nodes/{quote(node, safe='')}/undrain", "POST", {}))
