"""Bodies of JSON in which a key is written twice are refused, with the sentence that a message on the queue gets.

Readers disagree on which of the two counts: a job would run with flags that its sender does not see in it.
"""

import json
import re
from email.message import Message as Header
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proteinx_pipelines.errors import MessageError
from proteinx_pipelines.flags.json_text import NotJson, TooDeep
from proteinx_pipelines.flags.problems import Problem, sentences
from proteinx_pipelines.flags.repeated_keys import may_repeat_keys, repeated_keys
from proteinx_pipelines.master.http.problems import problem_of, response_of


class StrictJson:
    """Middleware: refuses bodies of JSON with repeated keys; uploads are files, which their own readers judge.

    Args:
        app: what takes the other requests.
        uploads: matches the paths of uploads.
    """

    def __init__(self, app: ASGIApp, uploads: re.Pattern[str]) -> None:
        self._app, self._uploads = app, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer what is wrong with its body."""
        if scope["type"] != "http" or scope["method"] == "GET" or self._uploads.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if not _is_json(request.headers.get("content-type", "")):
            await self._app(scope, receive, send)
            return
        try:
            refuse_repeated_keys(await request.body())
        except MessageError as error:
            await response_of(problem_of(error))(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # too large, too slow, gone: the application says it in its form
            await self._app(scope, _failing(error), send)
        else:
            await self._app(scope, again(request, receive), send)


def refuse_repeated_keys(body: bytes, document: Any = None) -> None:
    """Refuse a body in which a key is written twice; one that cannot be read is left to its reader.

    Args:
        body: the text.
        document: what another reader made of it, where one has; then most texts need not be read again.

    Raises:
        MessageError: every repeated key is named by its path (`duplicate_key`), or the nesting has no end
            (`too_deep`).
    """
    if document is not None and not may_repeat_keys(body, document):
        return
    try:
        found = repeated_keys(body.decode(json.detect_encoding(body), "surrogatepass"))
    except TooDeep as error:
        raise MessageError("too_deep", sentences([Problem((), str(error))])) from error
    except (NotJson, UnicodeDecodeError):
        return
    if found:
        raise MessageError("duplicate_key", sentences(found))


def again(request: Request, receive: Receive) -> Receive:
    """The messages of a request from the start, its body among them where that was read."""
    body: bytes | None = getattr(request, "_body", None)

    async def again() -> Message:
        nonlocal body
        if body is None:
            return await receive()
        message, body = {"type": "http.request", "body": body, "more_body": False}, None
        return message

    return again


def _failing(error: Exception) -> Receive:
    async def fail() -> Message:
        raise error

    return fail


def _is_json(content_type: str) -> bool:
    """True if FastAPI reads a body of this type as JSON."""
    if content_type == "application/json":
        return True
    header = Header()
    header["content-type"] = content_type
    kind, subtype = header.get_content_maintype(), header.get_content_subtype()
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))
