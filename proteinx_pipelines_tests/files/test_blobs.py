"""What every place of contents promises, be it a folder or an object store."""

import hashlib
import itertools
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proteinx_pipelines.errors import BackendError, CorruptArtifact
from proteinx_pipelines.files.blobs import objects
from proteinx_pipelines.files.blobs.folder import FolderStore
from proteinx_pipelines.files.blobs.interface import BlobStore, LocalFiles, checked_name
from proteinx_pipelines.files.blobs.objects import open_objects
from proteinx_pipelines_tests.racing import Barrier, race


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=5000))
def test_what_was_kept_comes_back(blobs: BlobStore, tmp_path: Path, content: bytes) -> None:
    blobs.write("a/small", content)
    blobs.put("a/file", write(tmp_path / "source", content))
    for name in ("a/small", "a/file"):
        assert blobs.read(name) == content
        assert blobs.size(name) == len(content)
        blobs.get(name, tmp_path / "came" / "target", sha256=sha256(content))
        assert (tmp_path / "came" / "target").read_bytes() == content


def test_a_content_larger_than_a_part_comes_back(blobs: BlobStore, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 12
    blobs.put("large", write(tmp_path / "source", content))
    blobs.get("large", tmp_path / "target", sha256=sha256(content))
    assert (tmp_path / "target").read_bytes() == content


def test_a_name_is_given_anew(blobs: BlobStore, tmp_path: Path) -> None:
    blobs.write("a", b"old")
    blobs.put("a", write(tmp_path / "source", b"new"))
    assert blobs.read("a") == b"new"
    assert list(blobs.names()) == ["a"]


def test_what_is_not_there_is_said_to_be_missing(blobs: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        blobs.read("a/b")
    with pytest.raises(FileNotFoundError):
        blobs.get("a/b", tmp_path / "target")
    assert not (tmp_path / "target").exists()
    assert blobs.size("a/b") is None
    assert list(blobs.names("a")) == []
    blobs.remove("a/b")


def test_names_below_a_folder_are_those_and_no_others(blobs: BlobStore) -> None:
    for name in ("a/x", "a/b/y", "ab/z", "c"):
        blobs.write(name, b"1")
    assert set(blobs.names("a")) == {"a/x", "a/b/y"}
    assert set(blobs.names()) == {"a/x", "a/b/y", "ab/z", "c"}
    blobs.remove("a/x")
    assert set(blobs.names("a")) == {"a/b/y"}


def test_other_bytes_than_were_recorded_are_refused_and_nothing_is_replaced(
    blobs: BlobStore, tmp_path: Path
) -> None:
    """No server's own checksum is believed: two of the common ones store what was sent, whatever was said of it."""
    target = write(tmp_path / "target", b"before")
    blobs.write("a", b"damaged")
    with pytest.raises(CorruptArtifact, match="recorded is"):
        blobs.get("a", target, sha256=sha256(b"whole"))
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "a\\b", "a/"])
def test_a_name_that_could_lead_elsewhere_is_none(blobs: BlobStore, tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "source", b"1")
    for use in (
        lambda: blobs.read(name),
        lambda: blobs.write(name, b"1"),
        lambda: blobs.put(name, source),
        lambda: blobs.get(name, tmp_path / "target"),
        lambda: blobs.size(name),
        lambda: blobs.remove(name),
    ):
        with pytest.raises(ValueError, match="not a name of a content"):
            use()
    with pytest.raises(ValueError, match="not a name of a content"):
        checked_name(name)


# ---------------------------------------------------------------------- what only a folder can do
def test_a_folder_links_instead_of_copying(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "kept")
    source = write(tmp_path / "source", b"1" * 1000)
    store.put("a", source)
    store.get("a", tmp_path / "target", sha256=sha256(b"1" * 1000))
    assert isinstance(store, LocalFiles)
    assert {store.path("a").stat().st_ino, (tmp_path / "target").stat().st_ino} == {source.stat().st_ino}


def test_only_a_folder_promises_what_only_a_folder_can_do() -> None:
    pytest.importorskip("obstore")
    assert not isinstance(open_objects("memory://"), LocalFiles)


def _add_many(root: Path, number: int, start: Barrier) -> None:
    store = FolderStore(root / "kept")
    mine = str(number).encode() * 1000
    for turn in range(20):
        start.wait(120)
        files = {f"files/{name}": write(root / str(number) / name, mine) for name in ("x", "y")}
        store.add_folder(f"entry-{turn}", files, {"entry.json": mine})


def test_of_two_that_add_a_folder_at_once_one_wins_and_nothing_is_mixed(tmp_path: Path) -> None:
    race(_add_many, (tmp_path, 1), (tmp_path, 2))
    for turn in range(20):
        folder = tmp_path / "kept" / f"entry-{turn}"
        assert len({path.read_bytes() for path in folder.rglob("*") if path.is_file()}) == 1
        assert len(list(folder.rglob("*"))) == 4
    assert [path for path in (tmp_path / "kept").iterdir() if path.name.startswith(".")] == []


# ---------------------------------------------------------------------- trouble of an object store
def test_a_server_that_is_away_is_the_nodes_trouble_and_worth_a_retry() -> None:
    pytest.importorskip("obstore")
    from proteinx_pipelines.node.processes.ports import free_port

    nobody = open_objects(
        "s3://bucket/prefix",
        endpoint=f"http://127.0.0.1:{free_port()}",
        region="us-east-1",
        access_key_id="key",
        secret_access_key="secret",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    with pytest.raises(BackendError, match="s3://bucket/prefix did not answer") as raised:
        nobody.read("a")
    assert raised.value.retryable


@pytest.mark.parametrize("way", ["read", "get"])
@pytest.mark.parametrize("tries", [1, objects.TRIES])
def test_a_blob_that_is_written_anew_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, tries: int
) -> None:
    """`proteinx store status` said that the store does not answer: its agent wrote the file that it was reading.

    obstore goes on where the bytes broke off, and only in the same version of the blob. One try is the guard off.
    """
    pytest.importorskip("obstore", reason="the extra `objects` is not installed")
    monkeypatch.setattr(objects, "TRIES", tries)
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    content = b"x" * 300_000
    answers = itertools.count(1)

    class Changing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            number = next(answers)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{number}"')
            self.send_header("Last-Modified", "Mon, 30 Nov 2026 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(content if number > 2 else content[:1000])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Changing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        store = open_objects("s3://bucket", endpoint=url, region="x", client_options={"allow_http": True})

        def fetched() -> bytes:
            if way == "read":
                return store.read("a")
            store.get("a", tmp_path / "a", sha256=sha256(content))
            return (tmp_path / "a").read_bytes()

        try:
            if tries == 1:
                with pytest.raises(BackendError, match="did not answer as a store does"):
                    fetched()
            else:
                assert fetched() == content
        finally:
            server.shutdown()


def test_an_address_that_is_none_is_refused() -> None:
    pytest.importorskip("obstore")
    with pytest.raises(BackendError, match="no address of an object store"):
        open_objects("nowhere://x")


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(BackendError, match=r"proteinx-infra\[objects\]"):
        objects.open_objects("memory://")
