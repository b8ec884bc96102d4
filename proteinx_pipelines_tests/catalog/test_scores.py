"""Several properties of one source, and conditions on mutants in the numbering of their people."""

import sqlite3
from contextlib import closing

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.catalog.late import that_pass
from proteinx_pipelines.catalog.listing import show_source
from proteinx_pipelines.catalog.reading import read_rows
from proteinx_pipelines.catalog.scores import source_scores
from proteinx_pipelines.cli.main import main
from proteinx_pipelines.errors import CatalogError, EmptySelection, UnknownScore
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.stages.selection import select_variants
from proteinx_pipelines.variant_files.understood import ReadingOptions

TEMPLATE = "ACDEFGHIKL"
TEXT = "mutant,fitness,stability,expression\nA6C,1,10,\nA6D,2,,200\nC7D:D8E,3,30,300\nWT,,40,400\n"
PROPERTIES = ReadingOptions(score_column="fitness", further_columns=("stability", "expression"))


@pytest.fixture
def database(tmp_path):
    (tmp_path / "assay.csv").write_text(TEXT)
    (tmp_path / "plain.csv").write_text("mutant,DMS_score\nA1C,0.5\nC2D,0.7\n")
    import_file(tmp_path / "d.db", tmp_path / "assay.csv", template=TEMPLATE, offset=5, options=PROPERTIES)
    import_file(tmp_path / "d.db", tmp_path / "plain.csv", template=TEMPLATE)
    return tmp_path / "d.db"


