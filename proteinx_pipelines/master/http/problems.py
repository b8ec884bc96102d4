"""Errors as `application/problem+json` (RFC 9457): code, what was found, what was expected, what to do."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import StatementError
from starlette.exceptions import HTTPException

from proteinx_pipelines.errors import (
    BackendError,
    InputError,
    MissingArtifact,
    MissingFile,
    NotInTime,
    ProteinxError,
    UnknownExperiment,
    UnknownSource,
)
from proteinx_pipelines.redaction import redact
from proteinx_pipelines.visible import visible

MEDIA_TYPE = "application/problem+json"
_STATUS: Mapping[type[ProteinxError], int] = {
    UnknownExperiment: 404,
    UnknownSource: 404,
    MissingFile: 404,
    MissingArtifact: 404,
    NotInTime: 504,
    BackendError: 503,
}
"""Status of the errors that are not the request's fault, or name what does not exist; any other is 422 or 500."""


_MISSING = frozenset(
    f"unknown_{what}"
    for what in ("job", "token", "node", "model", "alias", "group", "unit", "webhook", "template")
)
"""Codes of things that an address names and that do not exist."""


class Problem(BaseModel):
    """An error as an answer."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """`about:blank`: the status says what kind it is."""
    title: str
    """The status in words."""
    status: int
    """The status of the answer."""
    code: str
    """For programs, such as `unknown_job`."""
    detail: str
    """For people: what was found, what is expected, what to do."""
    problems: list[str]
    """One sentence each, where there are several."""


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "The request cannot be met; the document says why",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
}
"""What OpenAPI says of errors, for every route."""


class HttpProblem(ProteinxError):
    """A request that is answered with an error.

    Args:
        status: of the answer.
        code: for programs.
        detail: sentences for people: what was found, what is expected, what to do.
        problems: one sentence each, where there are several.
        headers: further headers, such as `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        problems: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.problems = tuple(problems)
        self.headers = dict(headers or {})


class NotFound(HttpProblem):
    """Nothing has this name."""

    def __init__(self, what: str, name: str, do: str = "") -> None:
        text = f"There is no {what} {name[:100]!r}." + (f" {do}" if do else "")
        super().__init__(404, f"unknown_{what.replace(' ', '_')}", text)


class Conflict(HttpProblem):
    """The thing is in a state that does not allow this."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(409, code, detail)


def status_of(error: ProteinxError) -> int:
    """The HTTP status that says whose fault an error is."""
    named = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), None)
    if named is not None:
        return named
    if not isinstance(error, InputError):
        return 500
    if error.code in _MISSING:
        return 404
    return 409 if error.code in ("wrong_state", "already_ended") else 422


def problem_response(
    status: int,
    code: str,
    detail: str,
    problems: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The document of an error."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": visible(redact(detail)),
        "problems": [visible(redact(problem)) for problem in problems],
    }
    return JSONResponse(document, status, dict(headers or {}), MEDIA_TYPE)


def problem_of(error: ProteinxError | RequestValidationError) -> HttpProblem:
    """An error of ours, or of a request's form, with its status."""
    if isinstance(error, HttpProblem):
        return error
    if isinstance(error, RequestValidationError):
        found = [_sentence(each) for each in error.errors()]
        detail = f"The request has {len(found)} problem{'s' if len(found) != 1 else ''}: {'; '.join(found)}"
        return HttpProblem(422, "bad_request", detail, found)
    return HttpProblem(status_of(error), error.code, str(error), getattr(error, "problems", ()))


def _half_a_character() -> JSONResponse:
    text = "A text of the request has half of a character (such as \\ud800), which nothing can store. Send whole ones."
    return problem_response(422, "bad_request", text)


def install(app: FastAPI) -> None:
    """Answer every error of this application in one form."""

    @app.exception_handler(ProteinxError)
    async def _ours(_request: Request, error: ProteinxError) -> JSONResponse:
        return response_of(problem_of(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return response_of(problem_of(error))

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        return problem_response(error.status_code, code, str(error.detail), (), error.headers)

    @app.exception_handler(UnicodeEncodeError)
    async def _half(_request: Request, _error: UnicodeEncodeError) -> JSONResponse:
        return _half_a_character()

    @app.exception_handler(StatementError)
    async def _not_stored(_request: Request, error: StatementError) -> JSONResponse:
        if "surrogates not allowed" not in str(error.orig):
            raise error  # unexpected
        return _half_a_character()

    @app.exception_handler(Exception)
    async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
        detail = (
            "The Master had an unexpected error; its log has the trace. Nothing of this request was kept."
        )
        return problem_response(500, "internal", detail)


def response_of(problem: HttpProblem) -> JSONResponse:
    """The answer that an error is."""
    return problem_response(problem.status, problem.code, str(problem), problem.problems, problem.headers)


def _sentence(error: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path"))
    return f"`{place or 'body'}`: {error['msg']}"
