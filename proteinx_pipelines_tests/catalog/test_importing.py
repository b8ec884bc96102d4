"""Files become sources, all or nothing: real assays, every kind of bad row, and a killed import."""

import gzip
import json
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines.catalog.checking import RowChecker
from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.catalog.parsing import RawRows
from proteinx_pipelines.catalog.writing import SCHEMA_VERSION
from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.notation import NotRead, read_mutant

ASSAYS = Path(__file__).parents[2] / "../shared/data/assays"
needs_assays = pytest.mark.skipif(
    not ASSAYS.is_dir(), reason="the shared data folder is not beside the project"
)
TEMPLATE = "ACDEFGHIKL"


@pytest.fixture
def database(tmp_path):
    return tmp_path / "node" / "database.db"


def csv_file(folder, text, name="assay.csv"):
    path = folder / name
    path.write_bytes(text.encode())
    return path


def rows_of(database):
    with open_for_reading(database) as connection:
        return connection.execute(
            "SELECT mutant, DMS_score, DMS_score_bin, mut_num, source FROM mutations"
        ).fetchall()


def contents(database):
    """Everything in the file, or None when there is none."""
    if not database.exists():
        return None
    connection = sqlite3.connect(database)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def refused(database, file, **options):
    """The problems of an import that must fail and leave the catalog as it was."""
    before = contents(database)
    with pytest.raises(CatalogError) as raised:
        import_file(database, file, **options)
    assert contents(database) == before
    return raised.value


@needs_assays
@pytest.mark.data
@pytest.mark.parametrize(
    "name", ["GB1_FLIP_four_sites", "GB1_Nisthal_2019", "TCRG1_MOUSE_Tsuboyama_2023_1E0L"]
)
def test_a_real_assay_comes_in_row_for_row(database, name):
    report = import_file(database, ASSAYS / f"{name}.csv.gz")
    expected = pd.read_csv(ASSAYS / f"{name}.csv.gz", dtype={"DMS_score_bin": str})
    assert (report.source, report.rows, report.problems) == (name, len(expected), ())
    found = pd.DataFrame(
        rows_of(database), columns=["mutant", "DMS_score", "DMS_score_bin", "mut_num", "source"]
    )
    for column in ("mutant", "DMS_score", "DMS_score_bin"):
        assert found[column].tolist() == expected[column].tolist()
    assert found["mut_num"].tolist() == (expected["mutant"].str.count(":") + 1).tolist()


@needs_assays
@pytest.mark.data
@pytest.mark.slow
def test_all_of_gb1s_four_sites_come_in(database):
    report = import_file(database, ASSAYS / "SPG1_STRSG_Wu_2016.csv.gz")
    assert report.rows == 149_360


@needs_assays
@pytest.mark.data
def test_the_template_is_rebuilt_from_the_sequences_as_the_authors_give_it(tmp_path, database):
    alone = tmp_path / "GB1.csv.gz"
    alone.write_bytes((ASSAYS / "GB1_FLIP_four_sites.csv.gz").read_bytes())
    report = import_file(database, alone)
    assert report.template == json.loads((ASSAYS / "GB1_FLIP_four_sites.json").read_text())["template"]


def test_a_catalog_is_made_with_its_index_and_version(tmp_path, database):
    import_file(database, csv_file(tmp_path, "mutant,DMS_score\nWT,1\n"), template=TEMPLATE)
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        names = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")
        }
    connection.close()
    assert "idx_mutations_source" in names


def test_a_users_own_file_takes_an_import_and_keeps_its_rows(tmp_path):
    database = tmp_path / "own.db"
    with sqlite3.connect(database) as connection:
        connection.executescript("""
            CREATE TABLE sources(id INTEGER PRIMARY KEY, source_text TEXT UNIQUE NOT NULL, template TEXT NOT NULL);
            CREATE TABLE mutations(id INTEGER PRIMARY KEY, mutant TEXT NOT NULL, DMS_score REAL, DMS_score_bin TEXT,
                                   mut_num INTEGER NOT NULL, source INTEGER NOT NULL REFERENCES sources(id));
            CREATE INDEX idx_mutations_source ON mutations(source);
            INSERT INTO sources VALUES (7, 'mine', 'AAA');
            INSERT INTO mutations VALUES (70, 'A1C', 0.5, NULL, 1, 7);
        """)
    connection.close()
    import_file(database, csv_file(tmp_path, "mutant,DMS_score\nA1D,1\n"), template=TEMPLATE)
    assert rows_of(database) == [("A1C", 0.5, None, 1, 7), ("A1D", 1.0, None, 1, 8)]


