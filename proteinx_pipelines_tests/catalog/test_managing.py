"""Sources are removed, renamed, written out and described."""

import json
import sqlite3
from contextlib import closing

import pandas as pd
import pytest

from proteinx_pipelines.catalog.describing import describe_source
from proteinx_pipelines.catalog.exporting import export_source
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.catalog.listing import list_sources
from proteinx_pipelines.catalog.managing import remove_source, rename_source
from proteinx_pipelines.cli.db_describe import described_lines, description_page
from proteinx_pipelines.errors import CatalogError, UnknownSource
from proteinx_pipelines.variant_files.understood import ReadingOptions

TEMPLATE = "MSEQKTLDAVWRGHNPFYIC"
TEXT = "mutant,score,rep_1,rep_2\nA14C,1.5,1,2\nA14C:W16L,0.25,0,0.5\nL12del,-1,,\nWT,0,0,0\nA14C,1.7,1,2.4\nS7A,,,\n"


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "assay.csv"
    path.write_text(TEXT)
    import_file(tmp_path / "database.db", path, template=TEMPLATE, offset=5)
    return tmp_path / "database.db"


def test_a_source_is_removed_with_all_that_belongs_to_it(database):
    assert remove_source(database, "assay") == 6
    assert list_sources(database) == []
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM further_scores").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM mutations").fetchone() == (0,)


def test_a_source_gets_another_name(database):
    rename_source(database, "assay", "other")
    assert [source.name for source in list_sources(database)] == ["other"]


def test_names_that_are_not_there_taken_or_none_are_refused(tmp_path, database):
    import_file(database, tmp_path / "assay.csv", template=TEMPLATE, offset=5, name="second")
    with pytest.raises(UnknownSource, match="Did you mean 'assay'"):
        remove_source(database, "asay")
    with pytest.raises(CatalogError, match="has a source 'second' already"):
        rename_source(database, "assay", "second")
    with pytest.raises(CatalogError, match="cannot name a source"):
        rename_source(database, "assay", "a\nb")
    with pytest.raises(CatalogError, match="is not there"):
        remove_source(tmp_path / "no.db", "assay")
    assert not (tmp_path / "no.db").exists()


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.tsv", "out.parquet", "out.feather"])
def test_what_is_written_out_comes_in_again_the_same(tmp_path, database, name):
    assert export_source(database, "assay", tmp_path / name) == 6
    document = json.loads((tmp_path / "out.json").read_text())
    assert (document["template"], document["offset"]) == (TEMPLATE, 5)
    again = tmp_path / "again.db"
    import_file(again, tmp_path / name, score_column="DMS_score")  # the offset stands beside the file
    query = "SELECT mutant, DMS_score, mut_num FROM mutations ORDER BY id"
    with closing(sqlite3.connect(database)) as one, closing(sqlite3.connect(again)) as other:
        assert one.execute(query).fetchall() == other.execute(query).fetchall()


def test_an_offset_beside_a_file_counts_unless_another_is_given(tmp_path):
    file = tmp_path / "own.csv"
    file.write_text("mutant,DMS_score\nA11C,1\nC12D,2\n")
    beside = tmp_path / "own.json"
    beside.write_text(json.dumps({"template": "ACD", "offset": 10}))
    assert import_file(tmp_path / "own.db", file).offset == 10
    with pytest.raises(CatalogError, match="All 2 rows fit with --offset 10, 0 as they are"):
        import_file(tmp_path / "own.db", file, offset=0, replace=True)
    with pytest.raises(CatalogError, match="--offset 10"):  # of another template
        import_file(tmp_path / "own.db", file, template="ACD", replace=True)
    for wrong in ("10", 1.5, True, None):
        beside.write_text(json.dumps({"template": "ACD", "offset": wrong}))
        with pytest.raises(CatalogError, match=r"`offset` in .*own\.json is .*; a whole number is expected"):
            import_file(tmp_path / "own.db", file, replace=True)


