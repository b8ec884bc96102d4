"""Dagster's web server with two more addresses: `/experiments`, the experiment directories, read-only, and `/metrics`.

Pictures and reports are linked by address from Dagster's events, which they would outweigh. The replaced name,
`create_app_from_workspace_process_context` of `dagster_webserver.cli`,
is private; `test_private` notices when it is gone.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from proteinx_pipelines.observation.exposition import MEDIA_TYPE

ADDRESS = "/experiments"
METRICS = "/metrics"
_SHOWN = {".html", ".svg", ".png", ".json", ".jsonl", ".csv", ".parquet", ".log", ".txt"}
"""Endings of files that are served; checkpoints and models are not for a browser."""


class ExperimentFiles(StaticFiles):
    """Files below `<WORKDIR>/experiments`: GET and HEAD, no listing, no way out by `..` or a link."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or 404 where its kind is not shown."""
        if Path(path).suffix.lower() not in _SHOWN:
            return Response("Not found", status_code=404, media_type="text/plain")
        response = await super().get_response(path, scope)
        response.headers["X-Content-Type-Options"] = "nosniff"
        # A file is another party's text on Dagster's own origin: it may draw and save, and reach nothing here.
        response.headers["Content-Security-Policy"] = "sandbox allow-scripts allow-downloads allow-popups"
        return response


def with_metrics(app: Starlette, metrics: Callable[[], str]) -> Starlette:
    """Dagster's application with `/metrics`; the numbers are read on a thread of the pool."""

    def answer(_request: Request) -> Response:
        return Response(metrics(), media_type=MEDIA_TYPE)

    app.router.routes.insert(0, Route(METRICS, answer, methods=["GET"]))
    return app


def with_experiments(app: Starlette, experiments: Path) -> Starlette:
    """Dagster's application with the files in front of its own catch-all route."""
    experiments.mkdir(parents=True, exist_ok=True)
    app.router.routes.insert(
        0, Mount(ADDRESS, app=ExperimentFiles(directory=experiments, follow_symlink=False))
    )
    return app


def serve(arguments: list[str], experiments: Path, metrics: Callable[[], str]) -> None:
    """Run Dagster's web server until it is stopped, with the experiments' files and the node's metrics."""
    from dagster_webserver import cli as module

    cli: Any = module
    create = cli.create_app_from_workspace_process_context

    def create_with_experiments(*args: Any, **named: Any) -> Starlette:
        return with_metrics(with_experiments(create(*args, **named), experiments), metrics)

    cli.create_app_from_workspace_process_context = create_with_experiments
    cli.dagster_webserver.main(args=arguments, prog_name="proteinx web")