def test_a_newer_catalog_is_not_touched(tmp_path, database):
    import_file(database, csv_file(tmp_path, "mutant,DMS_score\nWT,1\n"), template=TEMPLATE)
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(CatalogError, match="schema version 99"):
        import_file(database, csv_file(tmp_path, "mutant,DMS_score\nWT,1\n"), template=TEMPLATE, name="b")
    assert len(rows_of(database)) == 1


def test_cells_become_what_they_mean(tmp_path, database):
    text = '\ufeffmutant,DMS_score,note,DMS_score_bin\r\nA1C, -1.5e-3 ,"x, y",high\r\nC2*,,,\r\nD3X:E4E,NaN,,0\r\n\r\n'
    report = import_file(database, csv_file(tmp_path, text), template=TEMPLATE)
    assert rows_of(database) == [
        ("A1C", -1.5e-3, "high", 1, 1),
        ("C2*", None, None, 1, 1),
        ("D3X:E4E", None, "0", 2, 1),
    ]
    assert (report.rows, report.missing_scores) == (3, 2)


def test_every_bad_row_is_named_with_its_line_and_nothing_is_imported(tmp_path, database):
    text = """mutant,mutated_sequence,DMS_score
        A1C,CCDEFGHIKL,1
        A1C,CCDEFGHIKK,1
        C1A,ACDEFGHIKL,1
        A99C,ACDEFGHIKL,1
        A1C:A1D,DCDEFGHIKL,1
        a1c,CCDEFGHIKL,1

        A1C,CCDEFGHIKL,high
        A1C,CCDEFGHIKL
        A1C,CCDEFGHIKL,inf
        ,CCDEFGHIKL,1
        A1C,CCD,1
        WT,ACDEFGHIKL,2
    """
    error = refused(database, csv_file(tmp_path, textwrap.dedent(text).replace(" ", "")), template=TEMPLATE)
    lines = {int(problem.split(":")[0].removeprefix("line ")): problem for problem in error.rows}
    expected = {
        3: "it has K at residue 10, L is expected",
        4: "'C1A' is written against a template that has A there",
        5: "'A99C' lies outside the template, which goes from 1 to 10",
        6: "it changes position 1 more than once",
        9: "the score 'high' is not a finite number",
        10: "2 cells, the header has 3",
        11: "the score 'inf' is not a finite number",
        12: "the mutant is empty",
        13: "has 3 residues, the template has 10",
    }
    assert lines.keys() == expected.keys()
    for line, text in expected.items():
        assert text in lines[line]
    assert "9 rows are bad, so nothing was imported" in str(error)
    causes = [
        problem
        for problem in error.problems
        if problem.startswith("2 rows whose sequence contradicts the mutant:")
    ]
    assert len(causes) == 1


def test_bad_rows_are_skipped_when_asked_and_still_reported(tmp_path, database):
    file = csv_file(tmp_path, "mutant,DMS_score\nA1C,1\nA2C,1\nWT,2\n")
    report = import_file(database, file, template=TEMPLATE, skip_bad=True, most_bad=0.5)
    assert [row[0] for row in rows_of(database)] == ["A1C", "WT"]
    assert [problem.split(":")[0] for problem in report.problems] == ["line 3"]
    assert "no row that can be imported" in str(
        refused(
            database,
            csv_file(tmp_path, "mutant,DMS_score\nA2C,1\n"),
            template=TEMPLATE,
            name="b",
            skip_bad=True,
        )
    )


def test_lines_stay_true_over_many_blocks_of_a_long_file(tmp_path, database):
    """Broken lines are missing from Arrow's batches; the numbers after them must not shift."""
    lines = ["mutant,DMS_score,note"] + [f"A1C,{n},{'x' * 100}" for n in range(90_000)]
    broken, bad, blank = (10, 40_000, 79_999), (11, 40_001, 80_001), (9, 60_000)
    for line in broken:
        lines[line - 1] = "A1C,1"
    for line in bad:
        lines[line - 1] = "A1C,no,x"
    for line in blank:
        lines[line - 1] = ""
    error = refused(database, csv_file(tmp_path, "\n".join(lines)), template=TEMPLATE)
    found = [int(problem.split(":")[0].removeprefix("line ")) for problem in error.rows]
    assert found == sorted([*broken, *bad])


