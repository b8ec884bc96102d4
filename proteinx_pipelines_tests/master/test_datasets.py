"""Data sets: uploaded in any form, checked before they are accepted, kept in versions, bounded."""

import gzip
import io
import os
import shutil
import time
import zipfile
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from proteinx_pipelines.catalog.listing import list_sources
from proteinx_pipelines.catalog.payload import open_payload
from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.files.fetching.registry import fetch, remote_file
from proteinx_pipelines.master.datasets import accepting, checking
from proteinx_pipelines.master.datasets.apart import Checker
from proteinx_pipelines.master.datasets.reading import ReadingWishes
from proteinx_pipelines.master.http import datasets as routes
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.http.bodies import Bounds
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.master.experiments import change, end, new_job

TEMPLATE = "MKVLAAGIT"
PLAIN = b"mutant,DMS_score\nK2A,0.5\nV3L,1.5\nK2A:V3L,-0.25\nG7S,\n"
GERMAN = "mutant;score\nK2A;0,5\nV3L;1,5\n".encode("utf-16")
HGVS = b"hgvs_pro\tscore\np.Lys2Ala\t0.5\np.Val3Leu\t1.5\n"
SHIFTED = b"mutant,DMS_score\nK102A,0.5\nV103L,1.5\n"


@pytest.fixture(scope="module", autouse=True)
def _no_process_stays():
    yield
    accepting.checker.close()


def workbook() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["mutant", "DMS_score"], ["K2A", 0.5], ["V3L", 1.5]):
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def upload(http: TestClient, content: bytes, **parameters: object):
    return http.post(
        "/api/datasets", params={"name": "mine", "template": TEMPLATE, **parameters}, content=content,
        headers={"Content-Type": "text/csv"},
    )  # fmt: skip


def is_empty(master: Master) -> bool:
    """True if no upload has left anything."""
    return not [*master.settings.uploads_dir.glob("*"), *master.settings.datasets_dir.glob("*")]


def test_an_upload_is_answered_with_what_was_understood(http: TestClient, master: Master):
    answer = upload(http, PLAIN)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["source"], found["name"], found["version"], found["rows"]) == ("mine", "mine", 1, 4)
    assert (found["missing_scores"], found["offset"], found["template"]) == (1, 0, TEMPLATE)
    assert found["understood"]["columns"] == {"mutant": "mutant", "score": "DMS_score"}
    assert sum(found["histogram"]["counts"]) == 3
    assert len(found["histogram"]["edges"]) == len(found["histogram"]["counts"]) + 1
    assert http.get(f"/api/datasets/{found['dataset_id']}").json() == found
    assert http.get("/api/datasets/mine").json() == found
    (listed,) = http.get("/api/datasets").json()["items"]
    assert (listed["dataset_id"], listed["rows"], "template" in listed) == (found["dataset_id"], 4, False)
    assert not list(master.settings.uploads_dir.glob("*"))


@pytest.mark.parametrize(
    ("content", "file_name"),
    [
        (GERMAN, "deutsch.csv"),
        (HGVS, "mavedb.tsv"),
        (gzip.compress(PLAIN), "a.csv.gz"),
        (workbook(), "b.xlsx"),
    ],
    ids=["german", "hgvs", "gzip", "workbook"],
)
def test_every_dialect_of_import_is_taken(http: TestClient, content: bytes, file_name: str):
    answer = upload(http, content, file_name=file_name)
    assert answer.status_code == 201, answer.text
    assert answer.json()["rows"] >= 2
    assert answer.json()["file_name"] == file_name
    saved = http.get(f"/api/datasets/{answer.json()['dataset_id']}/content")
    assert saved.content == content


def test_a_form_says_name_options_and_file(http: TestClient):
    answer = http.post(
        "/api/datasets", files={"file": ("gb1.csv", SHIFTED)}, data={"template": TEMPLATE, "offset": "100"}
    )
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["name"], found["source"], found["offset"]) == ("gb1", "gb1", 100)
    assert found["first_rows"][0]["mutant"] == "K102A"
    assert (
        http.post("/api/datasets", files={"f": ("a.csv", PLAIN)}, data={"tempalte": "M"}).status_code == 422
    )


def test_versions_are_told_apart_by_content_and_options(http: TestClient):
    first = upload(http, PLAIN).json()
    again = upload(http, PLAIN)
    assert (again.status_code, again.json()) == (200, first)
    second = upload(http, PLAIN + b"A5S,2\n").json()
    assert (second["version"], second["rows"]) == (2, 5)
    assert http.get("/api/datasets/mine").json()["version"] == 2
    assert http.get(f"/api/datasets/{first['dataset_id']}").json()["version"] == 1
    assert http.get("/api/datasets?q=MIN&size=1").json()["total"] == 2
    assert http.get("/api/datasets?q=%25").json()["total"] == 0


BAD = [
    (b"mutant,DMS_score\nW2A,0.5\nW3L,1\n", "W2A"),
    (b"mutant,DMS_score\nK2A,much\n", "much"),
    (b"", "empty"),
    (b"\x00\x01\x02" * 100, ""),
    (b"SQLite format 3\0" + b"x" * 200, ""),
]


