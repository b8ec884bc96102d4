"""Pages of jobs: filters, order, what a wrong query is told."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, insert, update

from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import groups, nodes
from proteinx_pipelines.master.jobs import source_lists
from proteinx_pipelines.master.jobs.listing import JobFilter, list_jobs
from proteinx_pipelines.master.jobs.metric_rows import write_metrics
from proteinx_pipelines.master.jobs.ordering import numbers_of
from proteinx_pipelines.master.master import Master


@pytest.fixture
def three(http: TestClient, master: Master) -> list[str]:
    """GB1 by ridge (0.9, on n1), GB1 by gp (0.5), GFP by ridge, which waits."""
    wanted = [
        {"flags": {"data.source": "GB1", "model.name": "ridge"}, "experiment_id": "one", "group": "sweep"},
        {"flags": {"data.source": "GB1", "model.name": "gp", "train.seed": 3}, "experiment_id": "two"},
        {"flags": {"data.source": "GFP", "model.name": "ridge"}, "experiment_id": "three_50"},
    ]
    ids = [http.post("/api/jobs", json=each).json()["job_id"] for each in wanted]

    def ends(connection) -> None:
        for job, score, node in ((ids[0], 0.9, "n1"), (ids[1], 0.5, "n2")):
            values = {"state": "SUCCEEDED", "summary": {"test/spearman": score}, "node": node}
            connection.execute(update(jobs).where(jobs.c.job_id == job).values(**values))
            write_metrics(connection, job, values["summary"])

    master.database.write(ends)
    return ids


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["three_50", "two", "one"]),
        ({"state": "succeeded"}, ["two", "one"]),
        ({"state": "WAITING,SUCCEEDED", "sort": "created_at"}, ["one", "two", "three_50"]),
        ({"q": "GF"}, ["three_50"]),
        ({"q": "gfp"}, ["three_50"]),
        ({"q": "T"}, ["three_50", "two"]),
        ({"q": "t", "size": "1", "page": "2"}, ["two"]),
        ({"q": "t", "size": "1", "page": "3"}, []),
        ({"q": "t", "sort": "metric.test/spearman"}, ["two", "three_50"]),
        ({"q": "%"}, []),
        ({"q": "_"}, ["three_50"]),
        ({"source": "GB1", "model": "gp"}, ["two"]),
        ({"node": "n1"}, ["one"]),
        ({"flag.train.seed": "3"}, ["two"]),
        ({"flag.train.seed": "3.0"}, ["two"]),
        ({"flag.data.source": "GFP"}, ["three_50"]),
        ({"flag.run.resume": "true"}, ["three_50", "two", "one"]),
        ({"metric.test/spearman.min": "0.6"}, ["one"]),
        ({"metric.test/spearman.max": "0.6"}, ["two"]),
        ({"sort": "-metric.test/spearman"}, ["one", "two", "three_50"]),
        ({"sort": "metric.test/spearman"}, ["two", "one", "three_50"]),
        ({"since": "2999-01-01"}, []),
        ({"since": "2999-01-01T00:00:00+14:00"}, []),
        ({"since": "1h", "until": "2999-01-01T00:00:00Z"}, ["three_50", "two", "one"]),
        ({"until": "1h"}, []),
        ({"group": "sweep"}, ["one"]),
        ({"group": "swee"}, []),
        ({"q": "SWEE"}, ["one"]),
        ({"size": "2", "page": "2"}, ["one"]),
    ],
)
def test_a_filter_finds_these(
    query: dict[str, str], found: list[str], http: TestClient, three: list[str]
) -> None:
    answer = http.get("/api/jobs", params=query)
    assert answer.status_code == 200, answer.text
    assert [job["experiment_id"] for job in answer.json()["items"]] == found
    if "page" not in query:
        assert answer.json()["total"] == len(found)


SOURCES = {
    "alone": ["GB1"],
    "first": ["GB1", "GFP"],
    "last": ["GFP", "GB1"],
    "between": ["GFP", "GB1", "TRPB"],
    "alike": ["GB1_2"],
    "others": ["GFP", "GB1_2"],
    "long": ["L" * 300, "GB1"],
}


def test_a_source_is_found_alone_and_among_others(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job on two data sets was in no list of either."""
    for name, sources in SOURCES.items():
        for again in ("", "-2"):  # a list is known by then
            asked = {"flags": {"data.source": sources}, "experiment_id": f"{name}{again}"}
            assert http.post("/api/jobs", json=asked).status_code == 201
    config = {"name": "run", "config": {"source": ["GB1", "MINE"]}}
    http.post("/api/runs", json=config).raise_for_status()

    def found(**query: str) -> set[str]:
        page = http.get("/api/jobs", params={"size": 100, **query}).json()
        assert page["total"] == len(page["items"])
        return {job["experiment_id"].removesuffix("-2") for job in page["items"]}

    assert found(source="GB1") == {"alone", "first", "last", "between", "long", "run"}
    assert found(source="GFP") == {"first", "last", "between", "others"}
    assert found(source="GB1", state="WAITING", sort="source") == found(source="GB1") - {"run"}
    assert found(source="L" * 300) == {"long"}
    assert found(source="MINE") == {"run"}
    assert found(source="GB1, GFP") == {"first"}
    assert found(source="GB") == found(source="%") == found(source=", ") == set()
    assert ">between<" in http.get("/jobs", params={"source": "GB1"}).text
    some = found(source="GB1")
    monkeypatch.setattr(source_lists, "_MOST_NAMED", 2)  # as with more lists than a statement has room for
    assert found(source="GB1") == some
    hold = {"action": "hold", "filter": {"source": "TRPB"}}
    assert len(http.post("/api/jobs/actions", json=hold).json()["done"]) == 2


