"""No reference leads outside the roots, however it is spelled."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.errors import MissingFile, PathNotAllowed
from proteinx_pipelines.storage import local
from proteinx_pipelines.storage.interface import Storage
from proteinx_pipelines.storage.local import LocalStorage


@pytest.fixture
def folders(tmp_path):
    for name in ("workdir", "data", "private"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.csv").write_text(name)
    return tmp_path


@pytest.fixture
def storage(folders) -> Storage:
    return LocalStorage(folders / "workdir", [folders / "data"])


def test_files_in_the_roots_are_found_by_path_and_by_url(folders, storage):
    for reference in ("x.csv", str(folders / "data" / "x.csv"), (folders / "data" / "x.csv").as_uri()):
        assert storage.exists(reference)
    assert storage.fetch("x.csv") == folders / "workdir" / "x.csv"
    with storage.open((folders / "data" / "x.csv").as_uri()) as stream:
        assert stream.read() == b"data"


def test_names_with_spaces_survive_a_url(folders, storage):
    (folders / "data" / "my é data.csv").write_text("x")
    assert storage.exists((folders / "data" / "my é data.csv").as_uri())


@pytest.mark.parametrize(
    "reference",
    [
        "../private/x.csv",
        "/etc/passwd",
        "sub/../../private/x.csv",
        "file:///etc/passwd",
        "..",
        "~/x.csv/../../..",
    ],
)
def test_a_path_outside_is_refused_and_the_roots_are_named(folders, storage, reference):
    with pytest.raises(PathNotAllowed, match="PROTEINX_DATA_ROOTS") as raised:
        storage.fetch(reference)
    assert str(folders / "workdir") in str(raised.value)
    assert str(folders / "data") in str(raised.value)


@pytest.mark.skipif(os.name == "nt", reason="making links takes a privilege on Windows")
def test_links_are_judged_by_where_they_lead(folders, storage):
    (folders / "workdir" / "out.csv").symlink_to(folders / "private" / "x.csv")
    (folders / "workdir" / "folder").symlink_to(folders / "private")
    (folders / "workdir" / "in.csv").symlink_to(folders / "data" / "x.csv")
    (folders / "workdir" / "loop").symlink_to(folders / "workdir" / "loop")
    for reference in ("out.csv", "folder/x.csv"):
        with pytest.raises(PathNotAllowed, match="outside"):
            storage.exists(reference)
    assert storage.exists("in.csv")
    with pytest.raises(PathNotAllowed):
        storage.fetch("loop")


def test_a_root_that_is_a_link_is_a_root(folders):
    (folders / "link").symlink_to(folders / "data")
    assert LocalStorage(folders / "link").exists("x.csv")


@pytest.mark.parametrize(
    "reference", ["s3://bucket/x.csv", "https://host/x.csv", "ftp:x", "HTTP://h", "data:,a"]
)
def test_other_stores_are_refused_with_what_to_do(storage, reference):
    with pytest.raises(PathNotAllowed, match=r"knows paths and file:// URLs only.*Copy the file"):
        storage.fetch(reference)


@pytest.mark.parametrize("reference", ["file://server/share/x.csv", "file:///x.csv?y=1"])
def test_urls_that_are_more_than_a_path_are_refused(storage, reference):
    with pytest.raises(PathNotAllowed, match="file:///path"):
        storage.fetch(reference)


@pytest.mark.parametrize("reference", ["x" * 4000, "nothing.csv", "", "."])
def test_what_is_no_file_is_missing_by_the_name_it_has_in_the_message(storage, reference):
    assert not storage.exists(reference)
    with pytest.raises(MissingFile, match="`payload_ref`") as raised:
        storage.fetch(reference, name="payload_ref")
    assert len(str(raised.value)) < 400


def test_a_text_with_nul_is_no_path(storage):
    with pytest.raises(PathNotAllowed, match=r"`split\.path`"):
        storage.resolve("a\x00b", name="split.path")


@given(
    st.lists(
        st.sampled_from(["..", ".", "workdir", "data", "private", "/", "x.csv", "%2e%2e", "\\"]), max_size=8
    )
)
def test_no_spelling_of_a_path_reaches_another_folder(tmp_path_factory, parts):
    folder = tmp_path_factory.getbasetemp() / "spellings"
    (folder / "workdir").mkdir(parents=True, exist_ok=True)
    storage = LocalStorage(folder / "workdir")
    for reference in ("/".join(parts), "file:" + "/".join(parts)):
        try:
            path = storage.resolve(reference)
        except PathNotAllowed:
            continue
        assert path.is_relative_to(folder.resolve() / "workdir")


@pytest.mark.parametrize(
    "reference", ["../" * 300_000, "a/" * 400_000, "a" * 900_000, "./" * 100_000 + "x.csv"]
)
def test_a_path_without_end_is_refused_before_it_is_looked_up(storage, monkeypatch, reference):
    """300,000 steps back took 25 seconds, in which the intake took nothing else."""
    monkeypatch.setattr(local.Path, "resolve", lambda _self: pytest.fail("it was looked up"))
    with pytest.raises(PathNotAllowed, match="characters; at most 4,096") as caught:
        storage.resolve(reference)
    assert len(str(caught.value)) < 500
