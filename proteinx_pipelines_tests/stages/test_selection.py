"""Selection against a small catalog whose answers can be counted by hand, and hostile filters."""

import hashlib
import sqlite3
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proteinx_pipelines.errors import CatalogError, EmptySelection, FlagError, UnknownSource
from proteinx_pipelines.flags.data import COLUMNS, OPERATORS, DataFlags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.records import SELECTION_COLUMNS
from proteinx_pipelines.stages.selection import select_variants

ROWS = [
    # id, mutant, score, bin, mut_num, source
    (1, "WT", 1.0, "1", 0, 1),
    (2, "A1C", 0.5, "0", 1, 1),
    (3, "A1C", 0.7, "1", 1, 1),
    (4, "A1C:D2G", None, None, 2, 1),
    (5, "D2_", 2.0, "1", 1, 2),
    (6, "D2%", -1.0, "0", 1, 2),
    (7, "M1V", 3.0, "1", 1, 3),
]
USERS_OWN_TABLES = """
CREATE TABLE sources(id INTEGER PRIMARY KEY, source_text TEXT UNIQUE NOT NULL, template TEXT NOT NULL);
CREATE TABLE mutations(id INTEGER PRIMARY KEY, mutant TEXT NOT NULL, DMS_score REAL, DMS_score_bin TEXT,
                       mut_num INTEGER NOT NULL, source INTEGER NOT NULL REFERENCES sources(id));
"""


def make_catalog(path, rows=ROWS):
    with sqlite3.connect(path) as connection:
        connection.executescript(USERS_OWN_TABLES)
        names = [(1, "GB1", "ADE"), (2, "odd", "MDE"), (3, "secret", "MMM")]
        connection.executemany("INSERT INTO sources VALUES (?, ?, ?)", names)
        connection.executemany("INSERT INTO mutations VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    return path


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    return make_catalog(tmp_path_factory.mktemp("catalog") / "database.db")


def chosen(database, **flags):
    return select_variants(database, parse_flags({"data": {"source": "GB1", **flags}}).data).rows


def mutants(database, **flags):
    return chosen(database, **flags).column("mutant").to_pylist()


def where(column, op, *value):
    return [{"column": column, "op": op, **({"value": value[0]} if value else {})}]


def test_rows_have_the_promised_columns_and_types(catalog):
    rows = chosen(catalog)
    types = [pa.string(), pa.string(), pa.float64(), pa.string(), pa.int32()]
    assert rows.schema == pa.schema(list(zip(SELECTION_COLUMNS, types, strict=True)))
    assert rows.to_pylist()[3] == {
        "source": "GB1", "mutant": "A1C:D2G", "DMS_score": None, "DMS_score_bin": None, "mut_num": 2,
    }  # fmt: skip


def test_the_record_carries_templates_and_the_query_as_run(catalog):
    selection = select_variants(catalog, DataFlags.model_validate({"source": ["odd", "GB1"], "limit": 6}))
    assert selection.templates == {"GB1": "ADE", "odd": "MDE"}
    query = selection.query
    assert query["parameters"] == ["odd", "GB1"]
    assert query["rows"] == query["matched"] == 6
    with sqlite3.connect(catalog) as connection:
        again = connection.execute(query["sql"], query["parameters"]).fetchall()
    connection.close()
    assert [row[1] for row in again] == selection.rows.column("mutant").to_pylist()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"mut_num": {"min": 1}}, ["A1C", "A1C", "A1C:D2G"]),
        ({"mut_num": {"max": 0}}, ["WT"]),
        ({"dms_score": {"min": 0.5, "max": 0.7}}, ["A1C", "A1C"]),
        ({"dms_score_bin": "1"}, ["WT", "A1C"]),
        ({"dms_score_bin": 1}, ["WT", "A1C"]),
        ({"dms_score_bin": ["0", "1"]}, ["WT", "A1C", "A1C"]),
        ({"where": where("DMS_score", "is null")}, ["A1C:D2G"]),
        ({"where": where("DMS_score", "is not null")}, ["WT", "A1C", "A1C"]),
        ({"where": where("DMS_score", "between", [0.6, 1])}, ["WT", "A1C"]),
        ({"where": where("mutant", "in", ["WT", "A1C:D2G"])}, ["WT", "A1C:D2G"]),
        ({"where": where("mutant", "!=", "A1C")}, ["WT", "A1C:D2G"]),
        ({"where": where("mutant", "like", "A1C%")}, ["A1C", "A1C", "A1C:D2G"]),
        ({"where": where("mutant", "not like", "%:%")}, ["WT", "A1C", "A1C"]),
        ({"where": where("DMS_score_bin", "=", 1)}, ["WT", "A1C"]),
        ({"where": where("id", ">", 3)}, ["A1C:D2G"]),
        ({"where": where("source", "=", 1) + where("mut_num", "<", 1)}, ["WT"]),
        ({"source": ["odd", "GB1"], "where": where("source_text", "like", "O%")}, ["D2_", "D2%"]),
        ({"source": "odd", "where": where("mutant", "like", "D2\\_")}, ["D2_"]),
        ({"source": "odd", "where": where("mutant", "like", "D2\\%")}, ["D2%"]),
        ({"source": "odd", "where": where("mutant", "like", "D_%")}, ["D2_", "D2%"]),
    ],
)
def test_each_condition_lets_its_rows_pass(catalog, flags, expected):
    assert mutants(catalog, **flags) == expected