@pytest.mark.parametrize(
    "query",
    [
        {"state": "WAITING", "source": "GB1"},
        {"state": "WAITING,RUNNING"},
        {"model": "gp", "source": "GFP"},
        {"since": "1h"},
    ],
    ids=["two filters", "two values", "nothing", "a range"],
)
def test_pages_of_several_filters_are_read_in_order_of_arrival(
    query: dict[str, str], master: Master, three: list[str]
) -> None:
    """Each such page of a long list sorted all that the filters find, however little of it was shown."""
    asked: list[tuple[str, Any]] = []
    with master.database.engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            pytest.skip("the plan is SQLite's")
        wanted = JobFilter.parse(query).conditions(connection)

        @event.listens_for(connection, "before_cursor_execute")
        def note(_connection, _cursor, statement: str, values: Any, *_more: Any) -> None:
            if statement.startswith("SELECT"):
                asked.append((statement, values))

        numbers_of(connection, wanted, "-created_at", 0, 50)
        event.remove(connection, "before_cursor_execute", note)
        [(statement, values)] = asked
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    assert [row.detail for row in plan] == ["SCAN jobs USING COVERING INDEX idx_jobs_list"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"state": "SLEEPING"}, "SLEEPING; the states are HELD"),
        ({"colour": "red"}, "`colour` is not a filter"),
        ({"sort": "colour"}, "`sort` is 'colour'"),
        ({"metric.test/spearman.min": "high"}, "'high'; a number is expected"),
        ({"metric.test/spearman.max": "nan"}, "'nan'; a number is expected"),
        ({"since": "yesterday"}, "`since`: 'yesterday' is no time"),
        ({"until": "2026-13-01"}, "`until`: '2026-13-01' is no time"),
        ({"source": ["GB1", "GFP"]}, "`source` is given twice"),
        ({"page": "99999999999999999999999"}, "`page`"),
        ({"size": "0"}, "`size`"),
    ],
)
def test_a_wrong_query_is_told_what_can_be_asked(query: dict[str, Any], words: str, http: TestClient) -> None:
    answer = http.get("/api/jobs", params=query)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_a_state_may_be_given_several_times(http: TestClient, three: list[str]) -> None:
    for query in ("state=WAITING&state=SUCCEEDED", "state=SUCCEEDED,HELD&state=waiting"):
        assert http.get(f"/api/jobs?{query}").json()["total"] == 3


