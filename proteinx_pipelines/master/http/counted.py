"""Counts requests by the template of their route, and times their answers."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proteinx_pipelines.master.observation.observed import Requests

UNKNOWN = "unknown"
"""Route of a request that no route takes, whatever its path was; method of one that HTTP does not define."""
API = "/api"
"""In front of the routes of `app.ROUTES`."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class CountedRequests:
    """The application, with every answer counted."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, is_counted = time.perf_counter(), False

        async def note(message: Message) -> None:
            nonlocal is_counted
            if message["type"] == "http.response.start":
                is_counted = True
                self._note(scope, int(message["status"]), time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception:
            if not is_counted:
                self._note(scope, 500, time.perf_counter() - began)
            raise

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else UNKNOWN
        self._requests.note(method, _template(scope), status, seconds)


def _template(scope: Scope) -> str:
    """Template of the route that took a request, `/api/jobs/{job_id}`; routers do not know where they were included."""
    path = getattr(scope.get("route"), "path", None)
    if not path:
        return UNKNOWN
    is_below = scope["path"].startswith(f"{API}/") and not path.startswith(API)
    return f"{API}{path}" if is_below else str(path)
