"""Bundles of small files: what was packed comes out, and anything else is refused whole with every reason."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.contract.bundle import (
    MOST_BODY_BYTES,
    MOST_BYTES,
    MOST_FILES,
    BadBundle,
    pack,
    unpack,
)

NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=80
)


@given(st.dictionaries(NAMES, st.binary(max_size=3_000), min_size=1, max_size=12))
def test_what_was_packed_comes_out(files: dict[str, bytes]):
    assert unpack(pack(files)) == files


@given(st.binary(max_size=2_000))
def test_no_bytes_make_it_fail_otherwise(body: bytes):
    with pytest.raises(BadBundle):
        unpack(body)


def test_a_full_bundle_fits_its_body():
    size = MOST_BYTES // MOST_FILES
    files = {f"{'folder/' * 10}{k:05d}-{'x' * 190}": bytes(size) for k in range(MOST_FILES)}
    body = pack(files)
    assert len(body) <= MOST_BODY_BYTES
    assert unpack(body) == files
    with pytest.raises(BadBundle, match="one more than the 500 files"):
        unpack(pack({**files, "one": b""}))


def archive(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", **headers: str) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.size, entry.pax_headers = kind, "x", len(content), headers
        tar.addfile(entry, io.BytesIO(content))
    return body.getvalue()


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(10**12)}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (archive("link", tarfile.SYMTYPE), "'link' is no plain file"),
        (archive("hard", tarfile.LNKTYPE), "'hard' is no plain file"),
        (archive("dir", tarfile.DIRTYPE), "'dir' is no plain file"),
        (archive("s", content=b"1\n0\n1\n".ljust(512, b"\0"), **SPARSE), "is no plain file"),
        (pack({}), "has no files"),
        (b"", "cannot be read"),
        (pack({"a": b"x" * 5_000})[:3_000], "'a' has 5,000 bytes, and the body ends before them"),
        (pack({"a": b"1"})[:1_024] + pack({"a": b"2"}), "'a' comes twice"),
    ],
)
def test_anything_else_is_refused_with_the_reason(body: bytes, told: str):
    with pytest.raises(BadBundle) as error:
        unpack(body)
    assert told in str(error.value)
