"""Files of a job: index, ranges, conditions, resumable uploads, and what must not get in or out."""

import hashlib
import os
import socket
import threading
import time
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert

from proteinx_pipelines.contract.bundle import MOST_BODY_BYTES, pack
from proteinx_pipelines.master.database.tables import tokens
from proteinx_pipelines.master.http import artifacts as routes
from proteinx_pipelines.master.http import bodies
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.http.bodies import Bounds
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.tokens import digest, new_token
from proteinx_pipelines_tests.master.experiments import directory_of, new_job, write_metric

REPORT = "artifacts/report.html"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def paths_of(http: TestClient, job_id: str) -> set[str]:
    return {each["path"] for each in http.get(f"/api/jobs/{job_id}/artifacts").json()["files"]}


@pytest.fixture
def job(master: Master) -> str:
    return new_job(master)


@pytest.fixture
def here(master: Master, job: str) -> str:
    """A job whose experiment is on this machine."""
    directory = directory_of(master)
    settled = time.time() - 100
    os.utime(directory.report_html, (settled, settled))
    return job


def test_the_index_has_every_file_of_the_experiment_with_size_and_digest(http: TestClient, here: str):
    files = {each["path"]: each for each in http.get(f"/api/jobs/{here}/artifacts").json()["files"]}
    assert set(files) == {REPORT, "logs/events/g1-a1.jsonl", "metrics/metrics.jsonl"}
    assert files[REPORT] == {"path": REPORT, "size": 15, "sha256": sha256(b"<h1>Report</h1>")}


def test_a_download_knows_ranges_conditions_and_head(http: TestClient, here: str):
    address = f"/api/jobs/{here}/artifacts/{REPORT}"
    whole = http.get(address)
    assert (whole.status_code, whole.text) == (200, "<h1>Report</h1>")
    etag = whole.headers["etag"]
    assert etag == f'"{sha256(whole.content)}"'
    assert http.get(address, headers={"If-None-Match": etag}).status_code == 304
    assert http.get(address, headers={"If-None-Match": '"other"'}).status_code == 200
    part = http.get(address, headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"h1", "bytes 1-2/15")
    assert http.get(address, headers={"Range": "bytes=1-2", "If-Range": '"old"'}).status_code == 200
    beyond = http.get(address, headers={"Range": "bytes=99-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */15")
    assert beyond.headers["content-type"] == "application/problem+json"
    assert beyond.json()["code"] == "range_beyond_end"
    for unreadable in ("bytes=a-b", "lines=1-2", "bytes=3-1", "bytes"):
        ignored = http.get(address, headers={"Range": unreadable})
        assert (ignored.status_code, ignored.text) == (200, "<h1>Report</h1>"), unreadable
    head = http.head(address)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "15")
    assert head.headers["etag"] == etag


def test_the_report_opens_in_a_browser_and_reaches_nothing_here(http: TestClient, here: str):
    answer = http.get(f"/api/jobs/{here}/artifacts/{REPORT}")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("inline")
    policy = answer.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    saved = http.get(f"/api/jobs/{here}/artifacts/{REPORT}?download=true")
    assert saved.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("path", ["evil.html", "plots/evil.svg", "evil.xhtml", "x/artifacts/report.html"])
def test_script_in_a_file_that_somebody_sent_does_not_run(http: TestClient, job: str, path: str):
    text = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    assert http.put(f"/api/jobs/{job}/artifacts/{path}", content=text).status_code == 201
    answer = http.get(f"/api/jobs/{job}/artifacts/{path}")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox;")
    assert "script-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("wanted", ["bytes=9999-", "bytes=a-b", "bytes=1-2"])
def test_no_copy_of_a_file_that_grows_stays_behind(wanted: str, http: TestClient, master: Master, here: str):
    """The copy of a file that is being written stayed where the range could not be met."""
    write_metric(directory_of_again(master), "train/loss", 1.0)
    http.get(f"/api/jobs/{here}/artifacts/metrics/metrics.jsonl", headers={"Range": wanted})
    assert list(master.settings.uploads_dir.glob("*")) == []


def test_a_file_that_grows_is_sent_as_it_was_at_one_moment(http: TestClient, master: Master, here: str):
    """`FileResponse` sends what has been appended since it announced the length, and the connection breaks."""
    directory = directory_of_again(master)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            write_metric(directory, "train/loss", 1.0)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            answer = http.get(f"/api/jobs/{here}/artifacts/metrics/metrics.jsonl")
            assert answer.headers["etag"] == f'"{sha256(answer.content)}"'
            assert len(answer.content) == int(answer.headers["content-length"])
    finally:
        stop.set()
        writer.join()
    assert not list(master.settings.uploads_dir.glob("*"))


