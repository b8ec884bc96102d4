"""Files as programs and people write them: what comes in, what is said of it, and what is refused with which words."""

import gzip
import io
import json
import zipfile

import openpyxl
import pandas as pd
import pytest

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.understood import ReadingOptions

TEMPLATE = "MSEQKTLDAVWRGHNPFYICKLAETSDVQMRNGIPWHKLF"
PAIR = [("A9C", 1.5), ("WT", 0.0)]


@pytest.fixture
def imported(tmp_path):
    """Rows of a file, and the report of its import."""

    def read(content, name="x.csv", template=TEMPLATE, **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        report = import_file(tmp_path / "database.db", path, template=template, **options)
        with open_for_reading(tmp_path / "database.db") as connection:
            rows = connection.execute("SELECT mutant, DMS_score FROM mutations ORDER BY id").fetchall()
            further = connection.execute("SELECT name, kind, value FROM further_scores").fetchall()
        return rows, report, further

    return read


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("Mutant\tFitness\r\nA9C\t1,5\r\nwt\t0\r\n".encode("utf-16"), id="UTF-16 of Excel"),
        pytest.param(
            "Mutant;Fitness\r\nA9C;1,5\r\nwt;0\r\n".encode("utf-16-le"), id="UTF-16 without its mark"
        ),
        pytest.param(
            '"Variant";"Score"\n"A9C";"1,5"\n"WT";"0"\n'.encode("utf-8-sig"), id="quoted, decimal comma"
        ),
        pytest.param(
            "MUTANT,dms_SCORE,note\nA9C,1.5,caf\xe9\nWT,0,\n".encode("latin-1"), id="Latin-1, odd case"
        ),
        pytest.param("mutant,score,注释\nA9C,1.5,突变\nWT,0,\n".encode("gb18030"), id="GB18030"),
        pytest.param("sep=;\nmutant;score\nA9C;1,5\nWT;0\n", id="sep= of Excel"),
        pytest.param("mutant;DMS_score\nA9C;1,5\nWT;0\n\n;;\n;\n", id="blank lines at the end"),
        pytest.param("Unnamed: 0,variant,value\n0,A9C,1.5\n1,WT,0\n", id="index"),
        pytest.param("mutant,DMS_score\nA9C,1.5\nmutant,DMS_score\nWT,0\n", id="header again"),
        pytest.param("mutant,mutant,score\nA9C,A9C,1.5\nWT,WT,0\n", id="equal columns"),
        pytest.param("A9C,1.5\nWT,0.0\n", id="no header"),
        pytest.param("mutant   score\nA9C     1.5\nWT  0\n", id="blanks"),
        pytest.param('"mutant" "score"\n"1" "A9C" 1.5\n"2" "WT" 0\n', id="write.table of R"),
        pytest.param("Table S1: fitness\n\nmutant,fitness\nA9C,1.5\nWT,0\n", id="title"),
        pytest.param("# one\n#two\nmutant|fitness\nA9C|1.5\nWT|0\n", id="comments and bars"),
        pytest.param("mutant,score\rA9C,1.5\rWT,0\r", id="line ends of old Macs"),
        pytest.param("mutant,score\nA9C,1.5 kcal/mol\nWT,0 kcal/mol\n", id="units"),
        pytest.param("mutant,activity\nA9C,1.5%\nWT,0 %\n", id="percent"),
        pytest.param("mutant,score\nala9cys,1.5\n_wt,0\n", id="three letters"),
        pytest.param("mutant,score\n9C,1.5\np.=,0\n", id="without the template's letter"),
        pytest.param(f"seq,target\n{TEMPLATE.replace('DAV', 'DCV')},1.5\n{TEMPLATE},0\n", id="sequences"),
        pytest.param(gzip.compress(b"mutant,DMS_score\nA9C,1.5\nWT,0\n"), id="gzip called csv"),
        pytest.param('[{"mutant": "A9C", "score": 1.5}, {"mutant": "WT", "score": 0}]', id="JSON records"),
        pytest.param('{"mutant": {"0": "A9C", "1": "WT"}, "score": {"0": 1.5, "1": 0}}', id="JSON of pandas"),
        pytest.param('{"mutant": "A9C", "score": 1.5}\n{"mutant": "WT", "score": 0}\n', id="JSON lines"),
        pytest.param('{"data": [["A9C", 1.5], ["WT", 0]], "columns": ["mutant", "score"]}', id="JSON split"),
        pytest.param(
            f">A9C score=1.5\n{TEMPLATE.replace('DAV', 'DCV')}\n>WT score=0\n{TEMPLATE}\n", id="FASTA"
        ),
        pytest.param(f">v1|1.5\n{TEMPLATE.replace('DAV', 'DCV')}\n>v0|0\n{TEMPLATE}\n", id="FASTA with bars"),
    ],
)
def test_every_form_gives_the_same_rows(imported, content):
    rows, _, _ = imported(content)
    assert rows == PAIR


