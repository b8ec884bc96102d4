"""The Master under load, as its users see it: one process, a real server, clients in other processes.

Jobs are sent by several clients, one commit each, beside runs that MLflow's server creates (`--mlflow`: its program, in
an environment of its own). Then 200 readers of its events and of one job's log, 50 nodes' heartbeats, and pages of a
list of 100,000 jobs.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
from dispatch import RunningMaster, running_master
from load import Load, opened, raw, send
from local_node import clean_environment
from measure import Figure, Goal, Spread, arguments_of, report

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.heartbeat import BEAT_EVERY_S

TOKEN = "px_" + "benchmark" * 4
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
UNLIMITED = {"PROTEINX_MASTER_REQUESTS_PER_MINUTE": "10000000", "PROTEINX_TOKEN": TOKEN}
_STARTS_WITHIN_S = 180
_READ_EVERY_S = 0.5
PAGES = {
    "first": "page=1", "deep": "page=1000", "last": "page=2000", "state": "state=SUCCEEDED&page=300",
    "failed": "state=FAILED", "source": "source=GFP&page=100", "flag": "flag.split.folds=7&page=100",
    "metric": "metric.test/spearman.min=0.9&page=20", "by_metric": "sort=-metric.test/spearman&page=500",
    "by_started": "sort=started_at&page=1000", "by_source": "sort=source&page=1500", "order": "sort=order&page=200",
    "text": "q=gb1-99",
}  # fmt: skip
"""Pages that a list is asked for: name -> query."""


def main() -> None:
    options = arguments_of(__doc__, _more)
    figures = []
    with tempfile.TemporaryDirectory() as folder, running_master(Path(folder), UNLIMITED) as master:
        figures += submit_figures(master, options)
        figures.append(lag_figure(master, options.streams, options.seconds))
        figures.append(log_figure(master, options.streams, options.seconds))
        figures.append(heartbeat_figure(master, options.nodes, options.seconds))
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "master" / "master.db", options.listed)
        with running_master(Path(folder), UNLIMITED) as master:
            figures += list_figures(master, options.listed, options.repeats)
    report("master", figures, options.out)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=5_000, help="jobs that are sent in one repeat")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--listed", type=int, default=100_000, help="jobs in the list")
    parser.add_argument("--streams", type=int, default=200, help="readers of events")
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--mlflow", default="mlflow", help="the program of MLflow, with its server")


# ---------------------------------------------------------------------- jobs that come in
def submit_figures(master: RunningMaster, options: argparse.Namespace) -> list[Figure]:
    """Jobs accepted, their latency, what one costs; the peer takes turns."""
    headers = {"Authorization": f"Bearer {_submitter(master)}"}
    with mlflow_server(options.mlflow if options.peers else None) as peer:
        loads, shares, theirs = [], [], []
        for repeat in range(options.repeats + 1):
            before = master.cpu_s()
            asked = [{"path": "/api/jobs", "body": job(k)} for k in range(options.jobs)]
            load = send(master.url, asked, options.clients, headers)
            used = master.cpu_s() - before
            assert not load.bad, load.bad
            if peer is not None:
                other = peer.create_runs(options.jobs // 20, options.clients)
            if repeat:  # the first one is to warm up
                loads.append(load)
                shares.append(1000 * used / options.jobs)
                theirs += [1000 * other.seconds / len(other.latencies)] if peer is not None else []
    facts = {
        "clients": options.clients, "jobs": options.jobs, "load": os.getloadavg()[0],
        "jobs_a_second": [round(options.jobs / load.seconds) for load in loads], "rows": _rows(master),
    }  # fmt: skip
    name = "MLflow's server, SQLite: runs created over REST" if peer is not None else None
    return [
        Figure("master.submit", "1,000 jobs accepted, one commit each", "s",
               Spread.of([1000 * load.seconds / options.jobs for load in loads]), Spread.of(theirs) if theirs else None,
               name, goals=(Goal("ours", "<=", 1.0),), facts=facts),
        Figure("master.submit_p99", f"latency of a job, p99, {options.clients} clients", "s",
               Spread.of([load.quantile(0.99) for load in loads]), goals=(Goal("ours", "<=", 0.1),)),
        Figure("master.submit_cpu", "processor time for 1,000 jobs", "s", Spread.of(shares)),
    ]  # fmt: skip


def job(k: int, **more: Any) -> dict[str, Any]:
    """A request for a job; no two have the same flags."""
    split = {"folds": 5, "seed": k}
    return {
        "flags": {"data": {"source": "GB1"}, "model": {"name": "ridge"}, "split": split},
        "priority": 5,
        **more,
    }


def _submitter(master: RunningMaster) -> str:
    """A token from the database, with the one scope that is needed."""
    asked = {"name": "benchmark", "scopes": ["submit"]}
    return str(httpx.post(f"{master.url}/api/tokens", headers=HEADERS, json=asked).json()["token"])


def _rows(master: RunningMaster) -> int:
    answer = httpx.get(f"{master.url}/api/jobs?size=1", headers=HEADERS)
    return int(answer.json()["total"])


class Peer:
    """MLflow's server on its own database."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create_runs(self, number: int, clients: int) -> Load:
        """Runs, as its client creates them."""
        body = {"experiment_id": "0", "start_time": 0, "tags": [{"key": "source", "value": "GB1"}]}
        return send(self.url, [{"path": "/api/2.0/mlflow/runs/create", "body": body}] * number, clients)