def test_rows_come_by_source_and_id_however_they_lie(tmp_path):
    database = make_catalog(tmp_path / "database.db", rows=[(9, "E3F", 0.0, None, 1, 1), *reversed(ROWS)])
    found = mutants(database, source=["secret", "odd", "GB1"])
    assert found == ["WT", "A1C", "A1C", "A1C:D2G", "E3F", "D2_", "D2%", "M1V"]


def test_an_unknown_source_is_answered_with_the_closest_name(catalog):
    with pytest.raises(UnknownSource, match=r"'GB2' is not in .*did you mean 'GB1'\?(.|\n)*GB1, odd, secret"):
        chosen(catalog, source=["GB2", "odd"])


def test_of_many_sources_twenty_are_listed(tmp_path):
    database = make_catalog(tmp_path / "database.db")
    with sqlite3.connect(database) as connection:
        names = [(None, f"assay{n:02}", "M") for n in range(40)]
        connection.executemany("INSERT INTO sources VALUES (?, ?, ?)", names)
    connection.close()
    with pytest.raises(UnknownSource, match="assay18 and 23 more"):
        chosen(database, source="nothing like it")


def test_an_empty_selection_says_which_condition_emptied_it(catalog):
    with pytest.raises(EmptySelection) as raised:
        chosen(catalog, mut_num={"min": 1}, where=where("mutant", "=", "WT"))
    message = str(raised.value)
    assert "data.where.0 mutant = 'WT' lets none pass" in message
    assert "4 rows after data.source GB1" in message
    assert "3 rows after data.mut_num.min 1" in message


def test_all_values_that_do_not_fit_their_column_are_reported_at_once():
    """When the message comes in: the selection stage found them, when the id was used up."""
    conditions = [
        *where("source", "=", "GB1"),
        *where("mut_num", "like", "1%"),
        *where("mutant", "=", 0.5),
        *where("DMS_score", "in", [1, True]),
        *where("id", "<", 2**63),
        *where("mutant", "like", "%" * 2000),
    ]
    with pytest.raises(FlagError) as raised:
        parse_flags({"data.source": "GB1", "data.where": conditions})
    named = sorted(problem.split("`")[1].removesuffix(".value") for problem in raised.value.problems)
    assert named == [f"data.where[{index}]" for index in range(6)]


