"""The page `/docs`: every route with its parameters, body and answers, drawn from the OpenAPI document itself.

The usual viewers of that document come from another host and need inline script; this one comes from here.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from proteinx_pipelines.master.http.access import Caller, caller_of
from proteinx_pipelines.master.http.problems import HttpProblem
from proteinx_pipelines.master.pages.frame import PageRoute, page

router = APIRouter(route_class=PageRoute)


@dataclass(frozen=True)
class Field:
    """A parameter, or a field of a body."""

    name: str
    where: str
    """`query`, `header` or `path`; `body` for a field."""
    kind: str
    """Its type in words."""
    is_required: bool
    default: str | None
    """As JSON; None where there is none."""
    description: str


@dataclass(frozen=True)
class Operation:
    """One verb of one address."""

    method: str
    path: str
    summary: str
    description: str
    fields: tuple[Field, ...]
    bodies: tuple[str, ...]
    """Types of body that it takes."""
    examples: tuple[str, ...]
    """Of its body, as JSON."""
    answers: tuple[tuple[str, str], ...]
    """Status and type of each answer."""


@router.get("/docs")
def show(request: Request) -> Response:
    """Every route, by what it is about; nobody has to be known to read it."""
    caller: Caller | None = None
    with contextlib.suppress(HttpProblem):  # without the navigation, then
        caller = caller_of(request)
    return page(request, caller, "api.html", groups=by_tag(request.app.openapi()))


def by_tag(document: Mapping[str, Any]) -> dict[str, list[Operation]]:
    """The operations of an OpenAPI document by tag, in its order."""
    found: dict[str, list[Operation]] = {}
    schemas = document.get("components", {}).get("schemas", {})
    for path, verbs in document["paths"].items():
        for method, operation in verbs.items():
            tag = (operation.get("tags") or ["other"])[0]
            found.setdefault(tag, []).append(_operation(method, path, operation, schemas))
    return found


def _operation(method: str, path: str, given: Mapping[str, Any], schemas: Mapping[str, Any]) -> Operation:
    contents = given.get("requestBody", {}).get("content", {})
    body = _resolved(contents.get("application/json", {}).get("schema", {}), schemas)
    required = body.get("required", ())
    fields = [
        _field(each["name"], each["in"], each.get("schema", {}), each.get("required", False), each)
        for each in given.get("parameters", ())
    ]
    fields += [
        _field(name, "body", schema, name in required, schema)
        for name, schema in body.get("properties", {}).items()
    ]
    return Operation(
        method=method.upper(),
        path=path,
        summary=given.get("summary", ""),
        description=given.get("description", ""),
        fields=tuple(fields),
        bodies=tuple(contents),
        examples=tuple(json.dumps(each, ensure_ascii=False) for each in body.get("examples", ())),
        answers=tuple(_answers(given)),
    )


def _answers(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for status, answer in sorted(given.get("responses", {}).items()):
        kinds = [
            f"{media}: {kind_of(content['schema'])}" if content.get("schema") else media
            for media, content in answer.get("content", {}).items()
        ]
        yield status, ", ".join(kinds) or answer.get("description", "")


def _field(
    name: str, where: str, schema: Mapping[str, Any], is_required: bool, said: Mapping[str, Any]
) -> Field:
    default = json.dumps(schema["default"], ensure_ascii=False) if "default" in schema else None
    return Field(name, where, kind_of(schema), is_required, default, said.get("description", ""))


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of an object behind references; of a body that may be left out, that of the body."""
    for choice in schema.get("anyOf", ()):
        if "$ref" in choice:
            return _resolved(choice, schemas)
    if "$ref" in schema:
        found: Mapping[str, Any] = schemas.get(schema["$ref"].rsplit("/", 1)[1], {})
        return found
    return schema


def kind_of(schema: Mapping[str, Any]) -> str:
    """The type of a schema in words, `list of string` or `"all" | "each"`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " | ".join(dict.fromkeys(map(kind_of, schema[several])))
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(each) for each in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or schema.get("title", "any"))
