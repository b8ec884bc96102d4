"""Whatever bytes a file has: it is read, or refused in a sentence; nothing else comes out of the door."""

import contextlib
import gzip
import io
import tempfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.forms import read_table, stem_of
from proteinx_pipelines.variant_files.notation import NotRead, read_mutant, respelled, written_places
from proteinx_pipelines.variant_files.understood import ReadingOptions

TEMPLATE = "MSEQKTLDAVWRGHNPFYICKLAETSDVQMRNGIPWHKLF"
SEEDS = (
    b"mutant,DMS_score\nA9C,1.5\nWT,0\n", b"variant;fitness\nA9C/W11L;0,25\n", b'[{"mutant": "A9C", "score": 1}]',
    b'{"columns": ["mutant", "score"], "data": [["A9C", 1]]}', b">A9C score=1\nMSEQ\n", b"Combo,fitness\nSEQK,1\n",
    "mutant\tscore\nA9C\t1±0.1\n".encode("utf-16"), gzip.compress(b"mutant,score\nA9C,1\n"),
)  # fmt: skip
BYTES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(str.encode),
    st.builds(
        lambda seed, at, new: seed[: at % len(seed)] + new + seed[at % len(seed) :],
        st.sampled_from(SEEDS), st.integers(0, 200), st.binary(min_size=1, max_size=6),
    ),
    st.builds(lambda seed, at: seed[: at % len(seed)], st.sampled_from(SEEDS), st.integers(1, 200)),
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    BYTES, st.sampled_from(["x.csv", "x.tsv", "x.json", "x.fasta", "x.xlsx", "x.parquet", "x.csv.gz", "x"])
)
def test_any_bytes_are_read_or_refused(content, name):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        with contextlib.suppress(CatalogError):
            import_file(Path(folder) / "database.db", path, template=TEMPLATE)


@pytest.mark.parametrize("content", [",", ";;\n;;\n", "\t", '"","",""\n', " , \n\n", "#x\n,,", "|"])
def test_a_file_of_empty_cells_has_no_rows(tmp_path, content):
    """One comma ended an import with a ValueError."""
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(CatalogError, match=r"x\.csv has no row"):
        read_table(tmp_path / "x.csv", ReadingOptions())


def test_a_file_that_is_empty_at_the_separator_that_was_named_has_no_rows(tmp_path):
    (tmp_path / "x.csv").write_text("~~\n~~\n")
    with pytest.raises(CatalogError, match=r"x\.csv has no rows"):
        read_table(tmp_path / "x.csv", ReadingOptions(separator="~"))


def packed(folder, name):
    """A file of 50 kB or less that unpacks to 24 MB."""
    rows, path = b"mutant,score\n" + b"A9C,1\n" * 4_000_000, folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(rows, 9))
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml" if name.endswith(".xlsx") else "x.csv", rows)
    return path


@pytest.mark.parametrize("name", ["x.csv.gz", "x.zip", "x.xlsx"])
def test_a_small_file_that_unpacks_to_a_huge_one_is_refused_wherever_it_is_named(tmp_path, name, monkeypatch):
    """Only payloads were looked at: a split file, vectors and a library of the same kind filled the memory."""
    monkeypatch.setattr("proteinx_pipelines.variant_files.container.SMALL_BYTES", 1_000_000)
    path = packed(tmp_path, name)
    with pytest.raises(CatalogError, match="unpacks to more than 400 times its size"):
        read_table(path, ReadingOptions())


def test_a_column_that_repeats_one_value_for_ever_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("proteinx_pipelines.variant_files.columnar.MOST_BYTES", 999)
    pq.write_table(pa.table({"mutant": ["A9C"] * 1000}), tmp_path / "x.parquet")
    with pytest.raises(CatalogError, match="1,000 cells"):
        read_table(tmp_path / "x.parquet", ReadingOptions())


TEXTS = st.text(alphabet="ACDKacd*0123456789:/,;+_-| =>?()[].pfsdelinsupTrtx\u0394\u2212\u00b2", max_size=20)


@settings(max_examples=400)
@given(TEXTS, st.integers(-50, 50))
def test_any_text_is_a_mutant_or_is_refused_by_kind(text, offset):
    with contextlib.suppress(NotRead):
        assert read_mutant(text, TEMPLATE, offset).mutant
    respelled(text, TEMPLATE, offset)
    written_places(text)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.csv", "a"), ("a.csv.gz", "a"), ("a.tsv.zip", "a"), ("a.b.xlsx", "a.b"), (".csv", ".csv"), ("a", "a"),
        ("A.CSV", "A"),
    ],
)  # fmt: skip
def test_a_file_names_its_source_without_endings(name, stem):
    assert stem_of(name) == stem


def test_an_archive_in_an_archive_without_end_is_given_up(tmp_path):
    content = b"mutant,score\nA9C,1\n"
    for _ in range(6):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("x.csv", content)
        content = stream.getvalue()
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(CatalogError):
        import_file(tmp_path / "database.db", tmp_path / "x.zip", template=TEMPLATE)