def directory_of_again(master: Master):
    from proteinx_pipelines.experiment_dir.layout import ExperimentDir

    return ExperimentDir(master.settings.node.experiments_dir, "gb1")


def test_a_run_of_ones_own_code_has_not_the_files_of_an_experiment_of_its_name(
    http: TestClient, master: Master
):
    directory_of(master)
    run = new_job(master, kind="run", state="RUNNING")
    assert paths_of(http, run) == set()
    assert http.get(f"/api/jobs/{run}/logs").text == ""
    assert http.put(f"/api/jobs/{run}/artifacts/a.txt", content=b"a").status_code == 201
    assert paths_of(http, run) == {"a.txt"}


# ---------------------------------------------------------------------- uploads
def test_an_upload_in_parts_is_not_shown_before_it_is_whole(http: TestClient, job: str):
    content = os.urandom(100_000)
    address = f"/api/jobs/{job}/artifacts/artifacts/model/fold_0/model.bin"
    facts = {"upload-length": str(len(content)), "upload-sha256": sha256(content)}
    first = http.put(address, content=content[:60_000], headers={**facts, "upload-offset": "0"})
    assert (first.status_code, first.headers["upload-offset"]) == (204, "60000")
    assert paths_of(http, job) == set()
    assert http.get(address).status_code == 404
    assert (http.head(address).status_code, http.head(address).headers["upload-offset"]) == (204, "60000")
    wrong = http.put(address, content=b"x", headers={**facts, "upload-offset": "50000"})
    assert (wrong.status_code, wrong.headers["upload-offset"], wrong.json()["code"]) == (
        409, "60000", "wrong_offset",
    )  # fmt: skip
    last = http.put(address, content=content[60_000:], headers={**facts, "upload-offset": "60000"})
    assert last.status_code == 201
    assert last.json() == {
        "path": "artifacts/model/fold_0/model.bin", "size": 100_000, "sha256": sha256(content),
    }  # fmt: skip
    assert http.get(address).content == content
    assert http.head(address).headers["upload-offset"] == "100000"


def test_an_upload_without_a_length_is_whole_at_the_end_of_its_body_and_can_be_appended_to(
    http: TestClient, job: str
):
    address = f"/api/jobs/{job}/artifacts/notes.txt"
    assert http.put(address, content=b"one ").status_code == 201
    assert http.put(address, content=b"two", headers={"upload-offset": "4"}).status_code == 201
    assert http.get(address).content == b"one two"
    assert http.put(address, content=b"three").status_code == 201
    assert http.get(address).content == b"three"


def test_other_bytes_than_announced_are_refused_and_removed(http: TestClient, master: Master, job: str):
    address = f"/api/jobs/{job}/artifacts/a.bin"
    answer = http.put(address, content=b"abc", headers={"upload-sha256": sha256(b"abd")})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_digest")
    answer = http.put(address, content=b"abc", headers={"upload-length": "2"})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_length")
    assert http.get(address).status_code == 404
    assert http.put(address, content=b"abc", headers={"upload-length": "x"}).status_code == 400
    assert not list(master.settings.uploads_dir.glob("*"))


def test_a_form_and_a_named_body_are_taken(http: TestClient, job: str):
    content = os.urandom(300_000)
    sent = http.post(
        f"/api/jobs/{job}/artifacts", files={"file": ("plot.png", content)}, data={"path": "plots/plot.png"}
    )
    assert (sent.status_code, sent.json()["path"]) == (201, "plots/plot.png")
    assert http.get(f"/api/jobs/{job}/artifacts/plots/plot.png").content == content
    sent = http.post(f"/api/jobs/{job}/artifacts", files={"file": ("plain.bin", b"x")})
    assert sent.json()["path"] == "plain.bin"
    assert http.post(f"/api/jobs/{job}/artifacts?path=b/c.bin", content=b"y").status_code == 201
    assert paths_of(http, job) == {"plots/plot.png", "plain.bin", "b/c.bin"}
    assert http.post(f"/api/jobs/{job}/artifacts", data={"path": "x"}, files={}).status_code in (400, 422)
    two = http.post(f"/api/jobs/{job}/artifacts", files=[("a", ("a", b"1")), ("b", ("b", b"2"))])
    assert (two.status_code, two.json()["code"]) == (400, "bad_form")


