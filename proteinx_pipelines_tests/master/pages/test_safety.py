"""What keeps browsers safe, seen from the requests: foreign pages, policy, nothing inline, scopes."""

import re

import pytest
from fastapi.testclient import TestClient

from proteinx_pipelines.master.http.access import COOKIE
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.pages import site as pages_of_site
from proteinx_pipelines_tests.master.pages.conftest import EVIL

INLINE = re.compile(
    r"<script(?![^>]*(?: src=|application/json))|<style|\sstyle=|\son[a-z]+\s*=\s*[\"']", re.IGNORECASE
)
PAGES = ("/", "/jobs", "/jobs/j-0000000000000066", "/jobs/j-0000000000000066/files", "/compare", "/nodes", "/datasets",
         "/datasets/evil", "/models", "/models/j-0000000000000065", "/groups", "/groups/g-1", "/webhooks", "/submit",
         "/jobs/j-0000000000000700/lineage", "/jobs/j-0000000000000700/plate", "/campaigns", "/campaigns/lab",
         "/settings", "/login", "/docs", "/no-such-page")  # fmt: skip
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def browser_of(site, closed_site):
    """Clients of the open and of the closed Master, without a socket."""
    return {
        name: TestClient(create_app(each.master), follow_redirects=False)
        for name, each in (("open", site), ("closed", closed_site))
    }


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_nothing_inline_and_a_policy_that_would_not_run_it(browser_of, path: str) -> None:
    answer = browser_of["open"].get(path, headers=HTML)
    assert answer.status_code == (404 if "no-such" in path else 200)
    assert (
        INLINE.findall(
            re.sub(r"<script type=.application/json.*?</script>", "", answer.text, flags=re.DOTALL)
        )
        == []
    )
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert not re.search(r"(?:src|href|action)=.(?:https?:)?//", answer.text)


def test_the_page_of_addresses_has_every_one_of_them_and_comes_from_here(browser_of) -> None:
    """FastAPI's own pages are empty where a machine does not reach a CDN."""
    answer = browser_of["closed"].get("/docs", headers=HTML)
    assert answer.status_code == 200
    for path, verbs in browser_of["closed"].get("/openapi.json").json()["paths"].items():
        for method in verbs:
            assert f"<b>{method.upper()}</b> <code>{path}</code>" in answer.text
    for said in (
        "Job that it is to go before.",
        "split.method",
        "&#34;all&#34; | &#34;each&#34;",
        "/openapi.json",
    ):
        assert said in answer.text
    assert browser_of["open"].get("/redoc", headers=HTML).status_code == 404


def test_every_page_is_in_this_table(browser_of) -> None:
    """A page that is added has to be looked at here."""
    known = {re.sub(r"/(j-\w+|evil|lab|g-1)(?=/|$)", "/X", path) for path in PAGES}
    routes = {
        re.sub(r"\{[^}]*\}", "X", route.path)
        for router in pages_of_site.PAGES
        for route in router.routes
        if "GET" in route.methods
    }
    assert routes - known == {"/jobs/rows"}


@pytest.mark.parametrize(
    "path", ["/api/jobs/actions", "/api/queue/pause", "/api/tokens", "/login", "/logout"]
)
@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}]
)
@pytest.mark.parametrize("which", ["open", "closed"])
def test_a_foreign_page_changes_nothing(browser_of, path: str, headers: dict[str, str], which: str) -> None:
    cookies = {"cookie": f"{COOKIE}=px_secret-of-the-operator"} if which == "closed" else {}
    if path in ("/login", "/logout"):
        body = {"data": {"token": "px_secret-of-the-operator"}}
    else:
        body = {"json": {"action": "cancel", "ids": [], "name": "x", "scopes": ["admin"]}}
    answer = browser_of[which].post(path, headers={**headers, **cookies}, **body)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_the_cookie_of_the_login_is_for_the_server_alone(browser_of) -> None:
    answer = browser_of["closed"].post(
        "/login", data={"token": "px_secret-of-the-operator", "next": "//evil.example/"}
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert "samesite=lax" in answer.headers["set-cookie"].lower()


def test_without_a_token_every_page_of_a_closed_master_leads_to_the_login(browser_of) -> None:
    client = TestClient(create_app(browser_of["closed"].app.state.master), follow_redirects=False)
    for path in PAGES:
        answer = client.get(path, headers=HTML)
        if path in ("/login", "/docs", "/no-such-page"):
            continue
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/login"), path
        assert "gb1-ridge" not in answer.text


@pytest.mark.parametrize(
    ("scopes", "may"), [(["read"], set()), (["submit"], {"/submit"}), (["admin"], {"/submit", "/webhooks"})]
)
def test_a_token_sees_the_pages_of_its_scopes(browser_of, scopes: list[str], may: set[str]) -> None:
    client = browser_of["closed"]
    token = client.post(
        "/api/tokens",
        json={"name": "x", "scopes": scopes},
        headers={"authorization": "Bearer px_secret-of-the-operator"},
    ).json()["token"]
    allowed = {"authorization": f"Bearer {token}", **HTML}
    for path in ("/jobs", "/nodes", "/submit", "/webhooks"):
        expected = 200 if path in ("/jobs", "/nodes") or path in may else 403
        assert client.get(path, headers=allowed).status_code == expected, path
    assert ("New job" in client.get("/jobs", headers=allowed).text) == ("/submit" in may)


def test_a_cookie_of_another_master_does_not_lock_an_open_one(browser_of) -> None:
    """Browsers keep cookies by host, not by port: a second Master on this machine was answered with its token."""
    assert (
        browser_of["open"].get("/jobs", headers={**HTML, "cookie": f"{COOKIE}=px_of-another"}).status_code
        == 200
    )


def test_a_host_of_another_name_sees_nothing(browser_of) -> None:
    answer = browser_of["open"].get("/jobs", headers={**HTML, "host": "evil.example"})
    assert answer.status_code == 403
    assert EVIL not in answer.text
    assert "gb1-ridge" not in answer.text


def test_a_bad_address_is_answered_with_a_page_that_says_what_to_do(browser_of) -> None:
    for path, said in (
        ("/jobs?state=NIX", "the states are"),
        ("/jobs?page=x", "whole number"),
        ("/jobs/j-none", "There is no job"),
    ):
        answer = browser_of["open"].get(path, headers=HTML)
        assert answer.status_code in (404, 422)
        assert said in answer.text
        assert "<h1>" in answer.text
    unknown = browser_of["open"].get("/api/nothing", headers=HTML)
    assert unknown.status_code == 404
    assert unknown.headers["content-type"] == "application/problem+json"


def test_files_of_pages_are_kept_for_ever_under_their_digest_and_not_under_another(browser_of) -> None:
    client = browser_of["open"]
    address = re.search(r"/static/\w+/site\.css", client.get("/jobs").text)[0]
    assert "immutable" in client.get(address).headers["cache-control"]
    assert "immutable" not in client.get("/static/other/site.css").headers["cache-control"]
    assert client.get("/static/other/..%2f..%2fsite.py").status_code == 404
