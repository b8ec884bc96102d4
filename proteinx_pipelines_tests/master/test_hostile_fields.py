"""Every route of the Master x every parameter and every place of its body x values that no database can hold.

A whole number of thirty digits and half of a character passed every check and ended in the database: an internal error.
"""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.master import Master

HUGE, HALF = 10**30, "\ud800"
NO_REDIS = ("/api/nodes/join",)
"""Routes that need a server which is not there in this test: 503 is right."""


@pytest.fixture
def http(open_master: Callable[..., Master]) -> Iterator[TestClient]:
    master = open_master()
    with TestClient(create_app(master), raise_server_exceptions=False) as client:
        master.bell.stop()  # streams end at once
        yield client


def sample(schema: dict[str, Any], named: dict[str, Any], depth: int = 0) -> Any:
    """A document of a schema: its example, or the first of everything."""
    if depth > 6:
        return None
    if "$ref" in schema:
        return sample(named[schema["$ref"].rpartition("/")[2]], named, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return sample(schema[key][0], named, depth + 1)
    for key in ("example", "default", "const"):
        if key in schema:
            return schema[key]
    first = [*schema.get("examples", ()), *schema.get("enum", ())]
    if first:
        return first[0]
    if schema.get("type") == "object":
        return {name: sample(part, named, depth + 1) for name, part in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [sample(schema.get("items", {}), named, depth + 1)]
    return {"string": "x", "integer": 1, "number": 1.0, "boolean": True}.get(schema.get("type", ""))


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a document."""
    yield path
    inner = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document[:1])
        if isinstance(document, list)
        else ()
    )
    for key, value in inner:
        yield from places(value, (*path, key))


def with_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at a place."""
    if not path:
        return value
    found = copy.deepcopy(document)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return found


def test_no_value_of_a_parameter_or_a_body_is_an_internal_error(http: TestClient) -> None:
    page = http.app.openapi()  # type: ignore[attr-defined]
    named, bad, asked = page["components"]["schemas"], [], 0
    for path, methods in page["paths"].items():
        plain = path.replace("{", "").replace("}", "")
        for method, route in methods.items():
            requests: list[tuple[str, str, dict[str, Any]]] = []
            for parameter in route.get("parameters", ()):
                name = parameter["name"]
                if parameter["in"] == "query":
                    requests.append((name, plain, {"params": {name: str(HUGE)}}))
                elif parameter["in"] == "path":
                    requests.append((name, path.replace(f"{{{name}}}", quote("\x1b[/x]\n", safe="")), {}))
                else:
                    requests.append((name, plain, {"headers": {name: str(HUGE)}}))
            body = route.get("requestBody", {}).get("content", {}).get("application/json")
            document = sample(body["schema"], named) if body else None
            for place in places(document) if body else ():
                for value in (HUGE, HALF):
                    text = json.dumps(with_value(document, place, value))
                    headers = {"Content-Type": "application/json"}
                    requests.append((f"{place}={value!r}", plain, {"content": text, "headers": headers}))
            for what, address, options in requests:
                answer = http.request(method.upper(), address, **options)
                asked += 1
                if answer.status_code >= 500 and path not in NO_REDIS:
                    bad.append((method, path, what, answer.status_code))
    assert asked > 200
    assert bad == []


@pytest.mark.parametrize(
    "path", ["/api/jobs", "/api/nodes", "/api/datasets", "/api/models", "/jobs", "/datasets"]
)
def test_a_page_beyond_every_number_is_refused(http: TestClient, path: str) -> None:
    assert http.get(path, params={"page": str(HUGE)}).status_code < 500


def test_half_a_character_is_named(http: TestClient) -> None:
    """A request's text that UTF-8 cannot write; in `config` of a run, which takes any value."""
    body, headers = '{"name": "r", "config": {"a": "\\ud800"}}', {"Content-Type": "application/json"}
    answer = http.post("/api/runs", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_request")
    assert "\\ud800" in answer.json()["detail"]
