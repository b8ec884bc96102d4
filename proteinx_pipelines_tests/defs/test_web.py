"""Experiments' files on the web server's own address: what is shown, and what is not."""

from pathlib import Path

import pytest

from proteinx_pipelines.defs.private.web import with_experiments

testing = pytest.importorskip("starlette.testclient", reason="starlette's test client asks the application")
httpx = pytest.importorskip("httpx", reason="starlette's test client speaks through httpx")


@pytest.fixture
def client(tmp_path: Path):
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    artifacts = tmp_path / "experiments" / "gb1-001" / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "report.html").write_text("<p>report</p>")
    (artifacts / "model.safetensors").write_bytes(b"x")
    (tmp_path / "secret.json").write_text("{}")
    (artifacts / "out.json").symlink_to(tmp_path / "secret.json")
    app = Starlette(routes=[Route("/{path:path}", lambda _request: PlainTextResponse("dagster"))])
    return testing.TestClient(with_experiments(app, tmp_path / "experiments"))


def test_a_report_opens_by_its_address_in_a_room_of_its_own(client) -> None:
    answer = client.get("/experiments/gb1-001/artifacts/report.html")
    assert answer.text == "<p>report</p>"
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert "allow-same-origin" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = client.get("/experiments/gb1-001/artifacts/report.html", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_dagsters_own_pages_stay_where_they_are(client) -> None:
    assert client.get("/runs").text == "dagster"
    assert client.get("/experimentsx").text == "dagster"


@pytest.mark.parametrize(
    "path",
    [
        "gb1-001/artifacts/model.safetensors", "gb1-001/artifacts/", "gb1-001/artifacts", "gb1-001/artifacts/out.json",
        "../secret.json", "%2e%2e/secret.json", "gb1-001/..%2f..%2fsecret.json", "gb1-001//..//..//secret.json", "none.html",
        "%00.html", "gb1-001/artifacts/report.html/x.html",
    ],
)  # fmt: skip
def test_what_is_no_shown_file_of_an_experiment_is_not_found(client, path: str) -> None:
    answer = client.get(f"/experiments/{path}")
    assert answer.status_code in (400, 404) or answer.text == "dagster"
    assert "{}" not in answer.text


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nothing_can_be_changed(client, method: str) -> None:
    assert getattr(client, method)("/experiments/gb1-001/artifacts/report.html").status_code == 405
