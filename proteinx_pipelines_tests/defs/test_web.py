"""Experiments' files on the web server's own address: those served, and those refused."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from proteinx_pipelines.defs.private.web import with_experiments, with_metrics


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Callable[..., Answer]]:
    """Sends a request, its path as written, to a real server: the files, and a page for all else."""
    artifacts = tmp_path / "experiments" / "gb1-001" / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "report.html").write_text("<p>report</p>")
    (artifacts / "model.safetensors").write_bytes(b"x")
    (tmp_path / "secret.json").write_text("{}")
    (artifacts / "out.json").symlink_to(tmp_path / "secret.json")
    app = Starlette(routes=[Route("/{path:path}", lambda _request: PlainTextResponse("dagster"))])
    found = uvicorn.Server(
        uvicorn.Config(
            with_experiments(app, tmp_path / "experiments"), host="127.0.0.1", port=0, log_level="error"
        )
    )
    thread = threading.Thread(target=found.run)
    thread.start()
    while not found.started:
        time.sleep(0.01)
    port = found.servers[0].sockets[0].getsockname()[1]

    def send(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)

    yield send
    found.should_exit = True
    thread.join(timeout=10)


def test_a_report_opens_by_its_address_in_a_room_of_its_own(ask) -> None:
    answer = ask("/experiments/gb1-001/artifacts/report.html")
    assert answer.text == "<p>report</p>"
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert "allow-same-origin" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = ask(
        "/experiments/gb1-001/artifacts/report.html", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert again.status == 304


def test_dagsters_own_pages_stay_where_they_are(ask) -> None:
    assert ask("/runs").text == "dagster"
    assert ask("/experimentsx").text == "dagster"


@pytest.mark.parametrize(
    "path",
    [
        "gb1-001/artifacts/model.safetensors", "gb1-001/artifacts/", "gb1-001/artifacts", "gb1-001/artifacts/out.json",
        "../secret.json", "%2e%2e/secret.json", "gb1-001/..%2f..%2fsecret.json",
        "gb1-001//..//..//secret.json", "none.html", "%00.html", "gb1-001/artifacts/report.html/x.html",
    ],
)  # fmt: skip
def test_what_is_no_shown_file_of_an_experiment_is_not_found(ask, path: str) -> None:
    answer = ask(f"/experiments/{path}")
    assert answer.status in (400, 404) or answer.text == "dagster"
    assert "{}" not in answer.text


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nothing_can_be_changed(ask, method: str) -> None:
    assert ask("/experiments/gb1-001/artifacts/report.html", method.upper()).status == 405


def test_metrics_are_at_their_address_and_the_rest_stays_where_it_is() -> None:
    app = with_metrics(
        Starlette(routes=[Route("/{path:path}", lambda _request: PlainTextResponse("dagster"))]),
        lambda: "proteinx_redis_up 1\n",
    )
    with TestClient(app) as client:
        answer = client.get("/metrics")
        assert answer.text == "proteinx_redis_up 1\n"
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert client.get("/metricsx").text == "dagster"
        assert client.post("/metrics").status_code in (404, 405)
