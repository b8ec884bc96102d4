"""Verbs on jobs: what each does in each state, twice as once, on one and on many."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, select, update

from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import SCHEMA
from proteinx_pipelines.master.jobs import verbs
from proteinx_pipelines.master.jobs.creating import JobRequest, check, create
from proteinx_pipelines.master.jobs.order import count_before, ordered
from proteinx_pipelines.master.jobs.states import ALL
from proteinx_pipelines.master.master import Master

RIDGE = {"data": {"source": "GB1"}, "model": {"name": "ridge"}}


def made(http: TestClient, **more: object) -> str:
    answer = http.post("/api/jobs", json={"flags": RIDGE, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["job_id"])


def put(master: Master, job_id: str, **values: object) -> None:
    """What dispatch would write."""
    master.database.write(lambda c: c.execute(update(jobs).where(jobs.c.job_id == job_id).values(**values)))


def line(http: TestClient) -> list[str]:
    """The waiting jobs, in their order."""
    page = http.get("/api/jobs", params={"state": "WAITING", "sort": "order"}).json()
    assert [job["position"] for job in page["items"]] == list(range(1, page["total"] + 1))
    return [job["job_id"] for job in page["items"]]


def test_a_waiting_job_is_cancelled_at_once_and_twice_is_as_once(http: TestClient) -> None:
    job = made(http)
    for _time in (1, 2):
        answer = http.post(f"/api/jobs/{job}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "CANCELLED")
    assert answer.json()["error"]["code"] == "cancelled"


def test_a_running_job_is_asked_to_end_and_stays_until_its_node_says_so(
    http: TestClient, master: Master
) -> None:
    job = made(http)
    put(master, job, state="RUNNING", node="n1")
    answer = http.post(f"/api/jobs/{job}/cancel").json()
    assert (answer["state"], answer["reason"]) == ("RUNNING", "it is being cancelled")
    with master.database.reading() as connection:
        assert connection.execute(select(jobs.c.cancel_requested)).scalar_one() is True


ALLOWED = {
    "cancel": {"HELD", "WAITING", "ASSIGNED", "RUNNING", "CANCELLED"},
    "hold": {"HELD", "WAITING"},
    "release": {"HELD", "WAITING"},
    "priority": {"HELD", "WAITING"},
    "move": {"HELD", "WAITING"},
    "retry": {"SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"},
    "clone": set(ALL),
    "delete": {"SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"},
    "restore": set(ALL),  # a job that is there stays
}


@pytest.mark.parametrize("verb", ALLOWED)
def test_each_verb_is_allowed_in_these_states_and_refused_by_name_in_all_others(
    verb: str, http: TestClient, master: Master
) -> None:
    other = made(http)
    more = {"priority": {"priority": 7}, "move": {"before": other}}.get(verb, {})
    for state in ALL:
        job = made(http)
        put(master, job, state=state, node="n1")
        outcome = http.post("/api/jobs/actions", json={"action": verb, "ids": [job], **more}).json()
        if state in ALLOWED[verb]:
            assert outcome["done"] == [job], (verb, state, outcome)
        else:
            assert outcome["refused"][0]["code"] == "wrong_state", (verb, state, outcome)
            assert state in outcome["refused"][0]["detail"]
    assert (
        http.post("/api/jobs/actions", json={"action": verb, "ids": ["j-0"], **more}).json()["refused"][0][
            "code"
        ]
        == "unknown_job"
    )


def test_a_job_moves_before_and_behind_another_and_takes_its_priority(http: TestClient) -> None:
    a, b, c = made(http), made(http), made(http, priority=5)
    assert line(http) == [c, a, b]
    http.patch(f"/api/jobs/{b}", json={"before": a})
    assert line(http) == [c, b, a]
    http.patch(f"/api/jobs/{a}", json={"before": c})
    assert line(http) == [a, c, b]
    http.patch(f"/api/jobs/{a}", json={"after": b})
    assert line(http) == [c, b, a]


def test_several_jobs_that_move_behind_one_keep_their_order(http: TestClient) -> None:
    a, b, c, d = (made(http) for _ in range(4))
    http.post("/api/jobs/actions", json={"action": "move", "ids": [a, b], "after": d})
    assert line(http) == [c, d, a, b]
    http.post("/api/jobs/actions", json={"action": "move", "ids": [a, b], "before": c})
    assert line(http) == [a, b, c, d]


def test_a_deadline_goes_before_none_and_the_least_slack_first(http: TestClient) -> None:
    none, late = made(http), made(http, deadline="2099-01-02T00:00:00Z")
    soon, urgent = made(http, slo_s=60), made(http, priority=1)
    assert line(http) == [urgent, soon, late, none]


def test_a_held_job_is_passed_over_and_keeps_its_place(http: TestClient) -> None:
    a, b = made(http), made(http)
    assert http.patch(f"/api/jobs/{a}", json={"held": True}).json()["state"] == "HELD"
    assert line(http) == [b]
    http.patch(f"/api/jobs/{a}", json={"held": False})
    assert line(http) == [a, b]


def test_a_retry_asked_for_twice_is_one_job_on_the_same_experiment(http: TestClient, master: Master) -> None:
    job = made(http, experiment_id="tried")
    put(master, job, state="FAILED")
    first, second = (http.post(f"/api/jobs/{job}/retry").json() for _ in range(2))
    assert first["job_id"] == second["job_id"] != job
    assert (first["experiment_id"], first["retry_of"]) == ("tried", job)
    assert first["flags"]["run"]["allow_duplicate"] is True


def test_a_clone_has_the_changed_flags_on_an_experiment_of_its_own(http: TestClient) -> None:
    job = made(http, experiment_id="first", priority=4)
    copy = http.post(f"/api/jobs/{job}/clone", json={"flags": {"split.method": "n_vs_rest"}}).json()
    assert copy["experiment_id"] != "first"
    assert (copy["flags"]["split"]["method"], copy["priority"]) == ("n_vs_rest", 4)
    wrong = http.post(f"/api/jobs/{job}/clone", json={"flags": {"split.methd": "n_vs_rest"}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_flags")


def test_a_filter_selects_the_jobs_of_a_verb(http: TestClient) -> None:
    a, b = made(http), made(http, flags={**RIDGE, "split": {"folds": 5}})
    done = http.post("/api/jobs/actions", json={"action": "hold", "filter": {"flag.split.folds": "5"}}).json()
    assert done["done"] == [b]
    assert line(http) == [a]


def test_the_same_key_gives_the_same_answer_and_another_body_is_refused(http: TestClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    answers = [http.post("/api/jobs", json={"flags": RIDGE}, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert http.get("/api/jobs").json()["total"] == 1
    other = http.post("/api/jobs", json={"flags": RIDGE, "priority": 1}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_batch_is_all_or_each(http: TestClient) -> None:
    wrong = {"flags": {"data.source": "GB1", "train.lrr": 1}}
    refused = http.post("/api/jobs/batch", json={"jobs": [{"flags": RIDGE}, wrong]})
    assert refused.status_code == 422
    assert "train.lrr" in refused.json()["detail"]
    twice = http.post("/api/jobs/batch", json={"jobs": [wrong, {"flags": {"train.lrr": 1}}]}).json()
    assert [each.partition(": ")[0] for each in twice["problems"]] == ["jobs[0]", "jobs[1]", "jobs[1]"]
    assert "2 of 2 jobs" in twice["detail"]
    assert http.get("/api/jobs").json()["total"] == 0
    each = http.post("/api/jobs/batch", json={"jobs": [{"flags": RIDGE}, wrong], "mode": "each"}).json()[
        "jobs"
    ]
    assert each[0]["state"] == "WAITING"
    assert each[1]["error"]["code"] == "bad_flags"
    assert http.get("/api/jobs").json()["total"] == 1


def test_what_a_change_would_compute_is_told_before_it_is_sent(http: TestClient, master: Master) -> None:
    job = made(http, experiment_id="e")
    assert http.post("/api/jobs/plan", json={"flags": RIDGE}).json()["compared_with"] is None
    put(master, job, state="SUCCEEDED")
    changed = {**RIDGE, "split": {"seed": 1}}
    plan = http.post("/api/jobs/plan", json={"flags": changed, "experiment_id": "e"}).json()
    assert plan["compared_with"] == job
    assert plan["to_compute"] == ["split", "train", "evaluate"]
    like = http.post("/api/jobs/plan", json={"flags": changed, "like": "j-none"})
    assert (like.status_code, like.json()["code"]) == (404, "unknown_job")


def test_a_job_is_cloned_without_a_body_as_it_is(http: TestClient) -> None:
    job = http.get(f"/api/jobs/{made(http)}").json()
    answer = http.post(f"/api/jobs/{job['job_id']}/clone")
    assert answer.status_code == 201
    assert answer.json()["flags"] == job["flags"]
    assert answer.json()["experiment_id"] != job["experiment_id"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"state": ["WAITING", "HELD"]}, 2),
        ({"state": "WAITING,HELD", "flag.split.folds": 5}, 1),
        ({"metric.test/spearman.min": 0.5}, 0),
        ({"flag.run.resume": True}, 2),
    ],
)
def test_a_filter_of_an_action_takes_values_as_json_has_them(
    wanted: dict[str, Any], found: int, http: TestClient
) -> None:
    made(http)
    made(http, flags={**RIDGE, "split": {"folds": 5}})
    answer = http.post("/api/jobs/actions", json={"action": "hold", "filter": wanted})
    assert len(answer.json()["done"]) == found


@pytest.mark.parametrize("empty", [{"state": []}, {"group": ""}, {"source": ["GB1", ""]}])
def test_a_filter_without_a_value_does_not_find_every_job(empty: dict[str, Any], http: TestClient) -> None:
    job = made(http)
    answer = http.post("/api/jobs/actions", json={"action": "cancel", "filter": empty})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_query")
    assert http.get(f"/api/jobs/{job}").json()["state"] == "WAITING"


def test_deleting_needs_an_administrator_and_an_unknown_verb_is_named(http: TestClient) -> None:
    answer = http.post("/api/jobs/actions", json={"action": "explode", "ids": []})
    assert answer.status_code == 422
    assert "cancel" in answer.json()["detail"]


@given(
    st.lists(st.integers(-2, 2), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.booleans()), max_size=30),
)
def test_moves_never_lose_a_job_and_put_it_beside_the_other_one(
    priorities: list[int], moves: list[tuple[int, int, bool]]
) -> None:
    engine = create_engine("sqlite://")
    SCHEMA.create_all(engine)
    with engine.begin() as connection:
        checked = [check(JobRequest(flags=RIDGE, priority=each)) for each in priorities]
        ids = [create(connection, each, caller="t") for each in checked]
        for a, b, is_before in moves:
            moved, other = ids[a % len(ids)], ids[b % len(ids)]
            verbs.move(connection, moved, **{"before" if is_before else "after": other})
            order = list(connection.execute(ordered(select(jobs.c.job_id))).scalars())
            assert sorted(order) == sorted(ids)
            if moved != other:
                assert order.index(other) - order.index(moved) == (1 if is_before else -1)
        for position, row in enumerate(connection.execute(ordered(select(jobs))).mappings()):
            assert count_before(connection, row) == position
