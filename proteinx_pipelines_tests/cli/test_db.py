"""`proteinx db` as a user types it."""

import json

import pytest
from click.testing import CliRunner

from proteinx_pipelines.cli.main import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROTEINX_WORKDIR", raising=False)
    (tmp_path / "gb1.csv").write_text("mutant,DMS_score,DMS_score_bin\nWT,1.5,1\nA1C,-1,0\nA1C:D3E,,\n")
    (tmp_path / "gb1.json").write_text(json.dumps({"template": "ACD"}))
    return tmp_path


def proteinx(*arguments, expect=0):
    result = CliRunner().invoke(main, ["db", *arguments])
    assert result.exit_code == expect, result.output
    return result


def test_import_list_and_show_work_on_the_workdirs_catalog(folder):
    assert "Imported gb1: 3 rows, 1 without a score" in proteinx("import", "gb1.csv").stdout
    assert (folder / "workdir_compute" / "database.db").is_file()
    listed = proteinx("list").stdout.split()
    assert {"gb1", "3", "1", "-1", "1.5"} <= set(listed)
    shown = proteinx("show", "gb1").stdout
    for text in ("3 residues\nACD", "A1C:D3E", "-1 to -0.875"):
        assert text in shown


def test_show_as_json_has_counts_that_add_up(folder):
    proteinx("import", "gb1.csv")
    document = json.loads(proteinx("show", "gb1", "--json").stdout)
    assert document["mutation_counts"] == {"0": 1, "1": 1, "2": 1}
    assert sum(document["histogram"]) == 2
    assert (document["edges"][0], document["edges"][-1]) == (-1.0, 1.5)
    assert document["summary"]["without_score"] == 1
    assert document["first_rows"][1]["mutant"] == "A1C"


def test_list_as_json_is_a_list_of_sources(folder):
    proteinx("import", "gb1.csv", "--database", "own.db")
    proteinx("import", "gb1.csv", "--database", "own.db", "--name", "[bold]gb2")
    document = json.loads(proteinx("list", "--json", "--database", "own.db").stdout)
    assert [source["name"] for source in document] == ["[bold]gb2", "gb1"]
    assert "[bold]gb2" in proteinx("list", "--database", "own.db").stdout
    assert not (folder / "workdir_compute").exists()


def test_a_source_without_scores_can_be_shown(folder):
    (folder / "gb1.csv").write_text("mutant,DMS_score\nWT,\n")
    proteinx("import", "gb1.csv")
    assert json.loads(proteinx("show", "gb1", "--json").stdout)["histogram"] == []
    assert "1 of them without a score" in proteinx("show", "gb1").stdout
    proteinx("list")


def test_every_bad_row_is_printed_and_the_command_fails(folder):
    (folder / "gb1.csv").write_text("mutant,DMS_score\nC1A,1\nA1C,x\nWT,1\n")
    error = proteinx("import", "gb1.csv", expect=1).stderr
    assert "line 2" in error
    assert "line 3" in error
    assert not (folder / "workdir_compute" / "database.db").exists()
    done = proteinx("import", "gb1.csv", "--skip-bad", "--most-bad", "70%")
    assert "Imported gb1: 1 rows" in done.stdout
    assert "Skipped 2 bad rows:\n  line 2" in done.stderr


def test_options_fit_another_file(folder):
    (folder / "x.csv").write_text("variant,fitness\nA11C,1\n")
    options = [
        "--template",
        "ACD",
        "--mutant-column",
        "variant",
        "--score-column",
        "fitness",
        "--offset",
        "10",
    ]
    proteinx("import", "x.csv", "--name", "mine", *options)
    proteinx("import", "x.csv", "--name", "mine", *options, expect=1)
    assert "Replaced mine" in proteinx("import", "x.csv", "--name", "mine", *options, "--replace").stdout
    first = json.loads(proteinx("show", "mine", "--json").stdout)["first_rows"][0]
    assert (first["mutant"], first["template_mutant"]) == ("A11C", "A1C")


def test_a_negative_offset_is_an_option_value(folder):
    proteinx("import", "gb1.csv", "--template", "WWACD", "--offset", "-2")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["list"], "proteinx db import"),
        (["show", "gb1"], "proteinx db import"),
        (["import", "nothing.csv"], "nothing.csv is not there"),
    ],
)
def test_what_cannot_be_done_is_one_message_with_what_to_do(folder, arguments, text):
    result = proteinx(*arguments, expect=1)
    assert text in result.stderr
    assert "Traceback" not in result.output


def test_an_unknown_source_is_answered_with_the_closest(folder):
    proteinx("import", "gb1.csv")
    assert "Did you mean 'gb1'?" in proteinx("show", "gb2", expect=1).stderr


def test_one_name_for_two_files_is_refused(folder):
    assert "--name" in proteinx("import", "gb1.csv", "gb1.csv", "--name", "x", expect=2).stderr