def chosen(database, **data):
    found = select_variants(database, parse_flags({"data": {"source": "assay", **data}}).data)
    return dict(zip(found.rows["mutant"].to_pylist(), found.rows["DMS_score"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("score", "values"),
    [(None, [1, 2, 3, None]), ("DMS_score", [1, 2, 3, None]), ("fitness", [1, 2, 3, None]),
     ("stability", [10, None, 30, 40]), ("expression", [None, 200, 300, 400])],
)  # fmt: skip
def test_the_chosen_score_stands_in_the_place_of_the_first(database, score, values):
    assert list(chosen(database, score=score).values()) == values
    assert list(chosen(database, score=score)) == ["A1C", "A1D", "C2D:D3E", "WT"]


def test_ranges_and_conditions_are_about_the_chosen_score(database):
    assert chosen(database, score="stability", dms_score={"min": 30}) == {"C2D:D3E": 30, "WT": 40}
    where = [{"column": "DMS_score", "op": "is null"}]
    assert list(chosen(database, score="expression", where=where)) == ["A1C"]


def test_a_score_that_a_source_lacks_is_named_with_those_it_has(database):
    with pytest.raises(
        UnknownScore, match=r"assay has fitness, stability, expression; did you mean 'stability'"
    ):
        chosen(database, score="stabilty")
    with pytest.raises(UnknownScore, match=r"no score of 1 of the sources:\n  plain has DMS_score"):
        chosen(database, source=["assay", "plain"], score="stability")
    assert chosen(database, source=["assay", "plain"], score="DMS_score")["C2D"] == 0.7


def test_sources_whose_first_score_is_the_chosen_one_keep_it(database, tmp_path):
    (tmp_path / "other.csv").write_text("mutant,stability\nA1C,7\n")
    import_file(database, tmp_path / "other.csv", template=TEMPLATE, score_column="stability")
    found = select_variants(
        database, parse_flags({"data.source": ["assay", "other"], "data.score": "stability"}).data
    )
    assert found.rows["DMS_score"].to_pylist() == [10, None, 30, 40, 7]


def test_properties_are_listed_replaced_and_gone_with_their_source(database, tmp_path):
    assert source_scores(database) == {
        "assay": ["fitness", "stability", "expression"],
        "plain": ["DMS_score"],
    }
    import_file(
        database, tmp_path / "assay.csv", template=TEMPLATE, offset=5, score_column="fitness", replace=True
    )
    assert source_scores(database)["assay"] == ["fitness"]


def test_a_users_own_file_has_its_one_score(tmp_path):
    path = tmp_path / "own.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """CREATE TABLE sources(id INTEGER PRIMARY KEY, source_text TEXT UNIQUE NOT NULL, template TEXT NOT NULL);
            CREATE TABLE mutations(id INTEGER PRIMARY KEY, mutant TEXT NOT NULL, DMS_score REAL, DMS_score_bin TEXT,
                                   mut_num INTEGER NOT NULL, source INTEGER NOT NULL REFERENCES sources(id));
            INSERT INTO sources VALUES (1, 'assay', 'ACD'); INSERT INTO mutations VALUES (1, 'A1C', 0.5, NULL, 1, 1);"""
        )
    assert source_scores(path) == {"assay": ["DMS_score"]}
    assert chosen(path, score="DMS_score") == {"A1C": 0.5}
    with pytest.raises(UnknownScore, match="assay has DMS_score"):
        chosen(path, score="stability")


def test_a_cell_that_is_no_number_is_a_bad_row_in_every_score(tmp_path):
    (tmp_path / "assay.csv").write_text(TEXT.replace("30,300", "x,300"))
    with pytest.raises(CatalogError, match="'x'"):
        import_file(
            tmp_path / "d.db", tmp_path / "assay.csv", template=TEMPLATE, offset=5, options=PROPERTIES
        )


def test_the_command_imports_and_shows_several_scores(tmp_path):
    (tmp_path / "assay.csv").write_text(TEXT)
    there = ["--database", str(tmp_path / "d.db")]
    options = ["--template", TEMPLATE, "--offset", "5", "--scores", "fitness, stability"]
    made = CliRunner().invoke(main, ["db", "import", str(tmp_path / "assay.csv"), *options, *there])
    assert made.exit_code == 0, made.output
    shown = CliRunner().invoke(main, ["db", "show", "assay", *there]).output
    assert "Scores: fitness, stability (data.score" in shown
    assert "numbered from 6" in shown
    assert "A6C" in shown
    (first, *_) = show_source(tmp_path / "d.db", "assay").first_rows
    assert (first["mutant"], first["template_mutant"]) == ("A6C", "A1C")


CONDITIONS = [
    ("=", "A6C", ["A1C"]), ("!=", "A6C", ["A1D", "C2D:D3E", "WT"]), ("in", ["A6C", "WT", "A1C"], ["A1C", "WT"]),
    ("like", "a6%", ["A1C", "A1D"]), ("not like", "%:%", ["A1C", "A1D", "WT"]), ("<", "A6D", ["A1C"]),
    ("between", ["A6D", "C7D:D8E"], ["A1D", "C2D:D3E"]), ("like", "A1%", []),
    ("is not null", None, ["A1C", "A1D", "C2D:D3E", "WT"]),
]  # fmt: skip


@pytest.mark.parametrize(("op", "value", "expected"), CONDITIONS)
def test_conditions_on_mutants_speak_the_numbering_of_the_source(database, op, value, expected):
    where = [{"column": "mutant", "op": op, **({} if value is None else {"value": value})}]
    if expected:
        assert list(chosen(database, where=where)) == expected
    else:
        with pytest.raises(EmptySelection, match=r"data.where.0 mutant like 'A1%' lets none pass"):
            chosen(database, where=where)


def test_each_source_is_asked_in_its_own_numbering(database):
    where = [
        {"column": "mut_num", "op": ">", "value": 0},
        {"column": "mutant", "op": "in", "value": ["A6C", "A1C"]},
    ]
    found = select_variants(
        database, parse_flags({"data": {"source": ["assay", "plain"], "where": where}}).data
    )
    assert list(zip(found.rows["source"].to_pylist(), found.rows["mutant"].to_pylist(), strict=True)) == [
        ("assay", "A1C"), ("plain", "A1C"),
    ]  # fmt: skip
    assert found.query["decided_on_the_rows"] == ["data.where.1 mutant in ('A6C', 'A1C')"]
    assert found.offsets == {"assay": 5}


TEXTS = st.text("ACac1%_\\:", max_size=5)


@given(
    st.lists(TEXTS, min_size=1, max_size=8),
    TEXTS,
    st.sampled_from(["=", "!=", "<", ">=", "like", "not like"]),
)
def test_decided_on_the_rows_is_what_sqlite_would_have_decided(texts, value, op):
    """SQLite compares texts byte by byte, and `like` takes upper and lower case for the same."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, mutant TEXT)")
        connection.executemany("INSERT INTO t(mutant) VALUES (?)", [(text,) for text in texts])
        escape = " ESCAPE '\\'" if "like" in op else ""
        if "like" in op and not _well_escaped(value):
            return
        sql = f"SELECT id FROM t WHERE mutant {op} ?{escape} ORDER BY id"
        expected = [row[0] for row in connection.execute(sql, (value,))]
    flags = parse_flags(
        {"data": {"source": "s", "where": [{"column": "mutant", "op": op, "value": value}]}}
    ).data
    rows = pa.table({"id": np.arange(1, len(texts) + 1), "source": ["s"] * len(texts), "mutant": texts})
    ((_, left),) = that_pass(rows, flags, frozenset([0]), {})
    assert left["id"].to_pylist() == expected


def _well_escaped(pattern):
    """Whether the escape character stands only before what it escapes; what else it does is nobody's promise."""
    return pattern.replace("\\\\", "").replace("\\%", "").replace("\\_", "").count("\\") == 0


def test_halves_of_many_rows_have_the_chosen_score_too(tmp_path, monkeypatch):
    from proteinx_pipelines.catalog import reading

    monkeypatch.setattr(reading, "MANY_ROWS", 10)
    lines = [f"A1{letter},{k},{10 * k}" for k, letter in enumerate("CDEFGHIKLMNPQRSTVWY")]
    (tmp_path / "assay.csv").write_text("mutant,DMS_score,other\n" + "\n".join(lines) + "\n")
    import_file(
        tmp_path / "d.db",
        tmp_path / "assay.csv",
        template="AC",
        options=ReadingOptions(further_columns=("other",)),
    )
    flags = parse_flags({"data.source": "assay", "data.score": "other"}).data
    rows = read_rows(tmp_path / "d.db", flags).rows
    assert rows["DMS_score"].to_pylist() == [10.0 * k for k in range(19)]