def test_a_workbook_by_its_only_table_or_by_name(tmp_path, imported):
    book = openpyxl.Workbook()
    book.active.append(["notes of the laboratory"])
    sheet = book.create_sheet("fitness")
    for row in (
        ["Fitness of variants"],
        [],
        ["variant", "fitness", None],
        ["A9C", 1.5],
        ["WT", 0],
        [None, None],
    ):
        sheet.append(row)
    book.save(tmp_path / "book.xlsx")
    content = (tmp_path / "book.xlsx").read_bytes()
    rows, report, _ = imported(content, "a.xlsx")
    assert rows == PAIR
    assert report.understood["sheet"] == "fitness"
    assert imported(content, "b.xlsx", options=ReadingOptions(sheet="fitness"))[1].rows == 2
    with pytest.raises(CatalogError, match="has no sheet 'Fitness'; it has 'Sheet', 'fitness'"):
        imported(content, "c.xlsx", options=ReadingOptions(sheet="Fitness"))


@pytest.mark.parametrize("write", ["to_parquet", "to_feather"])
def test_columnar_files_with_other_names(tmp_path, imported, write):
    frame = pd.DataFrame({"variant": ["A9C", "WT"], "fitness": [1.5, 0.0]})
    getattr(frame, write)(tmp_path / "frame")
    assert imported((tmp_path / "frame").read_bytes(), "x.dat")[0] == PAIR


def zipped(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/").replace("_csv", ".csv"), text)
    return stream.getvalue()


def test_a_zip_of_one_file_is_read_and_of_several_asks_for_the_name(imported):
    assert imported(zipped(a__x_csv="mutant;score\nA9C;1,5\nWT;0\n"), "x.zip")[0] == PAIR
    both = zipped(a_csv="mutant,score\nA9C,1.5\n", b_csv="mutant,score\nWT,0\n")
    with pytest.raises(CatalogError, match=r"holds 2 files \(a.csv, b.csv\). Say which one with --sheet"):
        imported(both, "y.zip")
    assert imported(both, "z.zip", options=ReadingOptions(sheet="b.csv"))[1].rows == 1


def test_combinations_at_named_positions(imported):
    text = "Combo,fitness\nSEQK,0.5\nAEQK,1\nAEQC,2\n"
    with pytest.raises(CatalogError, match=r"4 letters in every row.*--positions P1,P2,P3,P4"):
        imported(text)
    rows, _, _ = imported(text, options=ReadingOptions(positions=(2, 3, 4, 5)))
    assert rows == [("WT", 0.5), ("S2A", 1.0), ("S2A:K5C", 2.0)]


def test_combinations_of_aldes_gb1_in_the_numbering_of_its_authors(imported):
    """Four sites of the 56-residue domain; the template may be a longer protein that counts from elsewhere."""
    domain = "MQYKLILNGKTLKGETTTEAVDAATAEKVFKQYANDNGVDGEWTYDDATKTFTVTE"
    text = "Combo,fitness\nVDGV,1.0\nAAAA,0.1\nIDGV,1.4459050863\n"
    rows, _, _ = imported(text, template=domain, options=ReadingOptions(positions=(39, 40, 41, 54)))
    assert rows == [("WT", 1.0), ("V39A:D40A:G41A:V54A", 0.1), ("V39I", 1.4459050863)]


def test_replicates_become_mean_and_deviation(imported):
    rows, report, further = imported("mutant,rep1,rep2,rep3\nA9C,1,2,3\nS2A,2,,4\nE3D,,,\n")
    assert rows == [("A9C", 2.0), ("S2A", 3.0), ("E3D", None)]
    assert ("deviation of 3 replicates", "deviation", 1.0) in further
    assert ("rep3", "replicate", 4.0) in further
    assert "the score is the mean of rep1, rep2, rep3" in report.understood["notes"][0]


def test_errors_and_other_scores_are_kept_beside_the_score(imported):
    text = "mutant,score,SE,Tm\nA9C,1.5,0.1,55.5\nWT,0,0.2,60\n"
    rows, report, further = imported(text, options=ReadingOptions(further_columns=("Tm",)))
    assert rows == PAIR
    assert ("SE", "standard error", 0.1) in further
    assert ("Tm", "score", 60.0) in further
    assert report.understood["columns"]["error"] == "SE"


@pytest.mark.parametrize(
    "text",
    [
        "site,wildtype,mutation,fitness\n9,A,C,1.5\n9,A,A,0\n",
        "wt_aa,Position,mut_aa,score\nAla,9,Cys,1.5\nAla,9,=,0\n",
        "pos\tmut\tscore\n9\tC\t1.5\n9\tA\t0\n",
    ],
)
def test_site_and_residues_in_columns_of_their_own(imported, text):
    rows, report, _ = imported(text)
    assert rows[0] == ("A9C", 1.5)
    assert rows[1][0] in ("WT", "A9A")
    assert "put together from the columns" in report.understood["notes"][0]


def test_a_column_of_positions_beside_mutants_changes_nothing(imported):
    assert imported("position,mutant,score\n9,A9C,1.5\n0,WT,0\n")[0] == PAIR


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        ("ATGAGCGAACAGAAAACCCTGGATGCGGTGTGGCGCGGCCATAACCCG", "is made of nucleotides; translate it first"),
        ("GSHMLEDPVDWWRNEYYGHHPPLLIIKKDDTTSSRRAAFFMM", "is another protein than the template"),
    ],
)
def test_sequences_of_something_else_are_no_variants(imported, sequence, expected):
    """Any two sequences have an account of edits that leads from one to the other."""
    with pytest.raises(CatalogError) as raised:
        imported(f"sequence,fitness\n{TEMPLATE},0.5\n{sequence},1.5\n")
    assert expected in str(raised.value)


