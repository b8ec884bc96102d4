"""The places that contents can be kept in; every test of `blobs` runs on each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from proteinx_pipelines.files.blobs.folder import FolderStore
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.blobs.objects import open_objects


@pytest.fixture(params=["folder", "memory", "files"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    """An empty store of each kind: a folder of this machine, and an object store in memory and over files."""
    if request.param == "folder":
        yield FolderStore(tmp_path / "kept")
        return
    pytest.importorskip("obstore", reason="the extra `objects` is not installed")
    if request.param == "memory":
        yield open_objects("memory://")
        return
    (tmp_path / "kept").mkdir()
    yield open_objects((tmp_path / "kept").as_uri())
