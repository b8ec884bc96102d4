"""The short way of a request for a job gives the answers of FastAPI's way, whatever comes."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from proteinx_pipelines.contract.request import parse_message
from proteinx_pipelines.errors import MessageError
from proteinx_pipelines.master.http import app, plain_json
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.http.bodies import BoundedBodies
from proteinx_pipelines.master.master import Master

RIGHT = b'{"flags": {"data.source": "GB1"}, "experiment_id": "e", "priority": 3}'
JSON = {"Content-Type": "application/json"}
TOKEN = {"Authorization": "Bearer px_operator"}
REQUESTS: dict[str, tuple[bytes, dict[str, str]]] = {
    "right": (RIGHT, JSON),
    "with a charset": (RIGHT, {"Content-Type": "application/json; charset=utf-8"}),
    "no type": (RIGHT, {}),
    "another type": (RIGHT, {"Content-Type": "text/plain"}),
    "empty": (b"", JSON),
    "no JSON": (b'{"flags": ', JSON),
    "no object": (b"[1]", JSON),
    "null": (b"null", JSON),
    "no UTF-8": (b'{"flags": "\xff"}', JSON),
    "UTF-16": (RIGHT.decode().encode("utf-16"), JSON),
    "half a letter": (b'{"flags": {"data.source": "\\ud800"}}', JSON),
    "not a number": (b'{"flags": {"data.source": "GB1", "train.lr": NaN}}', JSON),
    "a long number": (b'{"flags": {"data.source": "GB1", "split.seed": 1' + 400 * b"0" + b"}}", JSON),
    "twice": (b'{"priority": 1, "priority": 2, "flags": {"data.source": "GB1"}, "experiment_id": "e"}', JSON),
    "twice, deep within": (
        b'{"flags": {"train.lr": 1, "ext": [{"a": 1, "a": 1}]}, "experiment_id": "e"}',
        JSON,
    ),
    "twice, in UTF-16": ('{"flags": {"train.lr": 1, "train.lr": 2}}'.encode("utf-16"), JSON),
    "colons in values": (
        b'{"flags": {"data.source": "a:b::c", "ext.a:b": {"c": ":"}}, "experiment_id": "e"}',
        JSON,
    ),
    "unknown field": (b'{"flags": {"data.source": "GB1"}, "prioritty": 3}', JSON),
    "wrong types": (b'{"flags": 3, "priority": "high", "held": []}', JSON),
    "texts for values": (b'{"flags": {"data.source": "GB1"}, "priority": "4", "held": "yes"}', JSON),
    "needs": (b'{"flags": {"data.source": "GB1"}, "needs": {"labels": ["a"]}}', JSON),
    "wrong flags": (b'{"flags": {"data.source": "GB1", "trian.lr": 1}}', JSON),
    "deep": (b'{"flags": {"ext": ' + 90 * b"[" + 90 * b"]" + b"}}", JSON),
    "too deep to read": (b'{"flags": ' + 5000 * b"[" + 5000 * b"]" + b"}", JSON),
}
_OF_ONE = ("job_id", "experiment_id", "created_at", "updated_at", "position", "reason")
"""Fields that differ between two jobs of the same request."""


@pytest.fixture
def http(open_master: Callable[..., Master]) -> Any:
    with TestClient(create_app(open_master(PROTEINX_TOKEN="px_operator"))) as client:
        yield client


def answer_of(http: TestClient, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Status and document, without what differs between two requests."""
    answer = http.post("/api/jobs", content=body, headers=headers)
    return answer.status_code, {k: v for k, v in answer.json().items() if k not in _OF_ONE}


def test_both_ways_give_the_same_answers(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {name: (body, {**headers, **TOKEN}) for name, (body, headers) in REQUESTS.items()}
    asked["no token"] = (RIGHT, JSON)
    asked["unknown token"] = (RIGHT, {**JSON, "Authorization": "Bearer px_other"})
    asked["no token, no JSON"] = (b"{", JSON)
    short = {name: answer_of(http, *one) for name, one in asked.items()}
    with monkeypatch.context() as patched:
        patched.setattr(plain_json, "JSON", "no type is this")
        usual = {name: answer_of(http, *one) for name, one in asked.items()}
    assert short == usual
    statuses = {name: status for name, (status, _) in short.items()}
    assert (statuses["right"], statuses["no JSON"], statuses["no token"]) == (201, 422, 401)
    assert 500 not in statuses.values()
    assert statuses["colons in values"] == 201
    assert [short[name][1]["code"] for name in short if name.startswith("twice")] == ["duplicate_key"] * 3


def test_the_usual_request_takes_the_short_way(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """FastAPI's way takes longer than the work itself."""

    async def not_here(*_given: Any, **_more: Any) -> None:
        raise AssertionError("FastAPI's way")

    monkeypatch.setattr("fastapi.routing.solve_dependencies", not_here)
    assert answer_of(http, RIGHT, {**JSON, **TOKEN})[0] == 201
    with pytest.raises(AssertionError, match="FastAPI's way"):
        answer_of(http, RIGHT, TOKEN)


TWICE = '{"flags": {"data.source": "GB1", "train": {"lr": 0.1, "lr": 0.2}}, "experiment_id": "e"}'


def test_a_key_that_is_written_twice_gets_the_sentence_that_the_queue_gives(http: TestClient) -> None:
    """A job was created with the last of two learning rates, and its sender read the first."""
    with pytest.raises(MessageError) as refused:
        parse_message(TWICE.encode())
    answer = http.post("/api/jobs", content=TWICE, headers={**JSON, **TOKEN})
    assert (answer.status_code, answer.json()["code"]) == (422, refused.value.code) == (422, "duplicate_key")
    assert answer.json()["problems"] == ["`flags.train.lr`: written twice in one object; write it once."]
    assert answer.json()["problems"][0].replace("flags.", "") == refused.value.problems[0]
    assert http.get("/api/jobs", headers=TOKEN).json()["total"] == 0


def test_no_route_takes_a_key_twice(http: TestClient) -> None:
    routes = [
        (method, path)
        for path, methods in http.get("/openapi.json").json()["paths"].items()
        for method, route in methods.items()
        if "application/json" in route.get("requestBody", {}).get("content", {})
    ]
    assert len(routes) > 15
    body = '{"jobs": [{"flags": {}, "priority": 1, "flags": {}}]}'
    for method, path in routes:
        answer = http.request(method, path, content=body, headers={**JSON, **TOKEN})
        assert (answer.status_code, answer.json()["code"]) == (422, "duplicate_key"), path
        assert "`jobs[0].flags`" in answer.json()["detail"], path


def test_without_the_check_the_last_one_counts(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard off."""
    monkeypatch.setattr(plain_json, "refuse_repeated_keys", lambda *_given: None)
    answer = http.post("/api/jobs", content=TWICE, headers={**JSON, **TOKEN})
    assert answer.json()["flags"]["train"]["lr"] == 0.2


def test_a_body_that_is_too_large_is_refused_and_counted_on_both_ways(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "BoundedBodies", functools.partial(BoundedBodies, most_bytes=200))
    with TestClient(app.create_app(master)) as http:
        found = [
            answer_of(http, b'{"flags": "' + 300 * b"x" + b'"}', headers)
            for headers in (JSON, {"Content-Type": "application/json; charset=utf-8"})
        ]
        counted = http.get("/metrics").text
    assert found[0] == found[1]
    assert found[0][0] == 413
    line = next(line for line in counted.splitlines() if "http_requests_total{" in line and "413" in line)
    assert 'route="/api/jobs"' in line
    assert line.endswith(" 2.0")
