"""How large a Master, a Redis and a PostgreSQL have to be for 100 nodes: a simulation fed by measured service times.

Measured, with the real Master, its Redis-protocol server, and SQLite or PostgreSQL: processor time of each for a job
from its submission over HTTP to its counted result, with nodes that tell eight changes of status and answer at once;
and for the heartbeats of many nodes at rest. Processor time, not wall time: other load changes it little.

Simulated, with these times as the service times of one Master (its threads share one interpreter), one Redis and one
PostgreSQL: nodes that work for a lognormal time, get one job ahead only while jobs are short, and beat every five
seconds. The peer is a fleet whose Master costs nothing.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
from dispatch import RunningMaster, beat, beating_nodes, running_master
from measure import Figure, Goal, Spread, arguments_of, report
from sizing_model import Fleet, Times, simulate

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.heartbeat import BEAT_EVERY_S
from proteinx_pipelines.contract.keys import QueueKeys
from proteinx_pipelines.node.processes.ports import free_port

CHANGES = 8
"""Changes of status that a node tells of a job: accepted, six stages, finished."""
PATIENCE_S = 300.0
ANSWERING = 8
"""Nodes that answer at once, while a job is measured."""


def main() -> None:
    options = arguments_of(__doc__, _more)
    measured = {"sqlite": _measured(options, None)}
    with _postgres() as url:
        if url is not None:
            measured["postgresql"] = _measured(options, url)
    figures = []
    for name, repeats in measured.items():
        found = [1000 * each.master_job for each in repeats]
        figures.append(
            Figure(f"sizing.master_job_{name}", f"a job in the Master on {name}, processor time", "ms",
                   Spread.of(found), facts={"times": [asdict(each) for each in repeats]})
        )  # fmt: skip
    last = next(reversed(measured.values()))
    times = sorted(last, key=lambda each: each.master_job)[len(last) // 2]
    ours = [simulate(Fleet(100, times, seed=seed)) for seed in range(options.repeats)]
    free = Times(0.0, 0.0, 0.0, 0.0)
    ideal = [simulate(Fleet(100, free, seed=seed)) for seed in range(options.repeats)]
    growth = {n: asdict(simulate(Fleet(n, times))) for n in (10, 100, 300, 1000)}
    short = asdict(simulate(Fleet(100, times, compute_s=1.0)))
    figures.append(
        Figure("sizing.minutes_100", "simulated from measured times: 1,000 experiments on 100 nodes", "min",
               Spread.of([1000 / each.per_minute for each in ours]),
               Spread.of([1000 / each.per_minute for each in ideal]), "a Master that costs nothing",
               (Goal("ratio", ">=", 0.95),), {"growth": growth, "one_second_each": short, "times": asdict(times)})
    )  # fmt: skip
    report("sizing", figures, options.out)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=400)
    parser.add_argument(
        "--beating", type=int, default=100, help="nodes at rest while heartbeats are measured"
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="length of that measurement")


# ---------------------------------------------------------------- measuring
def _measured(options: argparse.Namespace, database: str | None) -> list[Times]:
    environment = {} if database is None else {"PROTEINX_MASTER_DATABASE_URL": database}
    with tempfile.TemporaryDirectory() as folder, running_master(Path(folder), environment) as master:
        servers = _of_postgres() if database is not None else []
        idle = _cpu([psutil.Process(master.process.pid)])
        time.sleep(options.seconds)
        idle = (_cpu([psutil.Process(master.process.pid)]) - idle) / options.seconds
        with beating_nodes(master, options.beating):
            time.sleep(2 * BEAT_EVERY_S)
            before = _cpu([psutil.Process(master.process.pid)])
            time.sleep(options.seconds)
            spent = (_cpu([psutil.Process(master.process.pid)]) - before) / options.seconds - idle
        each_beat = max(0.0, spent) / options.beating * BEAT_EVERY_S
        with _answering_nodes(master):
            _jobs(master, 20, "warm")
            return [_job_times(master, options.jobs, k, servers, each_beat) for k in range(options.repeats)]


def _job_times(master: RunningMaster, jobs: int, k: int, servers: list[int], each_beat: float) -> Times:
    process = [psutil.Process(master.process.pid)]
    before = _cpu(process), _redis_cpu(master), _postgres_cpu(servers)
    _jobs(master, jobs, f"run-{k}")
    after = _cpu(process), _redis_cpu(master), _postgres_cpu(servers)
    spent = [(late - early) / jobs for early, late in zip(before, after, strict=True)]
    return Times(spent[0], spent[1], spent[2], each_beat)


def _jobs(master: RunningMaster, number: int, name: str) -> None:
    """Submit jobs and wait until all have ended."""
    with httpx.Client(base_url=master.url, timeout=60) as http:
        for k in range(number):
            document = {
                "flags": {"data": {"source": "GB1"}, "split": {"seed": k}},
                "experiment_id": f"{name}-{k}",
            }
            assert http.post("/api/jobs", json=document).is_success
        end, open_states = time.monotonic() + PATIENCE_S, ("WAITING", "ASSIGNED", "RUNNING")
        while sum(http.get("/api/queue").json()["counts"][state] for state in open_states):
            if time.monotonic() > end:
                raise SystemExit(f"{number} jobs have not ended within {PATIENCE_S:g} s: no result is taken")
            time.sleep(0.2)


@contextmanager
def _answering_nodes(master: RunningMaster) -> Iterator[None]:
    """Nodes that tell their changes and give a result at once."""
    stopping = threading.Event()
    threads = [
        threading.Thread(target=_answer, args=(master, f"sized-{k}", stopping)) for k in range(ANSWERING)
    ]
    for thread in threads:
        thread.start()
    time.sleep(2 * BEAT_EVERY_S)
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _answer(master: RunningMaster, name: str, stopping: threading.Event) -> None:
    keys, beat_at = QueueKeys().of_node(name), 0.0
    while not stopping.is_set():
        if time.monotonic() >= beat_at:
            beat(master.redis, name)
            beat_at = time.monotonic() + BEAT_EVERY_S
        raw: Any = master.redis.blmove(keys.messages, keys.claimed(name), 1, "RIGHT", "LEFT")
        if raw is None:
            continue
        message = json.loads(raw)
        master.redis.lrem(keys.claimed(name), 1, raw)
        experiment = message["experiment_id"]
        for k in range(CHANGES):
            state = "SUCCEEDED" if k == CHANGES - 1 else "RUNNING"
            payload = {
                "state": state,
                "stage": "train",
                "progress": k / CHANGES,
                "generation": 1,
                "attempt": 1,
            }
            told = {
                "event": "progress",
                "experiment_id": experiment,
                "timestamp": timestamp(),
                "payload": payload,
            }
            master.redis.hset(keys.status(experiment), mapping={n: str(v) for n, v in payload.items()})
            master.redis.publish(keys.events, json.dumps(told))
        master.redis.lpush(keys.all_results, json.dumps(_result(name, message)))


def _result(node: str, message: dict[str, Any]) -> dict[str, Any]:
    """As large as a real one."""
    now = timestamp()
    files = [f"artifacts/file_{k}.parquet" for k in range(40)]
    return {
        "result_id": f"r-{message['message_id']}", "message_id": message["message_id"],
        "experiment_id": message["experiment_id"], "generation": 1, "attempt": 1, "status": "SUCCEEDED",
        "summary": {f"test/metric_{k}": 0.5 for k in range(10)},
        "artifacts": {"directory": f"experiments/{message['experiment_id']}", "files": files},
        "stages": {}, "error": None, "trace": None, "started_at": now, "finished_at": now, "node": node,
        "schema_version": 1,
    }  # fmt: skip


def _cpu(processes: list[psutil.Process]) -> float:
    return float(sum(sum(process.cpu_times()[:2]) for process in processes))


def _redis_cpu(master: RunningMaster) -> float:
    found: Any = master.redis.info("cpu")
    return float(found["used_cpu_user"] + found["used_cpu_sys"])


def _of_postgres() -> list[int]:
    return [process.pid for process in psutil.process_iter(["cmdline"])
            if any(_FOLDER.name in word for word in process.info["cmdline"] or ())]  # fmt: skip


def _postgres_cpu(servers: list[int]) -> float:
    """Of the server and of the processes of its connections; ended ones are in their parent's account."""
    found = 0.0
    for pid in servers:
        process = psutil.Process(pid)
        times = process.cpu_times()
        found += times.user + times.system + times.children_user + times.children_system
        found += _cpu(process.children(recursive=True))
    return found


_FOLDER = Path(tempfile.gettempdir()) / f"sizing-pg-{os.getpid()}"


@contextmanager
def _postgres() -> Iterator[str | None]:
    """A PostgreSQL server of its own, with its writes made safe; None where none is installed."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not places:
        print("no PostgreSQL server is installed: SQLite alone is measured")
        yield None
        return
    _FOLDER.mkdir()
    as_server = [] if os.geteuid() else ["setpriv", "--reuid=nobody", "--clear-groups"]
    if not os.geteuid():
        shutil.chown(_FOLDER, "nobody")
    port, data = free_port(), str(_FOLDER / "data")

    def run(*words: str) -> None:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        subprocess.run([*as_server, *words], check=True, capture_output=True, env=environment, cwd="/")

    try:
        run(str(places[0] / "initdb"), "-D", data, "-U", "tester", "--auth=trust", "--encoding=UTF8")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{_FOLDER}'"
        run(str(places[0] / "pg_ctl"), "-D", data, "-w", "-l", str(_FOLDER / "log"), "-o", options, "start")
        yield f"postgresql://tester@127.0.0.1:{port}/postgres"
        run(str(places[0] / "pg_ctl"), "-D", data, "-m", "fast", "stop")
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main()