def test_an_offset_maps_positions_of_a_longer_protein(tmp_path, database):
    file = csv_file(tmp_path, "mutant,DMS_score\nA227C,1\nA227C:D229G,2\nWT,0\n")
    error = refused(database, file, template=TEMPLATE)
    assert error.problems[0] == "All 2 rows fit with --offset 226, 0 as they are."
    import_file(database, file, template=TEMPLATE, offset=226)
    assert [row[0] for row in rows_of(database)] == ["A1C", "A1C:D3G", "WT"]


def test_an_offset_holds_for_the_sequences_and_the_rebuilt_template_too(tmp_path, database):
    text = "mutant,mutated_sequence,DMS_score\nA11C,CCDEFGHIKL,1\nK19R:A11D,DCDEFGHIRL,2\n"
    report = import_file(database, csv_file(tmp_path, text), offset=10)
    assert report.template == TEMPLATE
    assert [row[0] for row in rows_of(database)] == ["A1C", "K9R:A1D"]


def test_one_wrong_sequence_does_not_become_the_template(tmp_path, database):
    text = "mutant,mutated_sequence,DMS_score\nA1C,CCDEFGHIKK,1\nA1C,CCDEFGHIKL,1\nA1D,DCDEFGHIKL,2\n"
    error = refused(database, csv_file(tmp_path, text))
    assert [problem.split(":")[0] for problem in error.problems] == ["line 2"]


def test_the_template_beside_the_file_is_used_and_the_option_wins(tmp_path, database):
    file = csv_file(tmp_path, "mutant,DMS_score\nA1C,1\n")
    (tmp_path / "assay.json").write_text(json.dumps({"template": "AAA"}))
    assert import_file(database, file).template == "AAA"
    assert import_file(database, file, name="b", template="ACC").template == "ACC"


@pytest.mark.parametrize("document", ["[]", "{}", "not JSON", '{"template": 5}', '{"template": "ac1"}'])
def test_a_bad_template_beside_the_file_is_refused(tmp_path, database, document):
    (tmp_path / "assay.json").write_text(document)
    assert "assay.json" in str(refused(database, csv_file(tmp_path, "mutant,DMS_score\nA1C,1\n")))


def test_without_any_template_the_error_says_the_three_ways_to_give_one(tmp_path, database):
    message = str(refused(database, csv_file(tmp_path, "mutant,DMS_score\nA1C,1\n")))
    for way in ("--template", "assay.json", "`mutated_sequence`"):
        assert way in message


def test_a_source_is_replaced_only_when_asked(tmp_path, database):
    import_file(database, csv_file(tmp_path, "mutant,DMS_score\nA1C,1\nWT,1\n"), template=TEMPLATE)
    again = csv_file(tmp_path, "mutant,DMS_score\nC1D,2\n")
    assert "--replace" in str(refused(database, again, template="CCC"))
    report = import_file(database, again, template="CCC", replace=True)
    assert report.replaced
    assert rows_of(database) == [("C1D", 2.0, None, 1, 1)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "it is empty, without a column 'mutant'"),
        ("place,class\n1,1\n", "has the columns 'place', 'class'"),
        ("mutant,mutant,DMS_score\nA1C,A1D,1\n", "there are 2 columns 'mutant'"),
        ("mutant,DMS_score\n", "no row that can be imported"),
        ("mutant,DMS_score\nA1\xff,1\n".encode("latin-1"), "'A1ÿ' is not a mutation"),
    ],
)
def test_files_without_usable_rows_are_refused(tmp_path, database, text, expected):
    path = tmp_path / "assay.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert expected in str(refused(database, path, template=TEMPLATE))


def test_a_cut_gzip_file_imports_nothing(tmp_path, database):
    whole = gzip.compress(("mutant,DMS_score\n" + "".join(f"A1C,{n}\n" for n in range(5000))).encode())
    path = tmp_path / "assay.csv.gz"
    path.write_bytes(whole[:-40])
    assert "cannot be read" in str(refused(database, path, template=TEMPLATE))