def test_a_time_is_compared_as_a_time_in_any_zone(http: TestClient, master: Master, three: list[str]) -> None:
    at = {"created_at": "2026-03-01T12:00:00.000+00:00"}
    master.database.write(lambda c: c.execute(update(jobs).values(**at)))
    for since, found in (
        ("2026-03-01T13:30:00%2B02:00", 3),  # 11:30 in UTC; as a text it is behind 12:00
        ("2026-03-01T13:30:00+02:00", 3),  # a plus that nobody quoted
        ("2026-03-01T11:30:00-01:00", 0),
        ("2026-03-01T12:00:00Z", 3),
        ("2026-03-01 12:00:01", 0),
    ):
        assert http.get(f"/api/jobs?since={since}").json()["total"] == found, since
        assert http.get(f"/api/jobs?until={since}").json()["total"] == 3 - found, since


def test_a_group_is_made_by_its_name_and_found_by_its_id(http: TestClient, three: list[str]) -> None:
    group = http.get(f"/api/jobs/{three[0]}").json()["group"]
    assert [job["job_id"] for job in http.get("/api/jobs", params={"group": group}).json()["items"]] == [
        three[0]
    ]


def test_why_a_job_waits_is_one_sentence(http: TestClient, three: list[str]) -> None:
    job = f"/api/jobs/{three[2]}"
    assert http.get(job).json()["reason"] == "no node is connected"
    http.post("/api/queue/pause")
    assert http.get(job).json()["reason"] == "the queue is paused"
    assert http.get("/api/queue").json()["paused"] is True
    http.post("/api/queue/resume")
    http.patch(job, json={"held": True})
    assert http.get(job).json()["reason"] == "held by local; release it"


def test_the_expected_end_comes_from_jobs_of_its_kind(
    http: TestClient, master: Master, three: list[str]
) -> None:
    times = {"started_at": "2026-01-01T00:00:00+00:00", "finished_at": "2026-01-01T00:00:30+00:00"}
    master.database.write(lambda c: c.execute(update(jobs).where(jobs.c.job_id == three[0]).values(**times)))
    assert http.get(f"/api/jobs/{three[2]}").json()["eta_s"] is None  # no node would run it
    row = {"name": "n1", "first_seen": "", "last_seen": ""}
    master.database.write(lambda c: c.execute(insert(nodes).values(**row)))
    assert http.get(f"/api/jobs/{three[2]}").json()["eta_s"] == 30.0


def test_a_model_that_no_connected_node_knows_is_refused_with_the_list(
    http: TestClient, master: Master
) -> None:
    can = {"models": ["ridge"], "embedders": [{"name": "onehot", "weights": "none"}], "metrics": ["spearman"]}
    row = {"name": "n1", "first_seen": "", "last_seen": "", "capabilities": can}
    master.database.write(lambda c: c.execute(insert(nodes).values(**row)))
    flags = {"data.source": "GB1", "model.name": "rigde", "evaluate.metrics": ["spearman"]}
    answer = http.post("/api/jobs", json={"flags": flags})
    assert answer.status_code == 422
    assert "did you mean 'ridge'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("stores", "problem"),
    [
        ([], "names a file of a store, and no connected node has one. Set PROTEINX_STORE at the nodes"),
        (
            ["s3://b/in"],
            "lies outside of the stores of the connected nodes: s3://b/in. Copy the file into one",
        ),
        (["s3://a"], None),
        (None, None),
    ],
)
def test_a_file_of_a_store_that_no_connected_node_has_is_refused_when_it_is_sent(
    http: TestClient, master: Master, stores: list[str] | None, problem: str | None
) -> None:
    """Incident: the job waited, went to a node, and failed there. A node of an older program does not say."""
    can = {"models": ["ridge"], "embedders": [{"name": "onehot", "weights": "none"}], "metrics": ["spearman"]}
    row = {"first_seen": "", "last_seen": "", "capabilities": {**can, "stores": stores}}
    master.database.write(lambda c: c.execute(insert(nodes).values(name="n1", **row)))
    flags = {"data.source": "GB1", "evaluate.metrics": ["spearman"], "data.structure": "s3://a/x.pdb"}
    answer = http.post("/api/jobs", json={"flags": flags, "payload_ref": "s3://a/in/x.csv"})
    if problem is None:
        assert answer.status_code == 201
        return
    assert (answer.status_code, answer.json()["code"]) == (422, "path_not_allowed")
    payload, structure = answer.json()["problems"]
    assert payload.startswith(f"`payload_ref` 's3://a/in/x.csv' {problem}")
    assert payload.endswith("upload it as a data set (`POST /api/datasets`, field `dataset`) and name that.")
    assert structure.startswith(f"`data.structure` 's3://a/x.pdb' {problem}")


