"""The client against a real server: jobs, tables, sweeps, own code as a job, a Master that is away for a while."""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from sqlalchemy import select, update

from proteinx_pipelines.client import AsyncClient, Client, QueueClient, calls, steps
from proteinx_pipelines.client import tracking as tracking_module
from proteinx_pipelines.client.http_link import MasterRefused, MasterUnavailable
from proteinx_pipelines.errors import Cancelled, InputError, NotInTime
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.master import Master

RIDGE = {"data.source": "GB1", "model.name": "ridge"}


@pytest.fixture
def client(served: str) -> Iterator[Client]:
    with Client(served) as found:
        yield found


def end_all(master: Master, state: str = "SUCCEEDED") -> None:
    """What dispatch would write."""
    values = {"state": state, "summary": {"test/spearman": 0.5}, "updated_at": "now"}
    master.database.write(lambda c: c.execute(update(jobs).where(jobs.c.state == "WAITING").values(**values)))


def test_a_job_is_submitted_waited_for_and_in_a_table(client: Client, master: Master) -> None:
    job = client.submit(RIDGE, priority=3, group="first")
    assert (job.state, job.priority, job.position) == ("WAITING", 3, 1)
    with pytest.raises(NotInTime, match="it is WAITING"):
        client.wait(job, timeout_s=0)
    seen: list[str] = []
    threading.Timer(0.5, end_all, (master,)).start()
    ended = client.wait(job, timeout_s=20, on_progress=lambda each: seen.append(each.state))
    assert (ended.state, ended.summary["test/spearman"], seen) == ("SUCCEEDED", 0.5, ["WAITING", "SUCCEEDED"])
    table = client.results(state="SUCCEEDED")
    assert table.loc[0, "model.name" if "model.name" in table else "job_id"] in ("ridge", job.job_id)
    assert table.loc[0, "test/spearman"] == 0.5


def test_verbs_and_a_refusal_are_as_the_master_says(client: Client) -> None:
    a, b = client.submit(RIDGE), client.submit(RIDGE)
    assert client.change(b, before=a).position == 1
    assert client.change(a, held=True).state == "HELD"
    assert client.cancel(b).state == "CANCELLED"
    assert client.retry(b).retry_of == b.job_id
    assert client.clone(a, {"split.folds": 5}).flags["split"]["folds"] == 5
    with pytest.raises(MasterRefused, match=r"did you mean `data\.source`") as refused:
        client.submit({"data.sorce": "x"})
    assert (refused.value.status, refused.value.code) == (422, "bad_flags")
    assert client.queue()["counts"]["HELD"] == 1
    assert {each["name"] for each in client.templates()} > {"baseline", "next_round"}


def test_a_sweep_is_one_call_and_one_table(client: Client, master: Master) -> None:
    sweep = client.sweep("seeds", RIDGE, grid={"split.seed": [1, 2, 3]})
    assert sweep.counts()["total"] == 3
    end_all(master)
    assert len(sweep.wait(timeout_s=10)) == 3
    assert list(sweep.results()["split.seed"]) == [1, 2, 3]


def test_predictions_are_rows_and_those_that_come_later_name_their_job() -> None:
    """The forms of `POST /api/models/{id}/predict`; the client once asked for a field that neither has."""
    assert calls.predict("champion", ["A1C"]).json == {"mutants": ["A1C"]}
    read = calls.predict("champion", ["A1C"]).read
    assert read({"model_id": "j-1", "job_id": None, "predictions": [{"mutant": "A1C"}]}) == [
        {"mutant": "A1C"}
    ]
    with pytest.raises(NotInTime, match="j-2"):
        read({"model_id": "j-1", "job_id": "j-2", "predictions": None, "job": "/api/jobs/j-2"})


BODIES = {
    "submit": calls.submit({"data.source": "GB1"}, priority=2, held=True),
    "submit_many": calls.submit_many([{"flags": {"data.source": "GB1"}}]),
    "cancel": calls.verb("j-1", "cancel"),
    "retry": calls.verb("j-1", "retry"),
    "clone": calls.verb("j-1", "clone", {"flags": {"split.folds": 5}}),
    "change": calls.change("j-1", priority=1, held=False),
    "plan": calls.plan({"data.source": "GB1"}),
    "group": calls.sweep("seeds", {})[0],
    "unit": calls.sweep("seeds", {"flags": {"data.source": "GB1"}, "grid": {"split.seed": [0]}})[1]("g-1"),
    "predict": calls.predict("champion", ["A1C"]),
}
"""A request with a body of each kind that the client makes."""


