"""A source remembers in which numbering its people write; a user's own file knows none and counts from 1."""

import sqlite3
from contextlib import closing

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.catalog.numbering import source_offsets
from proteinx_pipelines.catalog.reading import read_rows
from proteinx_pipelines.flags.data import DataFlags
from proteinx_pipelines.mutants import renumbered
from proteinx_pipelines.numbering import as_in_template, as_written

TEMPLATE = "ACDEFGHIKL"
OWN = """
    CREATE TABLE sources(id INTEGER PRIMARY KEY, source_text TEXT UNIQUE NOT NULL, template TEXT NOT NULL);
    CREATE TABLE mutations(id INTEGER PRIMARY KEY, mutant TEXT NOT NULL, DMS_score REAL, DMS_score_bin TEXT,
                           mut_num INTEGER NOT NULL, source INTEGER NOT NULL REFERENCES sources(id));
    INSERT INTO sources VALUES (7, 'mine', 'AAA');
    INSERT INTO mutations VALUES (70, 'A1C', 0.5, NULL, 1, 7);
"""


def own_catalog(path, script=OWN):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def numbered_file(folder, offset, name="assay.csv"):
    path = folder / name
    path.write_text(f"mutant,DMS_score\nA{1 + offset}C,1\nA{1 + offset}D:L{10 + offset}K,2\nWT,0\n")
    return path


def test_a_source_remembers_the_offset_of_its_import(tmp_path):
    database = tmp_path / "database.db"
    import_file(database, numbered_file(tmp_path, 226), template=TEMPLATE, offset=226)
    import_file(database, numbered_file(tmp_path, 0, "plain.csv"), template=TEMPLATE)
    assert source_offsets(database) == {"assay": 226, "plain": 0}
    found = read_rows(database, DataFlags(source=("assay", "plain")))
    assert found.offsets == {"assay": 226, "plain": 0}
    mutants, sources = found.rows.column("mutant"), found.rows.column("source")
    written = as_written(mutants, sources, found.offsets)
    assert written.to_pylist() == ["A227C", "A227D:L236K", "WT", "A1C", "A1D:L10K", "WT"]
    assert as_in_template(written, sources, found.offsets).to_pylist() == mutants.to_pylist()


def test_a_source_that_is_replaced_takes_the_new_offset(tmp_path):
    database = tmp_path / "database.db"
    import_file(database, numbered_file(tmp_path, 5), template=TEMPLATE, offset=5)
    import_file(database, numbered_file(tmp_path, 7), template=TEMPLATE, offset=7, replace=True)
    assert source_offsets(database) == {"assay": 7}


def test_a_users_own_file_counts_from_one_and_stays_as_it_is(tmp_path):
    database = own_catalog(tmp_path / "own.db")
    before = database.read_bytes()
    assert source_offsets(database) == {"mine": 0}
    assert read_rows(database, DataFlags(source=("mine",))).offsets == {"mine": 0}
    assert database.read_bytes() == before


@pytest.mark.parametrize(
    "columns", ["", ", offset INTEGER", ", understood TEXT", ", Offset TEXT, understood BLOB"]
)
def test_an_import_into_a_users_own_file_adds_what_is_missing(tmp_path, columns):
    script = OWN.replace("template TEXT NOT NULL)", f"template TEXT NOT NULL{columns})")
    script = script.replace("sources VALUES", "sources(id, source_text, template) VALUES")
    database = own_catalog(tmp_path / "own.db", script)
    import_file(database, numbered_file(tmp_path, 5), template=TEMPLATE, offset=5)
    assert source_offsets(database)["mine"] == 0
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT CAST(offset AS INTEGER) FROM sources WHERE id > 7").fetchall() == [
            (5,)
        ]


MUTATION = st.builds(
    lambda a, p, b: f"{a}{p}{b}", st.sampled_from("ACDX*"), st.integers(1, 900), st.sampled_from("ACDX*")
)
MUTANT = st.lists(MUTATION, min_size=1, max_size=3).map(":".join) | st.sampled_from(
    ["WT", "L7del", "T2_Y3insAC"]
)


@given(st.lists(MUTANT), st.integers(-950, 950))
def test_a_numbering_can_be_left_and_found_again(mutants, by):
    there = renumbered(mutants, by)
    assert renumbered(there, -by).to_pylist() == mutants


def test_positions_before_the_first_residue_have_numbers_too():
    assert renumbered(["A1C:D3E", "WT", "T2_Y3insAC", None], -2).to_pylist() == [
        "A-1C:D1E", "WT", "T0_Y1insAC", None,
    ]  # fmt: skip
    assert renumbered(pa.chunked_array([["A-1C"], ["M0A"]]), 2).to_pylist() == ["A1C", "M2A"]