BAD_PATHS = [
    "../x", "..%2f..%2fetc%2fpasswd", "a/../../x", "%2e%2e/%2e%2e/x", "/etc/passwd", "%2fetc%2fpasswd", "a//b",
    ".hidden", "a/.b", "a\\..\\b", "C:/x", "a%00b", "a%0ab", "x" * 600, "%2e/a", "a/", "/".join("a" * 30),
]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_no_path_leads_out(http: TestClient, master: Master, here: str, path: str):
    secret = master.settings.node.experiments_dir / "x"
    secret.write_text("secret")
    for method in ("GET", "HEAD", "PUT"):
        address = f"http://testserver/api/jobs/{here}/artifacts/{path}"
        answer = http.request(method, address, content=b"evil" if method == "PUT" else None)
        assert answer.status_code in (404, 405, 422), (method, answer.status_code)
        assert b"secret" not in answer.content
    answer = http.post(f"/api/jobs/{here}/artifacts", files={"f": ("a", b"evil")}, data={"path": "../../x"})
    assert answer.status_code == 422
    assert secret.read_text() == "secret"


def test_a_link_in_an_experiment_is_not_followed(http: TestClient, master: Master, here: str):
    directory = directory_of_again(master)
    outside = master.settings.node.workdir / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (directory.root / "link.txt").symlink_to(outside / "secret.txt")
    (directory.root / "folder").symlink_to(outside)
    for path in ("link.txt", "folder/secret.txt"):
        assert http.get(f"/api/jobs/{here}/artifacts/{path}").status_code == 404
    assert not any("secret" in path or "link" in path for path in paths_of(http, here))


