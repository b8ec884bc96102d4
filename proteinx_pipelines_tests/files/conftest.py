"""The places that blobs can be kept in; every test of `blobs` runs on each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from proteinx_pipelines.files.blobs.folder import FolderStore
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.blobs.objects import open_objects
from proteinx_pipelines.files.blobs.opening import open_blobs
from proteinx_pipelines_tests.object_servers import ObjectServer, serve_s3


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A real S3 server."""
    with serve_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["folder", "shared folder", "memory", "files", "s3"])
def blobs(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BlobStore]:
    """An empty store of each kind: a folder, an object store in memory and over files, and an S3 server."""
    if request.param == "folder":
        yield FolderStore(tmp_path / "kept")
        return
    if request.param == "shared folder":
        yield open_blobs((tmp_path / "kept").as_uri())
        return
    pytest.importorskip("obstore", reason="the extra `objects` is not installed")
    if request.param == "memory":
        yield open_objects("memory://")
        return
    if request.param == "s3":
        server: ObjectServer = request.getfixturevalue("s3")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield open_blobs(f"s3://bucket/{tmp_path.name}")
        return
    (tmp_path / "kept").mkdir()
    yield open_objects((tmp_path / "kept").as_uri())


@pytest.fixture(params=["shared folder", "s3"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of an empty shared store of each kind that machines can share."""
    if request.param == "shared folder":
        return (tmp_path / "shared").as_uri()
    server: ObjectServer = request.getfixturevalue("s3")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://bucket/{tmp_path.name}"