@pytest.mark.parametrize("name", BODIES)
def test_a_request_has_the_fields_that_the_master_takes(master: Master, name: str) -> None:
    """`predict` sent `variants`, which the Master has never taken: only the form of the answer had a test."""
    made, document = BODIES[name], create_app(master).openapi()
    found = [path for path in document["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), made.path)]
    path = made.path if made.path in found else found[0]  # `/api/jobs/plan` is no job
    operation = document["paths"][path][made.method.lower()]
    if "requestBody" not in operation:
        assert made.json == {}
        return
    body = operation["requestBody"]["content"]["application/json"]
    jsonschema.validate(made.json, {**body["schema"], "components": document["components"]})


def test_many_pages_are_one_list(client: Client) -> None:
    client.submit_many([{"flags": RIDGE}] * 5)
    assert len(list(client.jobs(size=2))) == 5


def test_the_same_with_await(served: str, master: Master) -> None:
    async def story() -> str:
        async with AsyncClient(served) as client:
            job = await client.submit(RIDGE)
            threading.Timer(0.3, end_all, (master,)).start()
            ended = await client.wait(job, timeout_s=20)
            assert [each.job_id async for each in client.jobs()] == [job.job_id]
            return ended.state

    assert asyncio.run(story()) == "SUCCEEDED"


def test_a_sweep_and_files_with_await(served: str, master: Master, tmp_path: Path) -> None:
    with Client(served) as client, client.track("own") as run:
        (tmp_path / "weights.bin").write_bytes(b"0123456789")
        run.save(tmp_path / "weights.bin")
        run.log("one", loss=0.5)

    async def story() -> None:
        async with AsyncClient(served) as client:
            sweep = await client.sweep("seeds", RIDGE, grid={"split.seed": [1, 2]})
            assert (await sweep.counts())["total"] == 2
            with pytest.raises(NotInTime, match=sweep.unit_id):
                await sweep.wait(timeout_s=0)
            end_all(master)
            assert [job.state for job in await sweep.wait(timeout_s=20)] == ["SUCCEEDED"] * 2
            assert list((await sweep.results())["split.seed"]) == [1, 2]
            copy = await client.download(run.job_id, "weights.bin", tmp_path / "copy")
            assert copy.read_bytes() == b"0123456789"
            assert await client.part_of(run.job_id, "weights.bin", 4, 3) == (b"456", 10)
            assert await client.part_of(run.job_id, "weights.bin", 40, 3) == (b"", 10)
            assert [line["text"] async for line in client.logs(run.job_id)] == ["one"]
            assert [line["value"] async for line in client.metrics(run.job_id)] == [0.5]
            with pytest.raises(MasterRefused) as refused:
                await client.download(run.job_id, "nothing.bin", tmp_path / "copy")
            assert refused.value.status == 404

    asyncio.run(story())


def test_both_clients_have_the_same_verbs() -> None:
    own, waits = ({name for name in vars(kind) if name[0] != "_"} for kind in (Client, AsyncClient))
    assert own - waits == {"track", "tracked", "close"}
    assert waits - own == {"aclose"}


class Answer:
    """An answer as the HTTP package gives it."""

    def __init__(self, status: int, document: object = None, **headers: str) -> None:
        self.status_code, self.is_success, self.headers = status, 200 <= status < 300, headers
        self.content, self.request = b"x", self
        self.method, self.url, self._document = "GET", "http://master/api/queue", document

    def json(self) -> object:
        return self._document


def driven(answers: list[object], tries: int = 3) -> tuple[object, list[float], int]:
    """What comes of a request that is answered so; the pauses that were made, and the times it was sent."""
    going, pauses, sent = steps.asked(calls.document("/api/queue"), "http://master", tries), [], 0
    try:
        step = next(going)
        while True:
            if isinstance(step, steps.Pause):
                pauses.append(step.seconds)
                step = next(going)
            else:
                sent += 1
                step = going.send(answers.pop(0))
    except StopIteration as end:
        return end.value, pauses, sent


def test_a_request_is_sent_again_while_the_master_cannot_answer_and_no_longer() -> None:
    """Nothing is sent here: both clients drive these steps."""
    fine = Answer(200, {"paused": False})
    assert driven([fine]) == ({"paused": False}, [], 1)
    found, pauses, sent = driven([OSError("reset"), Answer(429, **{"retry-after": "7"}), fine])
    assert (found, pauses[1], sent) == ({"paused": False}, 7.0, 3)
    with pytest.raises(MasterUnavailable, match="http://master does not answer"):
        driven([OSError("reset")] * 3)
    with pytest.raises(MasterUnavailable):
        driven([OSError("reset")], tries=1)
    with pytest.raises(MasterRefused) as refused:
        driven([Answer(409, {"code": "wrong_offset", "detail": "No."}, **{"Upload-Offset": "5"})])
    assert (refused.value.code, refused.value.headers["upload-offset"]) == ("wrong_offset", "5")
    with pytest.raises(MasterRefused, match="is no Master of ProteinX"):
        driven([Answer(404, ["other"])])


def test_own_code_is_a_job_with_config_metrics_log_and_files(
    client: Client, master: Master, tmp_path: Path
) -> None:
    (tmp_path / "weights.bin").write_bytes(b"0" * 1000)
    with client.track("my-cnn", {"lr": 0.1, "model": "cnn"}) as run:
        assert client.job(run.job_id).state == "RUNNING"
        for epoch in range(3):
            run.log(f"epoch {epoch}", loss=1.0 / (epoch + 1))
            run.progress(epoch / 3)
        run.save(tmp_path / "weights.bin")
    job = client.job(run.job_id)
    assert (job.state, job.kind, job.model) == ("SUCCEEDED", "run", "cnn")
    assert job.summary == {"loss": pytest.approx(1 / 3)}
    assert [line["text"] for line in client.logs(job)] == ["epoch 0", "epoch 1", "epoch 2"]
    assert [line["value"] for line in client.metrics(job)] == pytest.approx([1.0, 1 / 2, 1 / 3])
    assert [each["path"] for each in client.artifacts(job)] == ["weights.bin"]
    assert client.download(job, "weights.bin", tmp_path / "copy").read_bytes() == b"0" * 1000


def test_own_code_that_fails_says_why(client: Client) -> None:
    @client.tracked(lr=0.5)
    def training(run, seed: int = 0) -> None:
        raise ValueError(f"seed {seed} is no good")

    with pytest.raises(ValueError, match="seed 7"):
        training(seed=7)
    (job,) = client.jobs(kind="run")
    assert (job.experiment_id, job.state, job.flags) == ("training", "FAILED", {"lr": 0.5, "seed": 7})
    assert "seed 7 is no good" in str(job.error.message)
    assert any("Traceback" in line["text"] for line in client.logs(job))


def test_own_code_is_cancelled_from_elsewhere(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking_module, "BEAT_S", 0.1)
    begun: list[str] = []

    @client.tracked()
    def endless(run) -> None:
        begun.append(run.job_id)
        client.cancel(run.job_id)
        for _step in range(200):
            run.log(loss=1.0)
            time.sleep(0.05)

    with pytest.raises(Cancelled):
        endless()
    assert client.job(begun[0]).state == "CANCELLED"


def test_what_is_logged_while_the_master_is_away_arrives_once(
    client: Client, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost for some reports; nothing of them is lost, and nothing is there twice."""
    monkeypatch.setattr(tracking_module, "BEAT_S", 0.05)
    real, away = client.ask, threading.Event()

    def ask(call):
        result = real(call)  # the Master may have got it, and the answer is lost
        if away.is_set():
            raise MasterUnavailable("lost")
        return result

    monkeypatch.setattr(client, "ask", ask)
    with client.track("shaky") as run:
        for number in range(20):
            away.set() if number % 4 == 1 else away.clear()
            run.log(f"line {number}")
            time.sleep(0.05)
        away.clear()
    assert [line["text"] for line in client.logs(run.job_id)] == [f"line {number}" for number in range(20)]


def test_a_run_that_falls_silent_is_lost_and_comes_back(
    client: Client, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_module, "BEAT_S", 60.0)
    from proteinx_pipelines.master.runs.reporting import end_silent

    with client.track("silent") as run:
        time.sleep(1.0)  # the first report has arrived
        old = {"updated_at": "2020-01-01T00:00:00+00:00"}
        master.database.write(lambda c: c.execute(update(jobs).values(**old)))
        assert master.database.write(end_silent) == 1
        assert client.job(run.job_id).error.code == "run_lost"
    assert client.job(run.job_id).state == "SUCCEEDED"
    with master.database.reading() as connection:
        assert connection.execute(select(jobs.c.error_code)).scalar_one() is None


def test_an_address_decides_what_the_client_is(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(Client(redis_url), QueueClient)
    for variable in ("PROTEINX_MASTER", "REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InputError, match="PROTEINX_MASTER"):
        Client()
    with pytest.raises(InputError, match="is no address of a Master"):
        Client("ftp://x")


def test_a_master_that_never_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proteinx_pipelines.client.steps.pause_s", lambda *_: 0.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(MasterUnavailable, match=f"{address} does not answer"):
        Client(address).queue()
