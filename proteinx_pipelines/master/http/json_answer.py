"""Documents as JSON: written by pydantic's serialiser, ten times as fast as the way over plain types."""

from collections.abc import Mapping
from typing import Any

from fastapi.responses import Response
from pydantic_core import to_json


def as_json(document: Any) -> bytes:
    """The JSON of a document, UTF-8; what is no number in JSON (NaN, infinities) is null."""
    return to_json(document, inf_nan_mode="null")


def json_answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The answer with a document."""
    return Response(as_json(document), status, headers, media_type="application/json")
