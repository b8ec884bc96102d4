"""Files and catalogs without end: refused, in a sentence, in bounded time and memory."""

import gzip
import os
import socket
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from proteinx_pipelines.catalog import limits
from proteinx_pipelines.catalog.limits import refuse_endless_file, refuse_long_cells
from proteinx_pipelines.catalog.payload import open_payload
from proteinx_pipelines.catalog.reading import read_rows, source_names
from proteinx_pipelines.errors import CatalogError, PathNotAllowed
from proteinx_pipelines.files.references import References
from proteinx_pipelines.flags.data import DataFlags

_ROW = "1.0 AS DMS_score, '1' AS DMS_score_bin, 1 AS mut_num, 1 AS source"
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
    f"SELECT i AS id, 'A1C' AS mutant, {_ROW} FROM n"
)
DOUBLING = (
    "WITH RECURSIVE d(i, x) AS (SELECT 1, 'A' UNION ALL SELECT i + 1, x || x FROM d WHERE i < 29) "
    f"SELECT i AS id, x AS mutant, {_ROW} FROM d"
)
FLAGS = DataFlags(source=("S",))


def database(path: Path, mutations: str, template: str = "ACD") -> Path:
    """A user's own catalog, whose `mutations` is made by a statement."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE sources(id INTEGER PRIMARY KEY, source_text TEXT, template TEXT)")
        connection.execute("INSERT INTO sources VALUES (1, 'S', ?)", (template,))
        connection.execute(mutations)
        connection.commit()
    return path


def view(path: Path, query: str) -> Path:
    """A catalog whose `mutations` is a view."""
    return database(path, f"CREATE VIEW mutations AS {query}")


@pytest.fixture
def _little_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    monkeypatch.setattr(limits, "VIEW_SECONDS", 0.5)
    began = time.monotonic()
    yield began
    assert time.monotonic() - began < 60


@pytest.mark.usefixtures("_little_time")
def test_a_view_without_end_is_ended_and_told(tmp_path: Path) -> None:
    """It passed the authorizer and ran until the time limit, of which there is none by default."""
    with pytest.raises(CatalogError, match="is a view, and reading it has not ended after"):
        read_rows(view(tmp_path / "d.db", ENDLESS), FLAGS)


def test_without_the_limit_it_would_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard off: it is stopped by this test alone."""
    path = view(tmp_path / "d.db", ENDLESS)
    with closing(sqlite3.connect(path)) as connection:
        end = time.monotonic() + 2
        connection.set_progress_handler(lambda: time.monotonic() > end, 100_000)
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            connection.execute("SELECT count(*) FROM mutations").fetchone()


def test_a_view_that_doubles_a_text_is_ended(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="too big"):
        read_rows(view(tmp_path / "d.db", DOUBLING), FLAGS)


def test_a_view_that_ends_is_read(tmp_path: Path) -> None:
    path = view(tmp_path / "d.db", f"SELECT * FROM ({ENDLESS} LIMIT 5)")
    assert source_names(path) == ["S"]
    assert read_rows(path, FLAGS).rows.num_rows == 5


@pytest.mark.parametrize(("column", "text"), [("mutant", "A1C:" * 40_000), ("DMS_score_bin", "x" * 501)])
def test_a_cell_without_end_is_refused_with_its_row(tmp_path: Path, column: str, text: str) -> None:
    """A mutant of 160 MB went through the regular expressions of every stage."""
    rows = (
        "SELECT 1 AS id, 'A1C' AS mutant, 1.0 AS DMS_score, '1' AS DMS_score_bin, 1 AS mut_num, 1 AS source"
    )
    path = database(
        tmp_path / "d.db", f"CREATE TABLE mutations AS {rows} UNION ALL {rows.replace('1 AS id', '2 AS id')}"
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE mutations SET {column} = ? WHERE id = 2", (text,))
        connection.commit()
    with pytest.raises(CatalogError, match=f"`{column}` of row 2 has {len(text):,} characters"):
        read_rows(path, FLAGS)


def test_a_template_without_end_is_refused(tmp_path: Path) -> None:
    path = database(tmp_path / "d.db", "CREATE TABLE mutations(id, mutant, DMS_score, DMS_score_bin, mut_num, source)",
                    "A" * 200_000)  # fmt: skip
    with pytest.raises(CatalogError, match="`template` of row 1 has 200,000 characters"):
        read_rows(path, FLAGS)


def test_a_cell_as_long_as_any_protein_is_read() -> None:
    refuse_long_cells(Path("x"), {"mutant": pa.array(["A" * 99_999]), "template": pa.array(["M" * 36_000])})


def bomb(path: Path, blocks: int) -> Path:
    """A gzip of blank lines: a thousandth of what it unpacks to."""
    with gzip.open(path, "wb") as stream:
        for _ in range(blocks):
            stream.write(b"\n" * 4_000_000)
    return path


def test_a_gzip_that_unpacks_to_hundreds_of_times_its_size_is_refused(tmp_path: Path) -> None:
    path = bomb(tmp_path / "b.csv.gz", 116)  # 464 MB in half a megabyte
    with pytest.raises(CatalogError, match="unpacks to more than 400 times as many"):
        open_payload(path, tmp_path / "cache")


def test_a_gzip_beyond_the_node_s_limit_is_refused(tmp_path: Path) -> None:
    path = bomb(tmp_path / "b.csv.gz", 3)
    with pytest.raises(CatalogError, match=r"unpacks to more than 5,000,000 bytes.*PROTEINX_MAX_DATA_GB"):
        refuse_endless_file(path, 5_000_000)
    refuse_endless_file(path)


def test_a_zip_is_measured_by_what_is_in_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", "\n" * 120_000_000)
    with pytest.raises(CatalogError, match="unpacks to more than 400 times"):
        refuse_endless_file(tmp_path / "z.zip")


def test_a_parquet_of_one_value_has_as_many_cells_as_rows(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"mutant": pa.array(["A1C"] * 1_000_000).dictionary_encode()}), tmp_path / "p.parquet"
    )
    with pytest.raises(CatalogError, match="has 1,000,000 cells"):
        refuse_endless_file(tmp_path / "p.parquet", 999_999)
    refuse_endless_file(tmp_path / "p.parquet")


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("wb") as stream:
        stream.truncate(30_000_000_000)
    with pytest.raises(CatalogError, match="has 30,000,000,000 bytes"):
        open_payload(tmp_path / "a.csv", tmp_path / "cache")


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither pipes nor devices among files")
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_what_is_no_file_is_refused_and_not_opened(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening a pipe waits for somebody who writes: the stage waited for ever."""
    path = tmp_path / "payload.csv"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        monkeypatch.chdir(tmp_path)  # the address of a socket has at most a hundred characters
        with closing(socket.socket(socket.AF_UNIX)) as listener:
            listener.bind(str(path.relative_to(Path.cwd())))
    else:
        path = Path("/dev/zero")
    with pytest.raises(CatalogError, match=f"is not a file: a {kind}"):
        open_payload(path, tmp_path / "cache")
    if kind != "folder":
        with pytest.raises(PathNotAllowed, match=f"is a {kind}, not a file"):
            References(tmp_path, [Path("/dev")]).resolve(str(path), name="payload_ref")
