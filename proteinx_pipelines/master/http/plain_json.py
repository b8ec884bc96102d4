"""A route for what comes a thousand times a second: the way from a request to its arguments is short.

FastAPI solves a route's dependencies anew for each request, which takes longer than to check a job and to answer with
it. Whatever is not the usual case goes FastAPI's way, so that errors and their form are the same.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from proteinx_pipelines.master.http.access import Caller

Body = TypeVar("Body", bound=BaseModel)
JSON = "application/json"


def plain_json(
    body: type[Body],
    caller_of: Callable[[Request], Awaitable[Caller]],
    answer: Callable[[Body, Request, Caller], Awaitable[Response]],
) -> type[APIRoute]:
    """The class of a route that has a body of JSON and a caller, and no other argument.

    Args:
        body: the form of the body.
        caller_of: finds the caller, as the route's own dependency does.
        answer: the route's function.
    """

    class PlainJson(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            return _Handler(body, caller_of, answer, super().get_route_handler()).handle

    return PlainJson


class _Handler(Generic[Body]):
    """Answers requests; `usual` is FastAPI's way."""

    def __init__(
        self,
        body: type[Body],
        caller_of: Callable[[Request], Awaitable[Caller]],
        answer: Callable[[Body, Request, Caller], Awaitable[Response]],
        usual: Callable[[Request], Coroutine[Any, Any, Response]],
    ) -> None:
        self._body, self._caller_of, self._answer, self._usual = body, caller_of, answer, usual

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        asked = await self._read(request)
        if asked is None:
            return await self._usual(request)
        return await self._answer(asked, request, await self._caller_of(request))

    async def _read(self, request: Request) -> Body | None:
        """The body; None where FastAPI is to read it, because it has another form or is wrong."""
        if request.headers.get("content-type") != JSON or request.app.dependency_overrides:
            return None
        try:
            return self._body.model_validate(from_json(await request.body()))
        except (ClientDisconnect, ValueError):  # pydantic's errors are such
            return None
