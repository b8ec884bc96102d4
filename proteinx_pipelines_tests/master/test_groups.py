"""Groups and sweeps: expanded, checked before anything is sent, counted, searched."""

import random

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.groups.expanding import Range, UnitRequest, variations
from proteinx_pipelines.master.groups.searching import go_on
from proteinx_pipelines.master.master import Master

GRID = {
    "flags": {"data.source": "GB1"},
    "grid": {"split.seed": [0, 1, 2], "model.name": ["ridge", "gp"]},
}


def unit_of(http: TestClient, unit: dict[str, object]) -> dict[str, object]:
    group = http.post("/api/groups", json={"name": "sweep"}).json()["group_id"]
    answer = http.post(f"/api/groups/{group}/units", json=unit)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_grid_is_submitted_once_and_counted(http: TestClient) -> None:
    unit = unit_of(http, GRID)
    assert (unit["state"], unit["counts"]["total"]) == ("NEW", 0)
    for _time in (1, 2):
        answer = http.post(f"/api/units/{unit['unit_id']}/submit").json()
        assert (answer["state"], answer["counts"]["total"]) == ("SUBMITTED", 6)
    found = http.get("/api/jobs", params={"unit": unit["unit_id"], "sort": "created_at"}).json()["items"]
    seen = [(job["flags"]["split"]["seed"], job["model"]) for job in found]
    assert seen == [(seed, model) for seed in (0, 1, 2) for model in ("ridge", "gp")]
    assert len({job["experiment_id"] for job in found}) == 6


def test_a_wrong_flag_of_one_experiment_refuses_the_unit_and_says_which(http: TestClient) -> None:
    group = http.post("/api/groups", json={"name": "sweep"}).json()["group_id"]
    wrong = {**GRID, "grid": {"model.alpha": [1.0, -1.0]}}
    answer = http.post(f"/api/groups/{group}/units", json=wrong)
    assert answer.status_code == 422
    assert "experiment 1" in answer.json()["detail"]
    assert http.get(f"/api/groups/{group}").json()["units"] == []


def test_the_table_of_a_group_has_what_differs_and_what_came_of_it(http: TestClient, master: Master) -> None:
    unit = unit_of(http, GRID)
    http.post(f"/api/units/{unit['unit_id']}/submit")
    values = {"state": "SUCCEEDED", "summary": {"test/spearman": 0.5}}
    master.database.write(lambda c: c.execute(update(jobs).values(**values)))
    table = http.get("/api/groups/sweep/results").json()
    assert table["columns"] == [
        "job_id",
        "experiment_id",
        "state",
        "model.name",
        "split.seed",
        "test/spearman",
    ]
    assert len(table["items"]) == 6
    assert http.get("/api/groups/sweep/results", params={"format": "xml"}).status_code == 422
    lines = http.get("/api/groups/sweep/results", params={"format": "csv"}).text.splitlines()
    assert len(lines) == 7
    assert http.get(f"/api/units/{unit['unit_id']}").json()["state"] == "ENDED"


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(), min_size=1, max_size=4), max_size=3))
def test_a_grid_has_every_combination_once(grid: dict[str, list[int]]) -> None:
    found = variations(UnitRequest(grid=grid))
    size = 1
    for values in grid.values():
        size *= len(values)
    assert len(found) == size
    assert all(each.keys() == grid.keys() for each in found)


@given(st.floats(1e-6, 1.0), st.floats(1.5, 1e6), st.booleans(), st.integers(0, 99))
def test_a_draw_stays_within_its_range(low: float, high: float, log: bool, seed: int) -> None:
    value = Range(low=low, high=high, log=log).draw(random.Random(seed))
    assert low * (1 - 1e-9) <= value <= high * (1 + 1e-9)


def test_a_draw_is_the_same_for_the_same_seed() -> None:
    unit = UnitRequest(draw={"train.lr": Range(low=1e-4, high=0.1, log=True)}, n=5, seed=3)
    assert variations(unit) == variations(unit) != variations(unit.model_copy(update={"seed": 4}))


def test_an_endless_grid_is_refused(http: TestClient) -> None:
    http.post("/api/groups", json={"name": "sweep"})
    many = {"grid": {f"ext.f{k}": list(range(100)) for k in range(5)}, "flags": {"data.source": "GB1"}}
    answer = http.post("/api/groups/sweep/units", json=many)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_unit")


def test_a_search_asks_what_to_try_next_and_goes_on_from_the_rows_alone(
    http: TestClient, master: Master
) -> None:
    """A Master that is killed between two trials has nothing to lose: no study is kept anywhere else."""
    pytest.importorskip("optuna")
    search = {
        "flags": {"data.source": "GB1", "model.name": "ridge"},
        "search": {"model.alpha": {"low": 1e-3, "high": 1e3, "log": True}},
        "n": 12,
        "at_once": 3,
    }
    unit = unit_of(http, search)
    http.post(f"/api/units/{unit['unit_id']}/submit")
    for _round in range(8):
        counts = http.get(f"/api/units/{unit['unit_id']}").json()["counts"]
        assert counts["total"] - counts["ended"] <= 3

        def end_all(connection) -> None:
            rows = connection.execute(select(jobs).where(jobs.c.state == "WAITING")).mappings().all()
            for row in rows:
                score = -abs(row["flags"]["model"]["alpha"] - 10.0)
                values = {"state": "SUCCEEDED", "summary": {"test/spearman": score}}
                connection.execute(update(jobs).where(jobs.c.job_id == row["job_id"]).values(**values))
            go_on(connection)

        master.database.write(end_all)
    done = http.get(f"/api/units/{unit['unit_id']}").json()
    assert (done["state"], done["counts"]["total"], done["counts"]["SUCCEEDED"]) == ("ENDED", 12, 12)