def test_an_accented_letter_is_not_taken_for_chinese(imported):
    content = 'id;Mutation;Aktivität\n1;A9C;"1,5"\n2;WT;"0,0"\n'.encode("latin-1")
    rows, report, _ = imported(content)
    assert rows == PAIR
    assert report.understood["columns"]["score"] == "Aktivität"


def test_a_value_with_its_error(imported):
    rows, _, further = imported("mutant,score\nA9C,1.5 ± 0.2\nWT,0±0.1\n")
    assert rows == PAIR
    assert [value for _, _, value in further] == [0.2, 0.1]


def test_words_for_not_measured(imported):
    words = ["NA", "nan", "-", "", "N/A", "#N/A", "n.d.", "null"]
    rows, report, _ = imported("mutant,DMS_score\n" + "".join(f"A9C,{word}\n" for word in words) + "WT,1\n")
    assert [score for _, score in rows] == [None] * len(words) + [1.0]
    assert report.missing_scores == len(words)


def test_words_for_the_wild_type(imported):
    words = ["wt", "WT", "wild type", "Wild-Type", "_wt", "p.=", "p.(=)", "WildType", "_sy", "p.Ala9="]
    rows, _, _ = imported("mutant,DMS_score\n" + "".join(f"{word},1\n" for word in words) + "A9C,2\n")
    assert {mutant for mutant, _ in rows} == {"WT", "A9C"}


def test_an_empty_mutant_is_the_wild_type_where_that_is_certain(imported):
    assert imported("mutant,score\n,0.5\nA9C,1\n")[0] == [("WT", 0.5), ("A9C", 1.0)]
    with_sequence = f"mutant,sequence,score\n,{TEMPLATE},0.5\nWT,{TEMPLATE},1\n"
    assert imported(with_sequence, "y.csv")[1].rows == 2
    with pytest.raises(CatalogError, match="2 rows without a mutant"):
        imported("mutant,score\n,0.5\nA9C,1\n,2\n", "z.csv")