def test_more_values_than_sqlite_binds_are_refused(catalog):
    many = where("mutant", "in", [f"A{n}C" for n in range(9000)]) * 4
    with pytest.raises(FlagError, match="36,001 values"):
        chosen(catalog, where=many)


def test_reading_leaves_a_users_own_file_as_it_is(tmp_path):
    database = make_catalog(tmp_path / "database.db")
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    database.chmod(0o444)
    assert len(mutants(database)) == 4
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before
    assert [path.name for path in tmp_path.iterdir()] == ["database.db"]


def test_a_score_column_that_begins_with_nulls_and_whole_numbers_is_read_as_numbers(tmp_path):
    rows = [(n, "A1C", None if n < 3000 else n, None, 1, 1) for n in range(1, 6000)]
    database = make_catalog(tmp_path / "database.db", [*rows, (6000, "A1D", 0.25, "1", 1, 1)])
    scores = chosen(database).column("DMS_score")
    assert scores.null_count == 2999
    assert scores.to_pylist()[-2:] == [5999.0, 0.25]


def test_text_in_the_score_column_is_an_error_that_names_it(tmp_path):
    database = make_catalog(tmp_path / "database.db", [*ROWS, (8, "A1D", "n.d.", None, 1, 1)])
    with pytest.raises(CatalogError, match="`DMS_score` holds string values"):
        chosen(database)


@pytest.mark.parametrize("content", [b"", b"not a database at all, but a text" * 100])
def test_a_file_that_is_not_a_catalog_is_refused(tmp_path, content):
    path = tmp_path / "database.db"
    path.write_bytes(content)
    with pytest.raises(CatalogError, match=r"database\.db"):
        chosen(path)


def test_a_missing_catalog_is_refused_with_what_to_do_and_not_created(tmp_path):
    with pytest.raises(CatalogError, match="proteinx db import"):
        chosen(tmp_path / "database.db")
    assert not list(tmp_path.iterdir())


SNIPPETS = st.sampled_from(
    ["' OR 1=1 --", '" OR ""="', "; DROP TABLE mutations;", "GB1", "secret", "%", "_", "\\", "\\%",
     "' UNION SELECT", "A1C", "\x00", ")", "?", ":source", "ATTACH", "load_extension('x')", "é", "1"]
)  # fmt: skip
VALUES = st.one_of(
    st.lists(SNIPPETS, min_size=1, max_size=4).map("".join),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)


@st.composite
def hostile_conditions(draw):
    op = draw(st.sampled_from(OPERATORS))
    condition = {"column": draw(st.sampled_from(COLUMNS)), "op": op}
    if op == "between":
        condition["value"] = draw(st.lists(VALUES, min_size=2, max_size=2))
    elif op == "in":
        condition["value"] = draw(st.lists(VALUES, min_size=1, max_size=4))
    elif "like" in op:
        condition["value"] = str(draw(VALUES))
    elif "null" not in op:
        condition["value"] = draw(VALUES)
    return condition


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(hostile_conditions(), min_size=1, max_size=3), st.lists(VALUES.map(str), max_size=2))
@pytest.mark.slow
def test_no_filter_changes_the_catalog_or_reaches_another_source(catalog, conditions, bins):
    before = catalog.read_bytes()
    flags = {"source": "GB1", "where": conditions}
    if bins:
        flags["dms_score_bin"] = bins
    try:
        rows = chosen(catalog, **flags)
    except (EmptySelection, FlagError):
        rows = None
    assert rows is None or set(rows.column("source").to_pylist()) == {"GB1"}
    assert catalog.read_bytes() == before
    assert [path.name for path in Path(catalog).parent.iterdir()] == ["database.db"]


def test_a_value_that_looks_like_sql_is_just_a_value_that_matches_nothing(catalog):
    with pytest.raises(EmptySelection):
        chosen(catalog, where=where("mutant", "=", "' OR 1=1 --"))
    with pytest.raises(UnknownSource):
        chosen(catalog, source="GB1' OR 1=1 --")
