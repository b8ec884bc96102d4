"""A payload is imported once, whatever happens around it."""

import json
import multiprocessing
from pathlib import Path

import pytest

from proteinx_pipelines.catalog import payload
from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.catalog.payload import open_payload
from proteinx_pipelines.catalog.reading import source_names
from proteinx_pipelines.errors import CatalogError


@pytest.fixture
def csv_file(tmp_path):
    path = tmp_path / "gb1.csv"
    path.write_text("mutant,DMS_score\n" + "A1C,0.5\n" * 20_000)
    path.with_suffix(".json").write_text(json.dumps({"template": "ACD"}))
    return path


def test_a_catalog_is_used_as_it_is(tmp_path, csv_file):
    database = tmp_path / "own.sqlite"
    import_file(database, csv_file)
    assert open_payload(database, tmp_path / "cache") == database
    assert not (tmp_path / "cache").exists()


def test_a_data_file_is_imported_once_under_its_name(tmp_path, csv_file, monkeypatch):
    cached = open_payload(csv_file, tmp_path / "cache")
    assert source_names(cached) == ["gb1"]
    monkeypatch.setattr(payload, "import_file", None)
    assert open_payload(csv_file, tmp_path / "cache") == cached
    assert list((tmp_path / "cache").iterdir()) == [cached]


def test_other_content_another_template_or_another_name_is_another_catalog(tmp_path, csv_file):
    found = {open_payload(csv_file, tmp_path / "cache")}
    csv_file.with_suffix(".json").write_text(json.dumps({"template": "ACE"}))
    found.add(open_payload(csv_file, tmp_path / "cache"))
    csv_file.write_text("mutant,DMS_score\nWT,1\n")
    found.add(open_payload(csv_file, tmp_path / "cache"))
    renamed = csv_file.rename(tmp_path / "gb2.csv")
    renamed.with_suffix(".json").write_text(json.dumps({"template": "ACE"}))
    found.add(open_payload(renamed, tmp_path / "cache"))
    assert len(found) == 4


def test_a_bad_file_leaves_nothing_in_the_cache(tmp_path, csv_file):
    csv_file.write_text("mutant,DMS_score\nC1A,1\n")
    with pytest.raises(CatalogError, match="line 2"):
        open_payload(csv_file, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("mutant,DMS_score\nA227C,1\nC228D,2\nD229A,3\n", "--offset 226"),
        ("mutant,DMS_score\nA1C,1\nC2D,x\n", "--skip-bad"),
        (
            "first,second,DMS_score\nA1C,C2D,1\nA1D,C2A,2\n",
            "could be 'first', 'second': name it with --mutant-col",
        ),
        ("mutant,width,height\nA1C,1.5,1\nC2D,2.5,1.5\n", "--score-column"),
    ],
)
def test_a_payload_that_needs_an_option_says_where_options_are_taken(tmp_path, csv_file, text, option):
    """`proteinx train --payload` advised `--offset 226` and has no such option."""
    csv_file.write_text(text)
    with pytest.raises(CatalogError) as raised:
        open_payload(csv_file, tmp_path / "cache")
    assert option in str(raised.value)
    assert str(raised.value).endswith(
        "Payloads take no options: give them to `proteinx db import FILE`, and name the source in `data.source`."
    )
    csv_file.write_text("")
    with pytest.raises(CatalogError) as raised:
        open_payload(csv_file, tmp_path / "cache")
    assert "option" not in str(raised.value)


@pytest.mark.parametrize("name", ["nothing.csv", "notes.txt", "."])
def test_what_is_no_data_file_is_refused_by_name(tmp_path, name):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(CatalogError):
        open_payload(tmp_path / name, tmp_path / "cache")


def test_a_database_without_the_tables_is_refused(tmp_path, csv_file):
    database = tmp_path / "other.db"
    import_file(database, csv_file)
    import sqlite3

    with sqlite3.connect(database) as connection:
        connection.execute("DROP TABLE mutations")
    connection.close()
    with pytest.raises(CatalogError, match="`mutations` is missing"):
        open_payload(database, tmp_path / "cache")


def _open_when_all_are_ready(barrier, path, cache_dir, results):
    barrier.wait()
    results.put(open_payload(path, cache_dir))


def test_two_processes_may_import_the_same_file_at_once(tmp_path, csv_file):
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(2), context.Queue()
    workers = [
        context.Process(
            target=_open_when_all_are_ready, args=(barrier, csv_file, tmp_path / "cache", results)
        )
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    found: set[Path] = {results.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    (cached,) = found
    assert list((tmp_path / "cache").iterdir()) == [cached]
    assert source_names(cached) == ["gb1"]


@pytest.mark.parametrize("name", ["pypef.csv", "pypef.txt"])
def test_a_payload_may_have_any_form_that_an_import_reads(tmp_path, name):
    """A message has no options: form, columns and notation are found, the template lies beside the file."""
    path = tmp_path / name
    path.write_text("variant;fitness\nA1C;1,5\nA1C/C2D;0,25\n")
    path.with_suffix(".fasta").write_text(">toy\nACDEFGHIKL\n")
    opened = open_payload(path, tmp_path / "cache")
    with open_for_reading(opened) as connection:
        assert connection.execute("SELECT mutant, DMS_score FROM mutations").fetchall() == [
            ("A1C", 1.5), ("A1C:C2D", 0.25),
        ]  # fmt: skip
    path.with_suffix(".fasta").write_text(">toy\nACDEFGHIKLM\n")
    assert open_payload(path, tmp_path / "cache") != opened