def test_what_cannot_be_had_is_named_by_kind_and_the_way_out(imported):
    text = (
        "accession,hgvs_nt,hgvs_pro,score\nu#1,c.5A>G,NA,1\nu#2,c.6A>G,p.Ala9Cys,2\nu#3,c.7del,p.Ala9fs,3\n"
        "u#4,c.8del,p.Ala9ValfsTer3,3\nu#5,c.9A>T,p.?,1\n"
    )
    with pytest.raises(CatalogError) as raised:
        imported(text)
    message = str(raised.value)
    assert "2 rows cannot be had: frame shifts" in message
    assert "1 row cannot be had: changes of nucleotides; translate them" in message
    assert "1 row cannot be had: unknown effects" in message
    assert message.endswith("--skip-bad imports the others.")
    rows, report, _ = imported(text, skip_bad=True)
    assert rows == [("A9C", 2.0)]
    assert report.understood["rows_left_out"] == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hgvs_nt,score\nc.5A>G,1\nc.6A>G,2\n", "have to be translated first"),
        ("mutant,a,b\nA9C,1.5,2.5\nS2A,1.1,2.2\n", "it could be 'a', 'b': name it with --score-column"),
        ("mutant,foo\nA9C,0\nS2A,1\nE3D,0\n", "it could be 'foo': name it with --score-column"),
        ("mutant,fitness\nA9C,5 nM\nS2A,3 µM\n", "in 2 units"),
        ("mutant\tscore\nA9C\t1,234\nS2A\t2,345\n", "could mark decimals or thousands"),
        ("mutant,mutant,score\nA9C,S2A,1\n", "there are 2 columns 'mutant'"),
        ("mutant,score\nA9C,1\nS2A,2,3\n", "line 3: 3 cells, the header has 2"),
        ('{"a": ', "is not JSON"),
        ("[1, 2]", "has no records"),
        ("PK\x03\x04 no archive", "cannot be read"),
        ("PAR1 no parquet", "cannot be read"),
        ("SQLite format 3\0", "is a database, not a table"),
        (">x\n", "has no sequence"),
    ],
)
def test_what_is_not_understood_is_asked_for(imported, text, expected):
    with pytest.raises(CatalogError) as raised:
        imported(text)
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0] * 30, "all 30 scores are 1"),
        ([k % 2 for k in range(30)], "the scores are 2 whole numbers (0, 1)"),
        (list(range(30)), "ranks, rather than measurements"),
        ([(0.5 + k / 50) * (100 if k % 2 else 1) for k in range(40)], "they may be in two scales"),
        ([k * 0.37 % 1 - 0.5 for k in range(40)], None),
    ],
)
def test_scores_that_are_hardly_measurements_are_pointed_out(imported, scores, expected):
    lines = "".join(f"{TEMPLATE[k % 40]}{k % 40 + 1}W,{score}\n" for k, score in enumerate(scores))
    _, report, _ = imported("mutant,DMS_score\n" + lines)
    assert (expected is None and not report.odd) or (len(report.odd) == 1 and expected in report.odd[0])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "t.fasta",
            f">sp|P12345|X_HUMAN Protein OS=Homo sapiens OX=9606 GN=X PE=1 SV=2\n{TEMPLATE[:9]}\n{TEMPLATE[9:]}\n",
        ),
        ("t.fa", f">WT\n{TEMPLATE}\n>other\nACD\n"),
        ("t.json", json.dumps({"template": TEMPLATE})),
        ("t.txt", f"{TEMPLATE}\n"),
        ("t.txt", f"{TEMPLATE[:10].lower()} {TEMPLATE[10:]}*\n"),
    ],
)
def test_a_template_from_a_file(tmp_path, imported, name, text):
    (tmp_path / name).write_text(text)
    assert imported("mutant,score\nA9C,1.5\nWT,0\n", template=str(tmp_path / name))[1].template == TEMPLATE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">a\nACD\n>b\nACE\n", "has 2 sequences"),
        ("AC-9", "a sequence of letters A-Z is expected"),
        (">a\n", "has no sequence"),
    ],
)
def test_a_template_file_that_is_none_is_refused(tmp_path, imported, text, expected):
    (tmp_path / "t.fasta").write_text(text)
    with pytest.raises(CatalogError, match=expected):
        imported("mutant,score\nA9C,1.5\n", template=str(tmp_path / "t.fasta"))


def test_a_template_beside_the_file_as_fasta(tmp_path, imported):
    (tmp_path / "x.fasta").write_text(f">x\n{TEMPLATE}\n")
    assert imported("mutant,score\nA9C,1.5\n", template=None)[1].template == TEMPLATE