def test_columns_may_have_other_names(tmp_path, database):
    file = csv_file(tmp_path, "variant,fitness,class\nA1C,1,x\n")
    options = {"template": TEMPLATE, "mutant_column": "variant", "score_column": "fitness"}
    assert "there is no column 'klass'" in str(refused(database, file, **options, bin_column="klass"))
    import_file(database, file, **options, bin_column="class")
    assert rows_of(database) == [("A1C", 1.0, "x", 1, 1)]


@pytest.mark.parametrize("text_type", ["string[pyarrow]", "object", "category"])
def test_parquet_comes_in_like_csv(tmp_path, database, text_type):
    frame = pd.DataFrame({
        "mutant": pd.Series(["A1C", "WT", "A1C:C2D"], dtype=text_type),
        "DMS_score": [0.1, None, 3.0],
        "DMS_score_bin": [1.0, None, 0.0],
    })  # fmt: skip
    frame.to_parquet(tmp_path / "assay.parquet")
    import_file(database, tmp_path / "assay.parquet", template=TEMPLATE)
    assert rows_of(database) == [
        ("A1C", 0.1, "1", 1, 1),
        ("WT", None, None, 0, 1),
        ("A1C:C2D", 3.0, "0", 2, 1),
    ]


def test_bad_rows_of_parquet_are_named_by_row(tmp_path, database):
    pd.DataFrame({"mutant": ["A1C", "A2C"], "DMS_score": [1.0, float("inf")]}).to_parquet(
        tmp_path / "a.parquet"
    )
    error = refused(database, tmp_path / "a.parquet", template=TEMPLATE)
    assert [problem.split(":")[0] for problem in error.rows] == ["row 2"]
    assert "'A2C'" in error.problems[0]
    assert "inf" in error.problems[0]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 300])
def test_a_name_that_nobody_could_type_again_is_refused(tmp_path, database, name):
    file = csv_file(tmp_path, "mutant,DMS_score\nA1C,1\n")
    assert "cannot name a source" in str(refused(database, file, template=TEMPLATE, name=name))


@pytest.mark.slow
def test_a_killed_import_leaves_the_old_catalog(tmp_path, database):
    """SIGKILL after rows have been spilled to the file: its journal must bring the old pages back, for readers too."""
    import_file(database, csv_file(tmp_path, "mutant,DMS_score\nWT,1\n"), template=TEMPLATE)
    file = csv_file(tmp_path, "mutant,DMS_score\n" + "A1C,1\n" * 150_000, "long.csv")
    script = f"""
        import os, signal
        from pathlib import Path
        from proteinx_pipelines.catalog import importing
        add = importing._Filling.add
        def dying(self, *batch):
            add(self, *batch)
            if self.n_rows > 60_000:
                self._writer.run("PRAGMA cache_size = 10")
                add(self, *batch)
                os.kill(os.getpid(), signal.SIGKILL)
        importing._Filling.add = dying
        importing.import_file(Path({str(database)!r}), Path({str(file)!r}), template={TEMPLATE!r})
    """
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=root, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert database.with_name("database.db-journal").exists()
    assert rows_of(database) == [("WT", 1.0, None, 0, 1)]
    import_file(database, csv_file(tmp_path, "mutant,DMS_score\nA1C,1\n", "b.csv"), template=TEMPLATE)
    assert len(rows_of(database)) == 2


LETTERS = st.sampled_from("ACDEFGHIKLMX*")
ANY_MUTATION = st.builds(lambda a, p, b: f"{a}{p}{b}", LETTERS, st.integers(0, 12), LETTERS)
GOOD_MUTATION = st.builds(lambda p, b: f"{TEMPLATE[p - 1]}{p}{b}", st.integers(1, 10), LETTERS)


