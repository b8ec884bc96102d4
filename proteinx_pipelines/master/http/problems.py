"""Errors as `application/problem+json` (RFC 9457): code, what was found, what was expected, what to do."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
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

MEDIA_TYPE = "application/problem+json"
_STATUS: Mapping[type[ProteinxError], int] = {
    UnknownExperiment: 404,
    UnknownSource: 404,
    MissingFile: 404,
    MissingArtifact: 404,
    NotInTime: 504,
    BackendError: 503,
    InputError: 422,
}
"""First class in the error's ancestry that is named here."""


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
        "detail": redact(detail),
        "problems": [redact(problem) for problem in problems],
    }
    return JSONResponse(document, status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of this application in one form."""

    @app.exception_handler(ProteinxError)
    async def _ours(_request: Request, error: ProteinxError) -> JSONResponse:
        if isinstance(error, HttpProblem):
            return problem_response(error.status, error.code, str(error), error.problems, error.headers)
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
        problems = getattr(error, "problems", ())
        return problem_response(status, error.code, str(error), problems)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        found = [_sentence(each) for each in error.errors()]
        detail = f"The request has {len(found)} problem{'s' if len(found) != 1 else ''}: {'; '.join(found)}"
        return problem_response(422, "bad_request", detail, found)

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        return problem_response(error.status_code, code, str(error.detail), (), error.headers)

    @app.exception_handler(Exception)
    async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
        detail = (
            "The Master had an unexpected error; its log has the trace. Nothing of this request was kept."
        )
        return problem_response(500, "internal", detail)


def _sentence(error: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path"))
    return f"`{place or 'body'}`: {error['msg']}"
