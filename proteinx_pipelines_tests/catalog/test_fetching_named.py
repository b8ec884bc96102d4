"""Named data sets come from a folder, from a mirror's address, or not at all; what they are stays with the source."""

import hashlib
import io
import json
import threading
import zipfile
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from proteinx_pipelines.catalog import downloading, named_data
from proteinx_pipelines.catalog.fetching_named import fetch_named
from proteinx_pipelines.catalog.numbering import source_understood
from proteinx_pipelines.errors import CatalogError, MissingFile, UnknownSource

TEMPLATE = "MSEQKTLDAVWRGHNPFYIC"
CODING = "ATGAGCGAACAGAAAACCCTGGATGCGGTGTGGCGCGGCCATAACCCGTTTTATATTTGCTAA"
SUBSTITUTIONS = (
    f"mutant,mutated_sequence,DMS_score,DMS_score_bin\nA9C,{TEMPLATE.replace('DAV', 'DCV')},1.5,1\n"
)
SCORES = "accession,hgvs_nt,hgvs_splice,hgvs_pro,score\nu#1,NA,NA,p.Ala9Cys,1.5\nu#2,NA,NA,p.Ala9fs,0\n"
SCORE_SET = {
    "title": "A made-up set",
    "license": {"shortName": "CC0"},
    "primaryPublicationIdentifiers": [{"identifier": "12345"}],
    "targetGenes": [{"targetSequence": {"sequenceType": "dna", "sequence": CODING}}],
}


def zipped(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in members.items():
            archive.writestr(f"splits/{name}.csv", text)
    return stream.getvalue()


@pytest.fixture
def mirror(tmp_path):
    """A folder with one data set of each kind."""
    root = tmp_path / "mirror"
    files = {
        "proteingym/DMS_ProteinGym_substitutions/TOY_Smith_2020.csv": SUBSTITUTIONS.encode(),
        "proteingym/DMS_ProteinGym_indels.zip": zipped(
            TOY_Indels_2021=f"mutated_sequence,DMS_score\n{TEMPLATE[:4]}{TEMPLATE[5:]},-1\n", other="x\n"
        ),
        "proteingym/DMS_indels.csv": f"DMS_id,target_seq\nother,ACD\nTOY_Indels_2021,{TEMPLATE}\n".encode(),
        "flip/gb1/splits.zip": zipped(
            two_vs_rest=f"sequence,target,set,validation\n{TEMPLATE},1,train,\n", b="x\n"
        ),
        "flip/gb1/5LDE_1.fasta": f">5LDE_1|Chain A\n{TEMPLATE}\n".encode(),
        "flip2/amylase/one_to_many.csv": f"sequence,target,set\n{TEMPLATE},1,train\n".encode(),
        "mavedb/urn_mavedb_00000001-a-1/scores.csv": SCORES.encode(),
        "mavedb/urn_mavedb_00000001-a-1/score-set.json": json.dumps(SCORE_SET).encode(),
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextmanager
def served(folder):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("name", "source", "options", "rows"),
    [
        ("proteingym:TOY_Smith_2020", "TOY_Smith_2020", {}, 1),
        ("proteingym-indels:TOY_Indels_2021", "TOY_Indels_2021", {}, 1),
        ("flip:gb1/two_vs_rest", "gb1_two_vs_rest", {}, 1),
        ("flip2:amylase/one_to_many", "amylase_one_to_many", {"template": TEMPLATE}, 1),
        ("urn:mavedb:00000001-a-1", "00000001-a-1", {"skip_bad": True}, 1),
    ],
)
@pytest.mark.parametrize("over_network", [False, True])
def test_each_collection_comes_from_a_folder_and_from_a_server(
    tmp_path, mirror, name, source, options, rows, over_network
):
    database = tmp_path / "database.db"
    if over_network:
        with served(mirror) as address:
            report = fetch_named(database, name, mirror=f"{address}/", **options)
    else:
        report = fetch_named(database, name, mirror=str(mirror), **options)
    assert (report.source, report.rows, report.template) == (source, rows, TEMPLATE)
    kept = source_understood(database, source)
    assert kept["fetched_as"] == name
    assert kept["licence"]
    assert "et al." in kept["citation"]
    path = mirror / kept["address"].split("mirror/")[-1] if not over_network else None
    if path:
        assert kept["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_published_address_is_asked_where_no_mirror_is_named(tmp_path, mirror, monkeypatch):
    with served(mirror) as address:
        monkeypatch.setattr(named_data, "_MAVEDB", f"{address}/api")
        place = mirror / "api" / "urn:mavedb:00000001-a-1"
        place.mkdir(parents=True)
        (place / "scores").write_text(SCORES)
        with pytest.raises(CatalogError):  # the folder's listing is no description
            fetch_named(tmp_path / "database.db", "urn:mavedb:00000001-a-1")
        report = fetch_named(
            tmp_path / "database.db", "urn:mavedb:00000001-a-1", template=TEMPLATE, skip_bad=True
        )
    assert report.rows == 1


def test_mavedb_says_its_own_licence_and_publication(tmp_path, mirror):
    report = fetch_named(
        tmp_path / "database.db", "urn:mavedb:00000001-a-1", mirror=str(mirror), source="mine", skip_bad=True
    )
    assert report.source == "mine"
    assert (report.understood["licence"], report.understood["title"]) == ("CC0", "A made-up set")
    assert report.understood["citation"].startswith("12345. ")


def test_what_cannot_be_had_says_where_it_was_looked_for(tmp_path, mirror):
    database = tmp_path / "database.db"
    with pytest.raises(MissingFile, match=r"DMS_ProteinGym_substitutions/NONE.csv, .*\.zip were looked for"):
        fetch_named(database, "proteingym:NONE", mirror=str(mirror))
    with served(mirror) as address, pytest.raises(MissingFile, match="404"):
        fetch_named(database, "proteingym:NONE", mirror=address)
    with pytest.raises(MissingFile, match=r"--from FOLDER"):
        fetch_named(database, "flip2:amylase/one_to_many")
    with pytest.raises(UnknownSource, match="urn:mavedb"):
        fetch_named(database, "gb1")
    assert not database.exists()


def test_a_file_without_end_is_given_up(tmp_path, mirror, monkeypatch):
    monkeypatch.setattr(downloading, "MOST_BYTES", 10)
    with pytest.raises(CatalogError, match="has more than"):
        fetch_named(tmp_path / "database.db", "proteingym:TOY_Smith_2020", mirror=str(mirror))