@contextmanager
def mlflow_server(program: str | None) -> Iterator[Peer | None]:
    """MLflow's server, where it is installed; None otherwise, said on standard error."""
    found = shutil.which(program) if program else None
    if found is None:
        if program:
            os.write(
                2,
                b"MLflow is not installed: `pip install mlflow` in an environment of its own, --mlflow PATH\n",
            )
        yield None
        return
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        process = subprocess.Popen(
            [found, "server", "--port", str(port), "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/m.db"],
            env={**clean_environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(f"{url}/health", process)
            yield Peer(url)
        finally:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.terminate()
            process.terminate()
            process.wait(timeout=60)


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(url, timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise SystemExit(f"{url} does not answer")


# ---------------------------------------------------------------------- readers and nodes
def lag_figure(master: RunningMaster, readers: int, seconds: float) -> Figure:
    """From the answer to a request to its event in each reader's stream."""
    before, began = master.cpu_s(), time.perf_counter()
    lags, seen = asyncio.run(_listen(master, readers, seconds))
    share = 100 * (master.cpu_s() - before) / (time.perf_counter() - began)
    return Figure(
        "master.event_lag", f"an event in the streams of {readers} readers, p95", "s",
        Spread(statistics.quantiles(lags, n=20)[-1], min(lags), max(lags), len(lags)), goals=(Goal("ours", "<=", 1.0),),
        facts={"median_s": statistics.median(lags), "events": seen, "cpu_percent": share},
    )  # fmt: skip


async def _listen(master: RunningMaster, readers: int, seconds: float) -> tuple[list[float], int]:
    sent: dict[str, float] = {}
    lags: list[float] = []
    tasks = [asyncio.create_task(_reader(master.url, sent, lags)) for _ in range(readers)]
    await asyncio.sleep(1 + readers / 100)
    end = time.perf_counter() + seconds
    async with httpx.AsyncClient(base_url=master.url, headers=HEADERS, timeout=30) as client:
        while time.perf_counter() < end:
            experiment = f"lag-{len(sent)}"
            sent[experiment] = time.perf_counter()
            assert (await client.post("/api/jobs", json=job(0, experiment_id=experiment))).is_success
            await asyncio.sleep(_READ_EVERY_S)
    await asyncio.sleep(2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(lags) == readers * len(sent), f"{len(lags)} of {readers * len(sent)} events arrived"
    return lags, len(sent)


async def _reader(url: str, sent: dict[str, float], lags: list[float]) -> None:
    reader, writer = await opened(url)
    writer.write(
        raw(url, {"method": "GET", "path": "/api/events"}, {**HEADERS, "Accept": "text/event-stream"})
    )
    while line := await reader.readline():
        if line.startswith(b"data:"):
            experiment = json.loads(line[5:])["data"].get("experiment_id")
            if experiment in sent:
                lags.append(time.perf_counter() - sent[experiment])


def log_figure(master: RunningMaster, readers: int, seconds: float) -> Figure:
    """From the sending of a log line to its arrival at each reader of the same job."""
    before, began = master.cpu_s(), time.perf_counter()
    lags = asyncio.run(_read_log(master, readers, seconds))
    share = 100 * (master.cpu_s() - before) / (time.perf_counter() - began)
    return Figure(
        "master.log_lag", f"a line of a job's log at its {readers} readers, p95", "s",
        Spread(statistics.quantiles(lags, n=20)[-1], min(lags), max(lags), len(lags)), goals=(Goal("ours", "<=", 1.0),),
        facts={"median_s": statistics.median(lags), "cpu_percent": share},
    )  # fmt: skip


async def _read_log(master: RunningMaster, readers: int, seconds: float) -> list[float]:
    lags: list[float] = []
    async with httpx.AsyncClient(base_url=master.url, headers=HEADERS, timeout=30) as client:
        run = (await client.post("/api/runs", json={"name": "logged"})).json()["job_id"]
        tasks = [asyncio.create_task(_log_reader(master.url, run, lags)) for _ in range(readers)]
        await asyncio.sleep(1 + readers / 100)
        end, lines = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            line = {"lines": [f"at={time.perf_counter()!r}"], "sender": "benchmark", "first": lines}
            assert (await client.post(f"/api/jobs/{run}/logs", json=line)).is_success
            lines += 1
            await asyncio.sleep(_READ_EVERY_S)
        await asyncio.sleep(2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(lags) == readers * lines, f"{len(lags)} of {readers * lines} lines arrived"
    return lags


async def _log_reader(url: str, job_id: str, lags: list[float]) -> None:
    reader, writer = await opened(url)
    path = f"/api/jobs/{job_id}/logs"
    writer.write(raw(url, {"method": "GET", "path": path}, {**HEADERS, "Accept": "text/event-stream"}))
    while line := await reader.readline():
        if b"at=" in line:
            lags.append(time.perf_counter() - float(json.loads(line[5:])["text"].removeprefix("at=")))


def heartbeat_figure(master: RunningMaster, nodes: int, seconds: float) -> Figure:
    """Processor time for nodes that say over HTTP that they are alive."""
    at_rest = master.cpu_percent(seconds)
    stopping = threading.Event()
    thread = threading.Thread(target=_beat, args=(master.url, nodes, stopping))
    thread.start()
    time.sleep(BEAT_EVERY_S)
    share = master.cpu_percent(seconds)
    stopping.set()
    thread.join()
    return Figure(
        "master.heartbeats", f"heartbeats of {nodes} nodes over HTTP, share of a core", "%", Spread.of([share]),
        goals=(Goal("ours", "<=", 5),), facts={"at_rest": at_rest},
    )  # fmt: skip


def _beat(url: str, nodes: int, stopping: threading.Event) -> None:
    with httpx.Client(base_url=url, headers=HEADERS, timeout=30) as client:
        k = 0
        while not stopping.wait(BEAT_EVERY_S / nodes):
            beat = {"node": f"node-{k % nodes}", "time": timestamp(), "state": "idle", "cpu_percent": 20.0}
            assert client.post("/api/nodes/heartbeat", json={"heartbeat": beat}).is_success
            k += 1


# ---------------------------------------------------------------------- the list
def fill(path: Path, number: int) -> None:
    """A database with jobs that have ended in every way, and every tenth one waiting."""
    from sqlalchemy import insert

    from proteinx_pipelines.master.database.engine import open_database
    from proteinx_pipelines.master.database.tables import job_flags, job_metrics, jobs
    from proteinx_pipelines.master.jobs.creating import JobRequest, check

    kinds = [
        check(JobRequest(flags={"data.source": source, "model.name": model, "split.folds": folds}))
        for source in ("GB1", "GFP", "TRPB", "PABP") for model in ("ridge", "gp", "mlp") for folds in (5, 7)
    ]  # fmt: skip
    states = ("SUCCEEDED",) * 7 + ("FAILED", "CANCELLED", "WAITING")
    engine = open_database(path)
    for first in range(0, number, 5_000):
        rows = [
            _row(k, kinds[k % len(kinds)], states[k * 7 % 10])
            for k in range(first, min(number, first + 5_000))
        ]
        numbered = list(enumerate(rows, start=first + 1))
        flags = [
            {"name": name, "value": value, "number": number}
            for number, _ in numbered
            for name, value in kinds[(number - 1) % len(kinds)].flat.items()
        ]
        metrics = [
            {"name": name, "value": value, "number": number}
            for number, row in numbered
            for name, value in (row["summary"] or {}).items()
        ]
        with engine.begin() as connection:
            connection.execute(insert(jobs), rows)
            connection.execute(insert(job_flags), flags)
            connection.execute(insert(job_metrics), metrics)
    engine.dispose()


def _row(k: int, checked: Any, state: str) -> dict[str, Any]:
    at = f"2026-01-{1 + k % 28:02d}T{k % 24:02d}:00:{k % 60:02d}.000+00:00"
    has_ended = state != "WAITING"
    source, model = ", ".join(checked.experiment.flags.data.source), checked.experiment.flags.model.name
    return {
        "job_id": f"j-{k:016x}", "kind": "experiment", "experiment_id": f"{source.lower()}-{k}", "state": state,
        "priority": k % 5, "place": float(k + 1), "source": source, "model": model, "flags": checked.nested,
         "created_by": "benchmark", "created_at": at, "updated_at": at,
        "started_at": at if has_ended else None, "finished_at": at if has_ended else None, "token": int(has_ended),
        "node": f"node-{k % 50}" if has_ended else None, "error_code": "failed" if state == "FAILED" else None,
        "summary": {"test/spearman": (k * 7919 % 100_003) / 100_003, "test/mse": 0.5} if state == "SUCCEEDED" else None,
    }  # fmt: skip


def list_figures(master: RunningMaster, listed: int, repeats: int) -> list[Figure]:
    """Each page, asked for by one client, its first visit aside."""
    figures = []
    with httpx.Client(base_url=master.url, headers=HEADERS, timeout=60) as client:
        for name, query in PAGES.items():
            seconds = []
            for _ in range(repeats + 1):
                began = time.perf_counter()
                answer = client.get(f"/api/jobs?{query}")
                seconds.append(time.perf_counter() - began)
                assert answer.is_success, answer.text
            facts = {"first_s": seconds[0], "total": answer.json()["total"]}
            figures.append(
                Figure(f"master.list_{name}", f"a page of {listed:,} jobs, `{query}`", "s", Spread.of(seconds[1:]),
                       goals=(Goal("ours", "<=", 0.05),), facts=facts)
            )  # fmt: skip
    return figures


if __name__ == "__main__":
    main()
