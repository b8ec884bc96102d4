"""A reference that no node follows is refused at every door, with the sentence that the node would have said."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.contract.references import reference_problem, refuse_references
from proteinx_pipelines.contract.request import message_of
from proteinx_pipelines.errors import MessageError, PathNotAllowed
from proteinx_pipelines.files.references import References
from proteinx_pipelines.master.jobs.requests import JobRequest, check
from proteinx_pipelines.settings import load_settings

MASTER, DIGEST = "http://master:8000", "ab" * 32
REFUSED = (
    "ftp://host/x.csv", "gopher:x", "data:,a", "s3:x.csv", "HTTP:x", "https://elsewhere/x.csv", "HTTPS://h",
    f"{MASTER}/api/datasets/d-1", f"{MASTER}/api/datasets/d-1/content?x=1", f"px://sha256/{DIGEST[1:]}",
    f"px://sha256/{DIGEST.upper()}", f"px://md5/{DIGEST}", f"px://sha256/{DIGEST}/.hidden", "px://", "px:x",
    "file://server/x.csv", "hdfs://" + "a" * 300,
)  # fmt: skip
FOLLOWED = (
    "x.csv", "/data/x.csv", "C:/x.csv", "file:x.csv", "file:///x.csv", "FILE:///x.csv", "s3://bucket/inside/x.csv",
    f"px://sha256/{DIGEST}", f"px://sha256/{DIGEST}/my file.csv", f"{MASTER}/api/datasets/d-1/content",
)  # fmt: skip


@pytest.fixture
def node(tmp_path: Path) -> References:
    """The references of a node that has a store and a Master, and reads any path."""
    environment = {
        "PROTEINX_WORKDIR": str(tmp_path),
        "PROTEINX_DATA_ROOTS": "/",
        "PROTEINX_STORE": "s3://bucket/inside",
        "PROTEINX_MASTER": MASTER,
    }
    return References.of(load_settings(environment, tmp_path))


@pytest.mark.parametrize("reference", REFUSED)
def test_the_sentence_is_the_nodes(node: References, reference: str) -> None:
    with pytest.raises(PathNotAllowed) as refused:
        node.resolve(reference, name="payload_ref")
    expected = str(refused.value).replace(MASTER + "/api/datasets/<", "<PROTEINX_MASTER>/api/datasets/<")
    assert reference_problem("payload_ref", reference) == expected


@pytest.mark.parametrize("reference", FOLLOWED)
def test_what_a_node_follows_is_left_to_it(node: References, reference: str) -> None:
    node.resolve(reference)
    assert reference_problem("payload_ref", reference) is None


PARTS = (
    "px", "s3", "http", "file", "ftp", ":", "://", "/", "sha256", DIGEST, "api/datasets", "content", ".", "[",
)  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=8))
def test_nothing_that_a_node_follows_is_refused(tmp_path_factory, parts) -> None:
    folder = tmp_path_factory.getbasetemp()
    environment = {"PROTEINX_STORE": "s3://s3", "PROTEINX_MASTER": "http://http", "PROTEINX_DATA_ROOTS": "/"}
    here = References.of(load_settings({"PROTEINX_WORKDIR": str(folder), **environment}, folder))
    try:
        here.resolve("".join(parts))
    except PathNotAllowed:
        return
    assert reference_problem("payload_ref", "".join(parts)) is None


def test_a_job_is_refused_at_its_submission_with_every_reference_named() -> None:
    """A job with `ftp://` data was created, waited for a node, and failed there."""
    flags = {"data.source": "GB1", "data.structure": "gopher://h/gb1.pdb"}
    with pytest.raises(MessageError) as refused:
        check(JobRequest(flags=flags, payload_ref="ftp://host/x.csv"))
    assert refused.value.code == "path_not_allowed"
    first, second = refused.value.problems
    assert first.startswith("`payload_ref` 'ftp://host/x.csv' is a ftp: reference; this node knows paths and")
    assert second.startswith("`data.structure` 'gopher://h/gb1.pdb' is a gopher: reference")


def test_words_that_name_no_file_are_no_references() -> None:
    flags = {"data.source": "GB1", "data.structure": "none", "model.name": "gp", "model.prior": "default"}
    request = message_of({"experiment_id": "e", "flags": flags})
    assert refuse_references(request) is request
