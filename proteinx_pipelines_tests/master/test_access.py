"""Who may do what: every route times every scope, foreign pages and hosts, the rate limit."""

import pytest
from fastapi.testclient import TestClient

from proteinx_pipelines.errors import SettingsError
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.settings import load_master_settings
from proteinx_pipelines.master.tokens import SCOPES
from proteinx_pipelines.settings import load_settings

SECRET = "operators-secret"
OPEN_TO_ALL = {"/healthz", "/readyz", "/openapi.json", "/docs"}
RULED = ("/api/tokens", "/api/webhooks")
"""What only an administrator may see."""
READS_BY_POST = {"/api/jobs/plan"}
"""Routes that show something and take its description as a body."""


@pytest.fixture
def guarded(open_master):
    """A client of a Master that needs tokens."""
    with TestClient(create_app(open_master(PROTEINX_TOKEN=SECRET))) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def routes(app) -> list[tuple[str, str]]:
    """Method and path of every route of the API."""
    return [
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if path not in OPEN_TO_ALL
    ]


def test_every_route_refuses_whoever_has_no_token(guarded: TestClient) -> None:
    for method, path in routes(guarded.app):
        answer = guarded.request(method, path.replace("{", "").replace("}", ""))
        assert answer.status_code == 401, (method, path, answer.text)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "***" not in answer.text, "what hides secrets has hidden what to do"


def test_health_needs_no_token_and_is_asked_by_get_or_head(guarded: TestClient) -> None:
    for path, word in (("/healthz", "ok"), ("/readyz", "ready")):
        assert guarded.get(path).json() == {"status": word}
        head = guarded.head(path)
        assert (head.status_code, head.content) == (200, b"")


def test_every_route_times_every_scope(guarded: TestClient) -> None:
    """A token that only reads changes nothing; only `node` and `admin` report work; only `admin` rules."""
    made = {
        scope: guarded.post(
            "/api/tokens", json={"name": scope, "scopes": [scope]}, headers=bearer(SECRET)
        ).json()["token"]
        for scope in SCOPES
    }
    guarded.app.state.master.bell.stop()  # streams end at once
    for method, path in routes(guarded.app):
        place = path.replace("{", "").replace("}", "")
        passed = {
            scope
            for scope, token in made.items()
            if guarded.request(method, place, headers=bearer(token)).status_code not in (401, 403)
        }
        assert "admin" in passed, (method, path)
        if method in ("GET", "HEAD") and not path.startswith(RULED):
            assert passed >= set(SCOPES) - {"submit"}, (method, path, passed)
        elif path not in READS_BY_POST and method not in ("GET", "HEAD"):
            assert "read" not in passed, (method, path, passed)


def test_a_token_is_shown_once_kept_as_digest_and_worthless_when_revoked(guarded: TestClient) -> None:
    made = guarded.post("/api/tokens", json={"name": "a", "scopes": ["read"]}, headers=bearer(SECRET)).json()
    listed = guarded.get("/api/tokens", headers=bearer(SECRET)).text
    assert made["token"] not in listed
    with guarded.app.state.master.database.reading() as connection:
        dump = "\n".join(connection.connection.driver_connection.iterdump())
    assert made["token"] not in dump
    assert guarded.get("/api/jobs", headers=bearer(made["token"])).status_code == 200
    guarded.delete(f"/api/tokens/{made['token_id']}", headers=bearer(SECRET))
    assert guarded.get("/api/jobs", headers=bearer(made["token"])).json()["code"] == "token_unknown"


def test_an_address_that_others_reach_needs_a_token_to_be_set(tmp_path) -> None:
    node = load_settings({"PROTEINX_WORKDIR": str(tmp_path)}, tmp_path)
    with pytest.raises(SettingsError, match="PROTEINX_TOKEN is not set"):
        load_master_settings(node, {"PROTEINX_MASTER_HOST": "0.0.0.0"})
    load_master_settings(node, {"PROTEINX_MASTER_HOST": "0.0.0.0", "PROTEINX_TOKEN": "x"})


def test_a_page_of_another_site_changes_nothing(http: TestClient) -> None:
    job = {"flags": {"data.source": "GB1"}}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = http.post("/api/jobs", json=job, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_page")
    own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
    assert http.post("/api/jobs", json=job, headers=own).status_code == 201


def test_a_name_that_resolves_here_is_no_way_in(http: TestClient) -> None:
    answer = http.get("/api/jobs", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_host")


def test_a_cookie_does_not_let_a_foreign_page_in(guarded: TestClient) -> None:
    guarded.cookies.set("proteinx_token", SECRET)
    assert guarded.get("/api/jobs").status_code == 200
    answer = guarded.post("/api/queue/pause", headers={"Origin": "https://evil.example"})
    assert answer.json()["code"] == "foreign_page"


def test_too_many_requests_are_told_how_long_to_wait(open_master) -> None:
    with TestClient(create_app(open_master(PROTEINX_MASTER_REQUESTS_PER_MINUTE="5"))) as client:
        answers = [client.get("/api/queue") for _ in range(7)]
    assert [answer.status_code for answer in answers[:5]] == [200] * 5
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


@pytest.mark.parametrize("header", ["host", "origin"])
@pytest.mark.parametrize("value", ["[", "[::1", "http://[", "a]b", "x" * 5_000, "\\", "//", "@"])
def test_a_header_that_is_no_address_is_refused(open_master, header: str, value: str) -> None:
    """`Host: [` was an internal error with a trace in the log."""
    with TestClient(create_app(open_master()), raise_server_exceptions=False) as client:
        answer = client.post("/api/queue/pause", headers={header: value})
    assert answer.status_code in (400, 403), answer.text
