"""No reference leads outside the roots, however it is spelled."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.errors import PathNotAllowed
from proteinx_pipelines.files import references as module
from proteinx_pipelines.files.references import References


@pytest.fixture
def folders(tmp_path):
    for name in ("workdir", "data", "private"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.csv").write_text(name)
    return tmp_path


@pytest.fixture
def references(folders) -> References:
    return References(folders / "workdir", [folders / "data"])


def test_files_in_the_roots_are_found_by_path_and_by_url(folders, references):
    for reference in ("x.csv", str(folders / "data" / "x.csv"), (folders / "data" / "x.csv").as_uri()):
        assert references.resolve(reference).is_file()
    assert references.resolve("x.csv") == folders / "workdir" / "x.csv"
    assert references.resolve((folders / "data" / "x.csv").as_uri()).read_bytes() == b"data"


def test_names_with_spaces_survive_a_url(folders, references):
    (folders / "data" / "my é data.csv").write_text("x")
    assert references.resolve((folders / "data" / "my é data.csv").as_uri()).is_file()


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
def test_a_path_outside_is_refused_and_the_roots_are_named(folders, references, reference):
    with pytest.raises(PathNotAllowed, match="PROTEINX_DATA_ROOTS") as raised:
        references.resolve(reference)
    assert str(folders / "workdir") in str(raised.value)
    assert str(folders / "data") in str(raised.value)


@pytest.mark.skipif(os.name == "nt", reason="making links takes a privilege on Windows")
def test_links_are_judged_by_where_they_lead(folders, references):
    (folders / "workdir" / "out.csv").symlink_to(folders / "private" / "x.csv")
    (folders / "workdir" / "folder").symlink_to(folders / "private")
    (folders / "workdir" / "in.csv").symlink_to(folders / "data" / "x.csv")
    (folders / "workdir" / "loop").symlink_to(folders / "workdir" / "loop")
    for reference in ("out.csv", "folder/x.csv"):
        with pytest.raises(PathNotAllowed, match="outside"):
            references.resolve(reference).is_file()
    assert references.resolve("in.csv").is_file()
    with pytest.raises(PathNotAllowed):
        references.resolve("loop")


def test_a_root_that_is_a_link_is_a_root(folders):
    (folders / "link").symlink_to(folders / "data")
    assert References(folders / "link").resolve("x.csv").is_file()


@pytest.mark.parametrize(
    "reference", ["s3://bucket/x.csv", "https://host/x.csv", "ftp:x", "HTTP://h", "data:,a"]
)
def test_other_stores_are_refused_with_what_to_do(references, reference):
    with pytest.raises(PathNotAllowed, match=r"knows paths and file:// URLs only.*Copy the file"):
        references.resolve(reference)


@pytest.mark.parametrize("reference", ["file://server/share/x.csv", "file:///x.csv?y=1"])
def test_urls_that_are_more_than_a_path_are_refused(references, reference):
    with pytest.raises(PathNotAllowed, match="file:///path"):
        references.resolve(reference)


def test_a_text_with_nul_is_no_path(references):
    with pytest.raises(PathNotAllowed, match=r"`split\.path`"):
        references.resolve("a\x00b", name="split.path")


@given(
    st.lists(
        st.sampled_from(["..", ".", "workdir", "data", "private", "/", "x.csv", "%2e%2e", "\\"]), max_size=8
    )
)
def test_no_spelling_of_a_path_reaches_another_folder(tmp_path_factory, parts):
    folder = tmp_path_factory.getbasetemp() / "spellings"
    (folder / "workdir").mkdir(parents=True, exist_ok=True)
    references = References(folder / "workdir")
    for reference in ("/".join(parts), "file:" + "/".join(parts)):
        try:
            path = references.resolve(reference)
        except PathNotAllowed:
            continue
        assert path.is_relative_to(folder.resolve() / "workdir")


@pytest.mark.parametrize(
    "reference", ["../" * 300_000, "a/" * 400_000, "a" * 900_000, "./" * 100_000 + "x.csv"]
)
def test_a_path_without_end_is_refused_before_it_is_looked_up(references, monkeypatch, reference):
    """300,000 steps back took 25 seconds, in which the intake took nothing else."""
    monkeypatch.setattr(module.Path, "resolve", lambda _self: pytest.fail("it was looked up"))
    with pytest.raises(PathNotAllowed, match="characters; at most 4,096") as caught:
        references.resolve(reference)
    assert len(str(caught.value)) < 500