@pytest.mark.parametrize(("content", "word"), BAD)
def test_a_file_that_cannot_be_used_is_refused_with_every_problem_and_nothing_is_kept(
    http: TestClient, master: Master, content: bytes, word: str
):
    answer = upload(http, content)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_catalog")
    assert word in answer.text
    assert str(master.settings.folder) not in answer.text
    assert "--" not in answer.json()["detail"]
    told = answer.json()["detail"].splitlines()
    assert len(told) == len(set(told)), "each problem is told once"
    assert http.get("/api/datasets").json()["total"] == 0
    assert is_empty(master)


def test_no_file_of_this_machine_is_read_as_a_template(http: TestClient, master: Master, monkeypatch):
    """`--template` takes a path too; over HTTP that would show any file."""
    monkeypatch.chdir(master.settings.folder)
    Path("MKV").write_text(TEMPLATE)
    assert upload(http, PLAIN, template="MKV").status_code == 422
    assert upload(http, PLAIN, template="/etc/passwd").json()["code"] == "bad_request"


@pytest.mark.parametrize("name", ["../../x", "a/b", "", "x" * 300, "a\x00b"])
def test_a_name_that_cannot_be_typed_is_refused(http: TestClient, master: Master, name: str):
    assert upload(http, PLAIN, name=name, file_name="" if not name else "a.csv").status_code == 422
    assert is_empty(master)


def test_a_file_name_never_leads_out(http: TestClient, master: Master):
    for file_name in (
        "../../evil.csv",
        "/etc/evil.csv",
        "..\\..\\evil.csv",
        ".hidden",
        "catalog.sqlite",
        "arriving",
    ):
        found = upload(http, PLAIN, name=f"n{len(file_name)}", file_name=file_name).json()
        assert http.get(f"/api/datasets/{found['dataset_id']}/content").content == PLAIN
    kept = {path.parent.parent for path in master.settings.datasets_dir.rglob("*") if path.is_file()}
    assert kept == {master.settings.datasets_dir}


