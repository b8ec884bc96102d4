"""The application: every module of routes, errors in one form, headers that keep browsers safe, start and stop."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import text
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proteinx_pipelines.master.background import background_of
from proteinx_pipelines.master.http import (
    admin,
    artifacts,
    campaigns,
    datasets,
    events,
    groups,
    jobs,
    lineage,
    logs,
    metrics,
    models,
    nodes,
    objects,
    problems,
    queue,
    runs,
    templates,
    tokens,
    usage,
    webhooks,
)
from proteinx_pipelines.master.http.access import MasterOf, RateLimiter
from proteinx_pipelines.master.http.bodies import BoundedBodies
from proteinx_pipelines.master.http.counted import API, CountedRequests
from proteinx_pipelines.master.http.event_feed import EventFeed
from proteinx_pipelines.master.http.plain_json import ShortRoute, ShortWays
from proteinx_pipelines.master.http.slow import SlowWork
from proteinx_pipelines.master.http.strict_json import StrictJson
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.observation.observed import Observed
from proteinx_pipelines.master.pages import site

ROUTES = (
    jobs.router,
    lineage.router,
    queue.router,
    events.router,
    logs.router,
    artifacts.router,
    nodes.router,
    groups.router,
    runs.router,
    templates.router,
    webhooks.router,
    datasets.router,
    models.router,
    campaigns.router,
    objects.router,
    usage.router,
    tokens.router,
    admin.router,
)
"""One router for each noun; `/api` is in front of all of them."""
UPLOADS = re.compile(r"/api/jobs/[^/]+/artifacts(/.*)?|/api/datasets")
"""Paths whose bodies are streamed and bounded by their routes."""
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'; frame-src 'self'"
)
"""Nothing inline, nothing from elsewhere. A page that differs (the report) sets its own."""
SAFE_HEADERS = [
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]
"""Of every answer that does not set its own."""


def create_app(master: Master) -> FastAPI:
    """Build the application around an open Master; the caller closes it."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        master.bell.attach(asyncio.get_running_loop())
        background = background_of(master)
        background.start()
        yield
        app.state.slow.stop()
        background.stop()

    app = FastAPI(
        title="ProteinX Master",
        description="Jobs, nodes, data sets and models: one address for people, programs and nodes.",
        lifespan=life,
        responses=problems.DOCUMENTED,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # `/metrics` is ours
        docs_url=None,  # FastAPI's pages come from other hosts: `pages.api` has its own
        redoc_url=None,
    )
    app.state.master = master
    app.state.feed = EventFeed(master.database, master.bell)
    app.state.slow = SlowWork()
    app.state.limiter = RateLimiter(master.settings.requests_per_minute)
    problems.install(app)
    for router in ROUTES:
        app.include_router(router, prefix=API)
    app.state.observed = Observed(master.database)
    app.include_router(metrics.router)
    _add_health(app)
    site.install(app)
    app.add_middleware(StrictJson, uploads=UPLOADS)  # innermost: what takes a short way is checked there
    app.add_middleware(ShortWays, routes=_short_routes(), handlers=app.exception_handlers)
    app.add_middleware(BoundedBodies, uploads=UPLOADS)  # inside of the next, which would wrap its errors
    app.add_middleware(SafeHeaders)
    app.add_middleware(
        CountedRequests, requests=app.state.observed.requests
    )  # last, so outermost: all are counted
    return app


def _short_routes() -> dict[str, ShortRoute]:
    every = (route for router in ROUTES for route in router.routes)
    return {f"{API}{route.path}": route for route in every if isinstance(route, ShortRoute)}


def _add_health(app: FastAPI) -> None:
    @app.head("/healthz", include_in_schema=False)  # what balancers ask
    @app.get("/healthz", tags=["health"], summary="Whether the process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", tags=["health"], summary="Whether the database answers")
    def readyz(master: MasterOf) -> dict[str, str]:
        with master.database.reading() as connection:
            connection.execute(text("SELECT 1"))
        return {"status": "ready"}


class SafeHeaders:
    """Middleware: headers that keep browsers safe, on every answer that does not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                given = {name.lower() for name, _ in headers}
                message["headers"] = [
                    *headers,
                    *(header for header in SAFE_HEADERS if header[0] not in given),
                ]
            await send(message)

        await self._app(scope, receive, send_safe if scope["type"] == "http" else send)
