"""Many rows are read in two halves by two connections: the same rows, in the same order, of one moment."""

import sqlite3
from contextlib import closing

import pytest

from proteinx_pipelines.catalog import fetching, reading
from proteinx_pipelines.catalog.reading import read_rows
from proteinx_pipelines.flags.parsing import parse_flags

N_ROWS = 1_000


@pytest.fixture
def database(tmp_path):
    """Three sources whose rows lie mixed, some scores and bins NULL."""
    path = tmp_path / "database.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("""
            CREATE TABLE sources(id INTEGER PRIMARY KEY, source_text TEXT UNIQUE NOT NULL, template TEXT NOT NULL);
            CREATE TABLE mutations(id INTEGER PRIMARY KEY, mutant TEXT NOT NULL, DMS_score REAL, DMS_score_bin TEXT,
                                   mut_num INTEGER NOT NULL, source INTEGER NOT NULL REFERENCES sources(id));
            INSERT INTO sources VALUES (1, 'c', 'AAA'), (2, 'b', 'AAA'), (3, 'a', 'AAA');
        """)
        rows = [
            (f"A1{'CDEF'[k % 4]}", k / 7 if k % 5 else None, str(k % 2) if k > N_ROWS / 2 else None, 1 + k % 3,
             1 + (k * 7) % 3)
            for k in range(N_ROWS)
        ]  # fmt: skip
        insert = (
            "INSERT INTO mutations(mutant, DMS_score, DMS_score_bin, mut_num, source) VALUES (?, ?, ?, ?, ?)"
        )
        connection.executemany(insert, rows)
    return path


@pytest.fixture
def second_readers(monkeypatch):
    """What the second connection has read so far."""
    found = []
    apart = fetching._fetched_apart
    monkeypatch.setattr(fetching, "_fetched_apart", lambda *a: found.append(apart(*a)) or found[-1])
    return found


def rows_of(database, flags):
    return read_rows(database, parse_flags(flags).data).rows.to_pylist()


CONDITIONS = [
    {"data.source": ["a", "b", "c"]},
    {"data.source": "b"},
    {"data.source": ["a", "c"], "data.mut_num": {"max": 2}, "data.dms_score": {"min": 10}},
    {"data.source": ["a", "b"], "data.where": [{"column": "id", "op": "<", "value": 20}]},
]


@pytest.mark.parametrize("flags", CONDITIONS)
def test_two_halves_are_the_whole_in_its_order(database, flags, monkeypatch, second_readers):
    whole = rows_of(database, flags)
    assert not second_readers
    monkeypatch.setattr(reading, "MANY_ROWS", 2)
    assert rows_of(database, flags) == whole
    assert len(second_readers) == 1


def test_a_half_that_holds_nulls_alone_has_the_type_of_the_other(database, monkeypatch):
    """The driver takes a column without values for whole numbers."""
    monkeypatch.setattr(reading, "MANY_ROWS", 2)
    bins = {row["DMS_score_bin"] for row in rows_of(database, {"data.source": "a"})}
    assert bins == {None, "0", "1"}


def test_a_second_connection_that_would_wait_for_an_import_is_done_without(database, monkeypatch):
    whole = rows_of(database, CONDITIONS[0])
    monkeypatch.setattr(reading, "MANY_ROWS", 2)
    monkeypatch.setattr(fetching, "_fetched_apart", lambda *_: None)
    assert rows_of(database, CONDITIONS[0]) == whole


def test_a_file_in_write_ahead_mode_is_read_by_one_connection(database, monkeypatch, second_readers):
    """There, somebody may commit between the two."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
        whole = rows_of(database, CONDITIONS[0])
        monkeypatch.setattr(reading, "MANY_ROWS", 2)
        assert rows_of(database, CONDITIONS[0]) == whole
    assert not second_readers


def test_rows_without_an_id_in_a_users_own_file_are_not_lost(database, monkeypatch):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executescript("""
            CREATE TABLE copy AS SELECT * FROM mutations;
            DROP TABLE mutations;
            ALTER TABLE copy RENAME TO mutations;
            UPDATE mutations SET id = NULL WHERE rowid % 10 = 0;
        """)
    whole = rows_of(database, CONDITIONS[0])
    assert len(whole) == N_ROWS
    monkeypatch.setattr(reading, "MANY_ROWS", 2)
    assert rows_of(database, CONDITIONS[0]) == whole


_OWN_TABLE = """
    CREATE TABLE own AS SELECT {id} AS id, mutant, DMS_score, DMS_score_bin, mut_num, source FROM mutations;
    DROP TABLE mutations;
    ALTER TABLE own RENAME TO mutations;
"""


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE mutations SET id = id * 1000000000",
        "UPDATE mutations SET id = -id",
        _OWN_TABLE.format(id="7"),
        _OWN_TABLE.format(id="'x' || id"),
    ],
    ids=["far apart", "negative", "all the same", "text"],
)
def test_ids_of_any_kind_bound_the_number_of_rows(database, change, monkeypatch):
    """What the ids of a source span is reserved for; where they tell nothing, the rows are counted."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executescript(change)
        held = connection.execute("SELECT count(*) FROM mutations WHERE source = 2").fetchone()[0]
    flags = parse_flags({"data.source": "b"}).data
    for many in (reading.MANY_ROWS, 2):
        monkeypatch.setattr(reading, "MANY_ROWS", many)
        with fetching.open_reader(database) as reader:
            at_most, _ = reading._extent(reader, flags)
        assert held <= at_most <= N_ROWS
        assert len(rows_of(database, {"data.source": "b"})) == held


def test_a_column_that_holds_what_it_must_not_is_named_once(database, monkeypatch):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE mutations SET DMS_score = 'high'")
    monkeypatch.setattr(reading, "MANY_ROWS", 2)
    with pytest.raises(reading.CatalogError) as raised:
        rows_of(database, CONDITIONS[0])
    assert raised.value.problems == ("`DMS_score` holds string values; double is expected, or NULL if empty",)