def test_an_export_has_both_numberings_and_what_stands_beside_the_score(tmp_path, database):
    export_source(database, "assay", tmp_path / "out.csv")
    frame = pd.read_csv(tmp_path / "out.csv")
    assert frame["mutant"].tolist()[:3] == ["A14C", "A14C:W16L", "L12del"]
    assert frame["template_mutant"].tolist()[:3] == ["A9C", "A9C:W11L", "L7del"]
    assert frame["rep_2"].tolist()[:2] == [2.0, 0.5]
    with pytest.raises(CatalogError, match="says no form"):
        export_source(database, "assay", tmp_path / "out.docx")


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_the_name_of_a_column_is_no_formula(tmp_path, ending):
    """A file of somebody else came in with a column `=HYPERLINK(...)`, and went out as it came."""
    evil = '=HYPERLINK("http://evil","x")'
    frame = pd.DataFrame({"mutant": ["A2C", "A2D"], "DMS_score": [1.0, 2.0], evil: [3.0, 4.0]})
    frame.to_csv(tmp_path / "in.csv", index=False)
    options = ReadingOptions(further_columns=(evil,))
    import_file(tmp_path / "a.db", tmp_path / "in.csv", template="MAC", options=options)
    export_source(tmp_path / "a.db", "in", tmp_path / f"out.{ending}")
    written = pd.read_csv(tmp_path / f"out.{ending}", sep="," if ending == "csv" else "\t")
    assert [*written.columns][-1] == f"'{evil}"
    assert written[f"'{evil}"].tolist() == [3.0, 4.0]


def test_a_description_counts_what_people_ask_for(database):
    found = describe_source(database, "assay")
    assert (found.offset, found.positions, found.singles, found.possible_singles, found.indels) == (
        5,
        3,
        2,
        380,
        1,
    )
    assert found.per_position == {"S7": 1, "A14": 3, "W16": 1}
    assert (found.replicates.mutants, found.replicates.rows) == (1, 2)
    assert found.replicates.deviation == pytest.approx(0.1 * 2**0.5)
    assert {(column.name, column.kind) for column in found.further} == {
        ("rep_1", "replicate"),
        ("rep_2", "replicate"),
    }
    text = "\n".join(described_lines(found))
    assert "positions covered         3 of 20" in text
    assert "1 mutants in 2 rows, standard deviation 0.1414" in text


def test_the_page_is_whole_and_escapes_what_a_file_says(tmp_path):
    path = tmp_path / "a<script>b.csv"
    path.write_text(
        "mutant,DMS_score\n" + "".join(f"{letter}{at}W,1\n" for at, letter in enumerate("MSEQ", start=1))
    )
    import_file(tmp_path / "database.db", path, template=TEMPLATE)
    page = description_page(describe_source(tmp_path / "database.db", "a<script>b"))
    assert "a&lt;script&gt;b" in page
    assert "a<script>b" not in page
    assert "all 4 scores are 1" in page
    assert "<meter" in page


def test_a_users_own_file_is_described_and_written_out(tmp_path):
    with closing(sqlite3.connect(tmp_path / "own.db")) as connection:
        connection.executescript("""
            CREATE TABLE sources(id INTEGER PRIMARY KEY, source_text TEXT UNIQUE NOT NULL, template TEXT NOT NULL);
            CREATE TABLE mutations(id INTEGER PRIMARY KEY, mutant TEXT NOT NULL, DMS_score REAL, DMS_score_bin TEXT,
                                   mut_num INTEGER NOT NULL, source INTEGER NOT NULL REFERENCES sources(id));
            INSERT INTO sources VALUES (7, 'mine', 'AAA');
            INSERT INTO mutations VALUES (70, 'A1C', 0.5, NULL, 1, 7);
        """)
    assert describe_source(tmp_path / "own.db", "mine").further == []
    assert export_source(tmp_path / "own.db", "mine", tmp_path / "mine.csv") == 1