# ---------------------------------------------------------------------- limits, with a real server
def test_a_body_that_is_too_large_is_refused_in_mid_stream(
    served: str, master: Master, job: str, monkeypatch
):
    monkeypatch.setattr(routes, "Bounds", lambda most: Bounds(min(most, 1_000_000)))
    sent = 0

    def endless():
        nonlocal sent
        while True:
            sent += 65_536
            yield b"x" * 65_536

    try:
        answer = httpx.put(f"{served}/api/jobs/{job}/artifacts/a.bin", content=endless(), timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    except httpx.WriteError:  # the connection was closed before the client looked for an answer
        pass
    assert sent < 50_000_000
    declared = httpx.put(f"{served}/api/jobs/{job}/artifacts/a.bin", content=b"x" * 1_000_001)
    assert declared.status_code == 413
    assert httpx.get(f"{served}/api/jobs/{job}/artifacts").json() == {"files": []}


def test_a_body_that_does_not_come_is_given_up_and_resumed_where_it_was(
    served: str, master: Master, job: str, monkeypatch
):
    monkeypatch.setattr(routes, "Bounds", lambda most: Bounds(most, silence_s=0.5))
    host = urlsplit(served)
    address = f"/api/jobs/{job}/artifacts/a.bin"
    with socket.create_connection((host.hostname, host.port), timeout=30) as slow:
        slow.sendall(
            f"PUT {address} HTTP/1.1\r\nHost: {host.netloc}\r\nContent-Length: 100\r\n\r\n".encode()
            + b"x" * 10
        )
        assert b"408" in slow.recv(4096).split(b"\r\n")[0]
    assert httpx.head(served + address).headers["upload-offset"] == "10"
    rest = httpx.put(served + address, content=b"y" * 90, headers={"upload-offset": "10"})
    assert rest.json()["size"] == 100
    assert httpx.get(served + address).content == b"x" * 10 + b"y" * 90


def test_the_newest_request_of_a_file_counts(served: str, master: Master, job: str):
    """A connection that was lost may hang for minutes; its file is sent again at once."""
    host = urlsplit(served)
    address = f"/api/jobs/{job}/artifacts/a.bin"
    with socket.create_connection((host.hostname, host.port), timeout=30) as hanging:
        hanging.sendall(
            f"PUT {address} HTTP/1.1\r\nHost: {host.netloc}\r\nContent-Length: 100\r\n\r\n".encode()
            + b"x" * 10
        )
        wait_for(lambda: httpx.head(served + address).headers.get("upload-offset") == "10")
        assert httpx.put(served + address, content=b"new").status_code == 201
        hanging.sendall(b"x" * 90)
        assert b"409" in hanging.recv(4096).split(b"\r\n")[0]
    assert httpx.get(served + address).content == b"new"


def test_a_rate_that_is_too_low_is_given_up(monkeypatch):
    import asyncio

    class Trickle:
        def __init__(self) -> None:
            self.headers: dict[str, str] = {}

        async def stream(self):
            while True:
                await asyncio.sleep(0.05)
                yield b"x"

    async def read() -> None:
        async for _ in bodies.blocks(Trickle(), Bounds(1_000, settling_s=0.2)):
            pass

    with pytest.raises(bodies.HttpProblem, match="bytes a second") as caught:
        asyncio.run(asyncio.wait_for(read(), 20))
    assert caught.value.status == 408


def test_json_bodies_are_bounded_too(served: str, job: str):
    answer = httpx.post(
        f"{served}/api/jobs/{job}/logs", content=b'{"lines": ["' + b"x" * 33_000_000, timeout=60
    )
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def wait_for(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("scope", "kind", "status"),
    [
        ("read", "experiment", 403),
        ("submit", "experiment", 403),
        ("submit", "run", 201),
        ("node", "experiment", 201),
        ("admin", "experiment", 201),
    ],
)
def test_who_may_send_what_a_job_has_written(open_master, scope: str, kind: str, status: int):
    guarded = open_master(PROTEINX_TOKEN="x" * 40)
    job_id = new_job(guarded, kind=kind)
    token = add_token(guarded, scope)
    with TestClient(create_app(guarded), headers={"Authorization": f"Bearer {token}"}) as http:
        address = f"/api/jobs/{job_id}"
        assert http.put(f"{address}/artifacts/a.txt", content=b"a").status_code == status
        assert http.post(f"{address}/artifacts?path=b.txt", content=b"b").status_code == status
        assert http.put(f"{address}/artifacts", content=pack({"b.txt": b"b"})).status_code == status
        for what in ("logs", "metrics"):
            sent = http.post(f"{address}/{what}", json={"lines": [{"name": "a", "value": 1}]})
            assert sent.status_code == (200 if status == 201 else status)
        http.headers["Authorization"] = "Bearer wrong"
        for path in ("artifacts/a.txt", "artifacts"):
            assert http.put(f"{address}/{path}", content=pack({"a": b"a"})).status_code == 401


def add_token(master: Master, scope: str) -> str:
    token = new_token()
    row = {"token_id": scope, "name": scope, "digest": digest(token), "scopes": [scope], "created_at": "2026"}
    master.database.write(lambda connection: connection.execute(insert(tokens).values(**row)))
    return token


def test_a_bundle_is_taken_whole(http: TestClient, master: Master, job: str):
    files = {"artifacts/a.csv": b"a" * 5_000, "logs/b.jsonl": b"", "artifacts/same.csv": b"a" * 5_000}
    body = pack(files)
    answer = http.put(f"/api/jobs/{job}/artifacts", content=body, headers={"upload-sha256": sha256(body)})
    assert answer.status_code == 201
    assert answer.json()["files"] == [
        {"path": path, "size": len(content), "sha256": sha256(content)} for path, content in files.items()
    ]
    assert paths_of(http, job) == set(files)
    for path, content in files.items():
        assert http.get(f"/api/jobs/{job}/artifacts/{path}").content == content
    assert list(master.settings.uploads_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (pack({"ok.csv": b"1", "../evil": b"2"}), {}, 422, "path_not_allowed"),
        (pack({"ok.csv": b"1", "/etc/evil": b"2"}), {}, 422, "path_not_allowed"),
        (pack({"ok.csv": b"1"}), {"upload-sha256": "ab" * 32}, 422, "wrong_digest"),
        (b"no archive", {}, 422, "bad_bundle"),
        (b"", {}, 422, "bad_bundle"),
        (bytes(MOST_BODY_BYTES + 1), {}, 413, "too_large"),
    ],
)
def test_a_bundle_is_refused_whole(
    body: bytes, headers: dict, status: int, code: str, http: TestClient, master: Master, job: str
):
    answer = http.put(f"/api/jobs/{job}/artifacts", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert paths_of(http, job) == set()
    assert not master.settings.objects_dir.exists() or not list(master.settings.objects_dir.rglob("*"))
    assert http.put("/api/jobs/j-0/artifacts", content=body, headers=headers).status_code == 404
