"""Deleted jobs: gone from every list, put back as they were, and gone for good when their time is over."""

import json

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from proteinx_pipelines.clock import timestamp_before
from proteinx_pipelines.master.database.job_tables import artifacts, dispatches, job_logs, trash
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.jobs.trash import KEPT_S
from proteinx_pipelines.master.master import Master
from proteinx_pipelines_tests.master.experiments import end, new_job


@pytest.fixture
def trained(http: TestClient, master: Master) -> str:
    """An ended job on a node elsewhere, with a log, a file and a name."""
    job_id = new_job(master, "gb1", node="elsewhere")
    http.post(f"/api/jobs/{job_id}/logs", json={"lines": ["one"]})
    http.put(f"/api/jobs/{job_id}/artifacts/artifacts/model/model.npz", content=b"weights")
    end(master, job_id)
    assert http.put(f"/api/models/{job_id}/aliases/champion").status_code == 200
    return job_id


def rows(master: Master) -> dict[str, int]:
    """Rows of deleted jobs, by table."""
    with master.database.reading() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (trash, job_logs, artifacts, dispatches)
        }


def test_a_deleted_job_is_in_no_list_and_comes_back_as_it_was(http: TestClient, trained: str) -> None:
    address = f"/api/jobs/{trained}"
    before = http.get(address).json()
    for _time in (1, 2):
        http.delete(address, headers={"Idempotency-Key": "once"})
    assert http.get(address).status_code == 404
    assert http.get(f"{address}/logs").status_code == 404
    assert http.get("/api/jobs").json()["total"] == 0
    assert http.get("/api/models").json()["total"] == 0
    assert http.get("/api/models/champion").status_code == 404
    (gone,) = http.get("/api/trash").json()["items"]
    assert (gone["job_id"], gone["experiment_id"], gone["deleted_by"]) == (trained, "gb1", "local")
    assert 0 < gone["left_s"] <= KEPT_S
    for _time in (1, 2):
        assert http.post(f"{address}/restore").json() == before
    assert http.get("/api/trash").json()["items"] == []
    assert [json.loads(line)["text"] for line in http.get(f"{address}/logs").text.splitlines()] == ["one"]
    assert http.get(f"{address}/artifacts/artifacts/model/model.npz").content == b"weights"
    assert http.get("/api/models/champion").json()["model_id"] == trained
    told = [json.loads(line)["event"] for line in http.get(f"{address}/events").text.splitlines()]
    assert told[-2:] == ["job.deleted", "job.restored"]


def test_what_finds_a_job_goes_and_comes_with_it(http: TestClient, master: Master) -> None:
    """A deleted job's flags and metrics still found it, and the list had no row to show: an error of the server."""
    score = {"test/spearman": 0.5}
    kept, deleted = (new_job(master, name, node="n", summary=score) for name in ("kept", "deleted"))
    for job_id in (kept, deleted):
        end(master, job_id)
    filters: list[dict[str, str]] = [
        {"flag.data.source": "GB1"}, {"metric.test/spearman.min": "-1"}, {"sort": "-metric.test/spearman"},
        {"flag.data.source": "GB1", "state": "SUCCEEDED"},
    ]  # fmt: skip

    def found() -> list[set[str]]:
        pages = [http.get("/api/jobs", params=query).json() for query in filters]
        assert [page["total"] for page in pages] == [len(page["items"]) for page in pages]
        return [{job["job_id"] for job in page["items"]} for page in pages]

    assert found() == [{kept, deleted}] * 4
    http.delete(f"/api/jobs/{deleted}").raise_for_status()
    assert found() == [{kept}] * 4
    http.post(f"/api/jobs/{deleted}/restore").raise_for_status()
    assert found() == [{kept, deleted}] * 4


def test_a_name_that_another_model_has_got_stays_there(
    http: TestClient, master: Master, trained: str
) -> None:
    http.delete(f"/api/jobs/{trained}")
    other = new_job(master, "gb2", state="SUCCEEDED")
    http.put(f"/api/models/{other}/aliases/champion")
    http.post(f"/api/jobs/{trained}/restore")
    assert http.get("/api/models/champion").json()["model_id"] == other


def test_what_was_never_deleted_cannot_be_put_back(http: TestClient) -> None:
    answer = http.post("/api/jobs/j-0/restore")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_job")
    assert "7 days" in answer.json()["detail"]


def test_cleaning_leaves_a_deleted_job_alone_until_its_time_is_over(
    http: TestClient, master: Master, trained: str
) -> None:
    http.delete(f"/api/jobs/{trained}")
    there = rows(master)
    assert http.post("/api/admin/cleanup", json={"dry_run": False}).json()["items"] == []
    assert rows(master) == there
    old = {"deleted_at": timestamp_before(KEPT_S + 60)}
    master.database.write(lambda connection: connection.execute(update(trash).values(**old)))
    done = http.post("/api/admin/cleanup", json={"dry_run": False}).json()
    assert [(each["kind"], each["name"], each["bytes"]) for each in done["items"]] == [("job", trained, 7)]
    assert done["removed_bytes"] == 7
    assert set(rows(master).values()) == {0}
    assert http.post(f"/api/jobs/{trained}/restore").status_code == 404


def test_the_trash_is_emptied_by_hand_and_only_when_it_is_said(
    http: TestClient, master: Master, trained: str
) -> None:
    http.delete(f"/api/jobs/{trained}")
    looked = http.post("/api/admin/cleanup", json={"empty_trash": True}).json()
    assert [each["kind"] for each in looked["items"]] == ["job"]
    assert len(http.get("/api/trash").json()["items"]) == 1
    http.post("/api/admin/cleanup", json={"empty_trash": True, "dry_run": False})
    assert set(rows(master).values()) == {0}


def test_only_an_administrator_deletes_and_restores(open_master) -> None:
    secret = {"Authorization": "Bearer px_secret"}
    with TestClient(create_app(open_master(PROTEINX_TOKEN="px_secret"))) as http:
        made = http.post("/api/tokens", json={"name": "s", "scopes": ["submit"]}, headers=secret).json()
        token = {"Authorization": f"Bearer {made['token']}"}
        for action in ("delete", "restore"):
            answer = http.post("/api/jobs/actions", json={"action": action, "ids": ["j-0"]}, headers=token)
            assert answer.json()["code"] == "scope_missing"
