"""A route for what comes a thousand times a second: the way from a request to its answer is short.

FastAPI looks for the route and solves its dependencies anew for each request, which takes longer than to check a job
and to answer with it. Whatever is not the usual case goes FastAPI's way, and errors go to its handlers, so that answers
are the same.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import from_json
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from proteinx_pipelines.master.http.access import Caller
from proteinx_pipelines.master.http.strict_json import again, refuse_repeated_keys

Body = TypeVar("Body", bound=BaseModel)
JSON = "application/json"


class ShortRoute(APIRoute):
    """A route whose usual requests take the short way; of `plain_json`."""

    short: ClassVar["_Short[Any]"]


def plain_json(
    body: type[Body],
    caller_of: Callable[[Request], Awaitable[Caller]],
    answer: Callable[[Body, Request, Caller], Awaitable[Response]],
) -> type[ShortRoute]:
    """The class of a route that has a body of JSON and a caller, and no other argument.

    Args:
        body: the form of the body.
        caller_of: finds the caller, as the route's own dependency does.
        answer: the route's function.
    """

    class PlainJson(ShortRoute):
        short = _Short(body, caller_of, answer)

    return PlainJson


class ShortWays:
    """Middleware, inside of all others: usual requests for short routes end here.

    Args:
        app: FastAPI's way.
        routes: the short routes by their whole paths; requests are `POST`.
        handlers: the application's handlers of errors.
    """

    def __init__(
        self, app: ASGIApp, routes: Mapping[str, ShortRoute], handlers: Mapping[Any, Callable[..., Any]]
    ) -> None:
        self._app, self._routes, self._handlers = app, routes, handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        route = self._routes.get(scope["path"]) if is_post else None
        if route is None or scope["app"].dependency_overrides:
            await self._app(scope, receive, send)
            return
        scope["route"] = route  # by which requests are counted
        request = Request(scope, receive)
        try:
            response = await route.short.answer(request)
        except Exception as error:  # noqa: BLE001  # handled, or raised again, as on FastAPI's way
            await self._tell(error, scope, receive, send)
            return
        if response is None:
            await self._app(scope, again(request, receive), send)
        else:
            await response(scope, receive, send)

    async def _tell(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
            raise error

        handlers = {of: handler for of, handler in self._handlers.items() if of not in (500, Exception)}
        await ExceptionMiddleware(fail, handlers)(scope, receive, send)


class _Short(Generic[Body]):
    """The short way of one route."""

    def __init__(
        self,
        body: type[Body],
        caller_of: Callable[[Request], Awaitable[Caller]],
        answer: Callable[[Body, Request, Caller], Awaitable[Response]],
    ) -> None:
        self._body, self._caller_of, self._answer = body, caller_of, answer

    async def answer(self, request: Request) -> Response | None:
        """Answer one request; None where FastAPI is to do it."""
        asked = await self._read(request)
        if asked is None:
            return None
        return await self._answer(asked, request, await self._caller_of(request))

    async def _read(self, request: Request) -> Body | None:
        """The body; None where FastAPI is to read it, because it has another form or is wrong."""
        if request.headers.get("content-type") != JSON:
            return None
        try:
            body = await request.body()
            document = from_json(body)
            refuse_repeated_keys(body, document)
            return self._body.model_validate(document)
        except (ClientDisconnect, ValueError):  # pydantic's errors are such
            return None