TEXTS = ("GB1", "gb1-ridge_7", "50%", "a\\b", "Ridge", "node-4", "_", "j-", None)


def test_a_text_is_found_wherever_a_job_has_it(master: Master) -> None:
    """Against a look at every text of every job: SQLite is asked in another way for each column."""
    columns = ("source", "model", "node", "group_id")
    rows = [
        {
            "job_id": f"j-{k * 7919 % 16**4:016x}", "experiment_id": TEXTS[k % 8], "kind": "experiment",
            "state": "FAILED", "place": float(k), "created_at": "", "updated_at": "", "flags": {}, "priority": 0,
            **{name: TEXTS[(k // 9**n + k) % 9] for n, name in enumerate(columns)},
        }
        for k in range(81)
    ]  # fmt: skip
    named = {text: f"Group {k}" for k, text in enumerate(TEXTS) if text is not None}
    made = [{"group_id": text, "name": name, "created_at": ""} for text, name in named.items()]
    master.database.write(lambda connection: connection.execute(insert(jobs), rows))
    master.database.write(lambda connection: connection.execute(insert(groups), made))
    for row in rows:
        row["group name"] = named.get(row["group_id"])
    columns = (*columns, "group name")
    for wanted in (
        "gb1",
        "B1-R",
        "_",
        "%",
        "\\",
        "-",
        "j-0",
        "J-",
        "7a",
        "e",
        "node-4",
        "ridge_7",
        "x",
        "jj",
        "-00",
        "group 3",
    ):
        expected = {
            row["job_id"]
            for row in rows
            if any(
                wanted.lower() in (row[name] or "").lower() for name in ("job_id", "experiment_id", *columns)
            )
        }
        with master.database.reading() as connection:
            for more in ({}, {"state": "FAILED"}):
                found = list_jobs(connection, JobFilter.parse({"q": wanted, **more}), size=1000)
                assert {job["job_id"] for job in found.items} == expected, (wanted, more)
                assert found.total == len(found.items) == len(expected)


LISTS = (
    "jobs", "nodes", "datasets", "models", "groups", "webhooks", "templates", "tokens", "trash", "campaigns",
)  # fmt: skip


def test_every_list_is_a_page_with_the_whole_number(http: TestClient, three: list[str]) -> None:
    http.post("/api/groups", json={"name": "empty"})
    for _time in (1, 2):
        http.post("/api/tokens", json={"name": "t", "scopes": ["read"]})
        http.post("/api/webhooks", json={"url": "https://a.example/"})
    for name in LISTS:
        whole = http.get(f"/api/{name}").json()
        assert set(whole) == {"items", "total", "page", "size"}, name
        first, beyond = (
            http.get(f"/api/{name}", params={"size": 1, "page": page}).json() for page in (1, 999)
        )
        assert first == {"items": whole["items"][:1], "total": whole["total"], "page": 1, "size": 1}, name
        assert beyond == {"items": [], "total": whole["total"], "page": 999, "size": 1}, name
        assert http.get(f"/api/{name}", params={"page": 0}).status_code == 422, name
        assert http.get(f"/api/{name}", params={"size": 1001}).status_code == 422, name
    paths = http.get("/openapi.json").json()["paths"]
    plain = {
        path.removeprefix("/api/") for path, verbs in paths.items() if "get" in verbs and "{" not in path
    }
    assert plain - {"/healthz", "/readyz", "/metrics", "queue", "events", "usage", "caller"} == set(LISTS)