def test_content_knows_ranges_and_conditions(http: TestClient):
    found = upload(http, PLAIN).json()
    address = f"/api/datasets/{found['dataset_id']}/content"
    answer = http.get(address, headers={"Range": "bytes=0-5"})
    assert (answer.status_code, answer.content) == (206, b"mutant")
    assert answer.headers["etag"] == f'"{found["sha256"]}"'
    assert http.get(address, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert http.head(address).headers["content-length"] == str(len(PLAIN))


def test_a_data_set_that_a_job_needs_stays_until_the_job_has_ended(http: TestClient, master: Master):
    found = upload(http, PLAIN).json()
    job_id = new_job(master)
    change(master, job_id, dataset=found["dataset_id"])
    address = f"/api/datasets/{found['dataset_id']}"
    assert http.delete(address).json()["code"] == "dataset_needed"
    end(master, job_id)
    assert http.delete("/api/datasets/mine").status_code == 404
    assert http.delete(address).status_code == 204
    assert http.get(address).status_code == 404
    assert is_empty(master)


def test_a_job_with_a_data_set_refers_to_a_catalog_by_its_digest(http: TestClient, master: Master):
    found = upload(http, SHIFTED, offset=100).json()
    flags = {"data.source": "mine", "model.name": "ridge"}
    job = http.post("/api/jobs", json={"flags": flags, "dataset": "mine"}).json()
    assert job["dataset"] == found["dataset_id"]
    assert job["payload_ref"] == f"px://sha256/{found['catalog_sha256']}/catalog.db"
    wrong = http.post("/api/jobs", json={"flags": {**flags, "data.source": "GB1"}, "dataset": "mine"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_flags")
    assert "'mine'" in wrong.json()["detail"]


@pytest.mark.parametrize("is_here", [True, False])
def test_a_node_fetches_the_catalog_by_its_digest_and_verifies_it(
    served: str, master: Master, tmp_path: Path, is_here: bool
):
    """From the folder of the Master on its machine, or over HTTP."""
    found = httpx.post(
        f"{served}/api/datasets", params={"name": "mine", "template": TEMPLATE}, content=PLAIN, timeout=60
    ).json()
    settings = master.settings.node
    if not is_here:
        settings = load_settings(
            {"PROTEINX_WORKDIR": str(tmp_path / "elsewhere"), "PROTEINX_MASTER": served}, tmp_path
        )
    reference = f"px://sha256/{found['catalog_sha256']}/catalog.db"
    remote = remote_file(settings, reference)
    path = fetch(settings, remote)
    assert path.is_relative_to(settings.workdir)
    assert open_payload(path, settings.paths.payloads_dir) == path
    assert [each.name for each in list_sources(path)] == ["mine"]
    place = master.settings.stored(found["catalog_sha256"])
    place.unlink()
    place.write_bytes(b"other")
    shutil.rmtree(settings.paths.fetched_dir)
    with pytest.raises(CorruptArtifact):
        fetch(settings, remote)
    assert not any(settings.paths.fetched_dir.glob("sha256-*"))


# ---------------------------------------------------------------------- bombs and limits
def zipped(content: bytes, name: str = "a.csv", level: int = 9) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


BOMB = PLAIN + b"K2A,0.5\n" * 14_000_000  # 112 MB, of which zip makes 300 KB
BOMBS = {
    "zip": lambda: zipped(BOMB),
    "gzip": lambda: gzip.compress(BOMB),
    "zip in zip": lambda: zipped(zipped(BOMB), "a.zip"),
}


@pytest.mark.parametrize("kind", sorted(BOMBS))
def test_a_bomb_is_refused(http: TestClient, master: Master, kind: str):
    content = BOMBS[kind]()
    assert len(content) < 400_000
    answer = upload(http, content, file_name=f"a.csv.{kind.split()[0]}")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_catalog")
    assert "unpacks to more than" in answer.json()["detail"]
    assert is_empty(master)


def test_a_file_that_takes_too_much_memory_ends_a_process_and_not_the_master(tmp_path: Path):
    """A table of 112 MB, which no limit of packed sizes concerns."""
    tight = Checker(most_memory=900_000_000)
    (tmp_path / "a.csv").write_bytes(BOMB)
    try:
        with pytest.raises(accepting.CatalogError, match="memory"):
            tight.check(
                tmp_path / "a.csv", tmp_path / "catalog", "a", ReadingWishes(template=TEMPLATE), 2_000_000_000
            )
        (tmp_path / "b.csv").write_bytes(PLAIN)
        found = tight.check(
            tmp_path / "b.csv", tmp_path / "b", "b", ReadingWishes(template=TEMPLATE), 2_000_000_000
        )
        assert found["rows"] == 4
    finally:
        tight.close()


def test_a_file_that_is_read_without_end_is_given_up(tmp_path: Path, monkeypatch):
    hasty = Checker(longest_s=0.01)
    (tmp_path / "b.csv").write_bytes(PLAIN)
    with pytest.raises(accepting.CatalogError, match="not ended within"):
        hasty.check(tmp_path / "b.csv", tmp_path / "b", "b", ReadingWishes(), 1_000)


def test_a_process_that_ended_meanwhile_is_no_error(tmp_path: Path):
    checker = Checker()
    (tmp_path / "b.csv").write_bytes(PLAIN)
    try:
        for number in range(2):
            wishes = ReadingWishes(template=TEMPLATE)
            assert checker.check(tmp_path / "b.csv", tmp_path / f"{number}", "b", wishes, 10**9)["rows"] == 4
            checker._processes._free[0].kill()
    finally:
        checker.close()


def test_a_cell_of_a_hundred_megabytes_is_refused(http: TestClient, master: Master):
    answer = upload(http, b"mutant,DMS_score\n" + b"K2A:" * 2_000_000 + b",1\n")
    assert answer.status_code == 422
    assert len(answer.content) < 20_000
    assert is_empty(master)


def test_a_form_without_a_token_is_small_and_the_file_itself_may_be_larger(
    served: str, master: Master, monkeypatch
):
    big = PLAIN + b"#" * 11_000_000
    form = httpx.post(f"{served}/api/datasets", files={"file": ("a.csv", big)}, timeout=60)
    assert (form.status_code, form.json()["code"]) == (413, "too_large")
    assert "as the body" in form.json()["detail"]
    monkeypatch.setattr(routes, "_bounds", lambda *_, **__: Bounds(1_000))
    raw = httpx.post(f"{served}/api/datasets?name=a", content=big, timeout=60)
    assert raw.status_code == 413
    assert is_empty(master)


def test_the_size_of_a_form_is_a_setting(open_master):
    with TestClient(create_app(open_master(PROTEINX_MASTER_MAX_FORM_MB="1"))) as client:
        answer = client.post("/api/datasets", files={"file": ("a.csv", PLAIN + b"#" * 1_000_000)})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "PROTEINX_MASTER_MAX_FORM_MB" in answer.json()["detail"]


def test_a_sender_that_goes_away_leaves_nothing(served: str, master: Master):
    def half():
        yield PLAIN
        raise ConnectionResetError

    with pytest.raises((httpx.HTTPError, ConnectionResetError)):
        httpx.post(f"{served}/api/datasets?name=a", content=half())
    for _ in range(100):
        if is_empty(master):
            break
        time.sleep(0.1)
    assert is_empty(master)
    assert httpx.get(f"{served}/api/datasets").json()["total"] == 0


def test_messages_speak_of_parameters():
    text = checking._in_words(
        f"{os.sep}x{os.sep}a.csv is bad. --skip-bad imports the others.", Path("/x/a.csv")
    )
    assert text == "a.csv is bad. `skip_bad` imports the others."


def test_only_the_newest_versions_are_listed_when_asked(http: TestClient, master: Master):
    from proteinx_pipelines.master.datasets.listing import list_datasets

    for content in (PLAIN, PLAIN + b"A5S,2\n"):
        upload(http, content)
    upload(http, PLAIN, name="other")
    with master.database.reading() as connection:
        found = list_datasets(connection, newest_only=True)
    assert {(each["name"], each["version"]) for each in found["items"]} == {("mine", 2), ("other", 1)}
    assert found["total"] == 2