@settings(max_examples=60)
@given(
    st.lists(
        st.lists(st.one_of(ANY_MUTATION, GOOD_MUTATION), min_size=1, max_size=3).map(":".join), min_size=1
    )
)
def test_whole_columns_and_single_texts_agree_on_which_rows_are_bad(mutants):
    """The bulk check finds bad rows, the reader of texts says why: neither may know one that the other does not."""
    raw = RawRows(
        np.arange(len(mutants)),
        pa.array(mutants),
        pa.array([1.0] * len(mutants)),
        pa.nulls(len(mutants)),
        None,
    )
    bad = []
    for mutant in mutants:
        try:
            read_mutant(mutant, TEMPLATE, 0)
        except NotRead:
            bad.append(mutant)
    assert (RowChecker(TEMPLATE, 0).check(raw) is None) == bool(bad)


def test_a_file_full_of_bad_rows_is_refused_in_a_few_lines_and_the_remedy_comes_first(tmp_path, database):
    """Each of 2,000 bad rows once had its sentence in the error, and so in the result and in every database."""
    rows = "".join(f"A227C,{'x' * 5_000}\n" if n == 3 else "A227C,1\n" for n in range(2_000))
    error = refused(database, csv_file(tmp_path, "mutant,DMS_score\n" + rows), template=TEMPLATE)
    lines = str(error).splitlines()
    assert len(error.rows) == 2_000
    assert len(lines) == 4
    assert max(map(len, lines)) < 700
    assert "2,000 rows are bad" in lines[0]
    assert lines[1].strip() == "All 2,000 rows fit with --offset 226, 0 as they are."
    assert lines[2].strip().startswith("2,000 rows beyond the ends of the template: line 2: ")
    assert lines[2].endswith("and 1,997 more")


def test_bad_rows_beyond_the_listed_ones_are_counted(tmp_path, database, monkeypatch):
    monkeypatch.setattr("proteinx_pipelines.catalog.importing.MAX_PROBLEMS", 60)
    file = csv_file(tmp_path, "mutant,DMS_score\n" + "A1C,x\n" * 100 + "WT,1\n")
    error = refused(database, file, template=TEMPLATE)
    assert "100 rows are bad" in str(error)
    assert "and 97 more" in str(error)
    report = import_file(database, file, template=TEMPLATE, skip_bad=True, most_bad=1)
    assert (len(report.problems), report.problems[-1]) == (61, "and 40 more")


@pytest.mark.parametrize("score", ["1e400", "-1e400", "1e999999999999", "9" * 400])
def test_a_score_beyond_every_number_is_a_bad_row_like_others(tmp_path, database, score):
    file = csv_file(tmp_path, f"mutant,DMS_score\nWT,1\nA1C,{score}\nA1D,1e-400\n")
    (problem,) = refused(database, file, template=TEMPLATE).problems
    assert problem.startswith(f"line 3: the score {score!r} is not a finite number")


def test_a_template_file_with_a_byte_order_mark_is_read(tmp_path, database):
    (tmp_path / "assay.json").write_text(json.dumps({"template": TEMPLATE}), encoding="utf-8-sig")
    assert import_file(database, csv_file(tmp_path, "mutant,DMS_score\nA1C,1\n")).template == TEMPLATE


@pytest.mark.parametrize("score", ["DMS_score", "fitness"])  # the plain form, and any other
def test_a_file_of_several_assays_or_templates_is_not_taken_for_one_without_a_word(tmp_path, score):
    """Scores of two assays in one file were averaged; two templates in it were `not known`."""
    path = csv_file(tmp_path, f"mutant,{score},assay\nA1C,1,first\nA1C,5,second\n")
    path.with_suffix(".json").write_text(json.dumps({"template": TEMPLATE}))
    report = import_file(tmp_path / "own.db", path)
    assert [said for said in report.odd if "the column 'assay' has 2 values (first, second)" in said]
    path = csv_file(tmp_path, f"mutant,{score},assay\nA1C,1,first\nC2D,5,first\n")
    assert not any("assay" in said for said in import_file(tmp_path / "own.db", path, replace=True).odd)

    text = f"mutant,{score},template\nA1C,1,{TEMPLATE}\nA1D,5,{TEMPLATE[:-1]}\n"
    with pytest.raises(
        CatalogError, match=r"column of templates has 2 different sequences.* a file for each"
    ):
        import_file(tmp_path / "own.db", csv_file(tmp_path, text, "two.csv"))
    text = f"mutant,{score},wildtype\nA1C,1,A\nC2D,5,C\n"
    assert import_file(tmp_path / "own.db", csv_file(tmp_path, text, "w.csv"), template=TEMPLATE).rows == 2
