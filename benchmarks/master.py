"""The Master under load, as its users see it: one process, a real server, clients in other processes.

Jobs are sent by several clients, one commit each, beside runs that MLflow's server creates (`--mlflow`: its program, in
an environment of its own). Then 200 readers of its events and of one job's log, 50 nodes' heartbeats, and pages of a
list of 100,000 jobs, and of 10,000 in Chromium. Prints a table of goals and what was measured; asserts nothing, so that
a busy machine gives figures too: those of processor time are then the ones to look at.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx2 as httpx
from dispatch import RunningMaster, running_master
from load import Load, send
from master_lists import fill, list_figures, page_figures
from master_peer import PeerClock, mlflow_server
from master_streams import heartbeat_figures, lag_figures, log_figures
from measure import Figure, Goal, Spread, arguments_of, goal_table, report

TOKEN = "px_" + "benchmark" * 4
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
UNLIMITED = {"PROTEINX_MASTER_REQUESTS_PER_MINUTE": "10000000", "PROTEINX_TOKEN": TOKEN}


def main() -> None:
    options = arguments_of(__doc__, _more)
    began, figures, failed = time.monotonic(), list[Figure](), list[str]()
    clock = PeerClock()

    def measure(what: str, work: Callable[[], list[Figure]]) -> None:
        if time.monotonic() - began - clock.seconds > options.longest:
            print(f"{what}: not measured, {options.longest:g} s are over", file=sys.stderr)
            return
        try:
            figures.extend(work())
        except Exception:  # noqa: BLE001  # the other figures are worth having
            traceback.print_exc()
            failed.append(what)
        print(f"{what}: {time.monotonic() - began:.0f} s since the start", file=sys.stderr, flush=True)

    def on_a_master(what: str, *works: Callable[[RunningMaster], list[Figure]]) -> None:
        with tempfile.TemporaryDirectory() as folder, running_master(Path(folder), UNLIMITED) as master:
            for work in works:
                measure(what, partial(work, master))

    streams = (options.streams, options.seconds, HEADERS)
    on_a_master("submitting", lambda master: submit_figures(master, options, clock))
    on_a_master("heartbeats", lambda master: heartbeat_figures(
        master, options.nodes, options.seconds, options.repeats, HEADERS))  # fmt: skip
    on_a_master(
        "readers", lambda master: lag_figures(master, *streams), lambda master: log_figures(master, *streams)
    )
    measure("lists", lambda: _lists(options))
    if options.openings:
        measure("the page", lambda: page_figures(options.shown, options.openings))
    report("master", figures, options.out)
    print(f"\nload {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n{goal_table(figures)}")
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def _lists(options: argparse.Namespace) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "master" / "master.db", options.listed)
        with running_master(Path(folder), UNLIMITED) as master:
            return list_figures(master, options.listed, options.repeats, HEADERS)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=2_000, help="jobs that are sent in one repeat")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument(
        "--peer-runs",
        type=int,
        default=100,
        help="runs that the peer creates in one repeat: it takes half a minute or more for 1,000",
    )
    parser.add_argument(
        "--peer-clients", type=int, default=8, help="with 32 its SQLite refuses half of the runs"
    )
    parser.add_argument("--listed", type=int, default=100_000, help="jobs in the list")
    parser.add_argument("--streams", type=int, default=200, help="readers of events")
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--shown", type=int, default=10_000, help="jobs behind the page in Chromium")
    parser.add_argument("--openings", type=int, default=5, help="openings of that page; 0 leaves it out")
    parser.add_argument(
        "--longest",
        type=float,
        default=190.0,
        help="seconds, those of the peer not counted, after which nothing more is begun",
    )
    parser.set_defaults(repeats=3)
    parser.add_argument("--mlflow", default="mlflow", help="the program of MLflow, with its server")


# ---------------------------------------------------------------------- jobs that come in
def submit_figures(master: RunningMaster, options: argparse.Namespace, clock: PeerClock) -> list[Figure]:
    """Jobs accepted, their latency, what one costs; the peer takes turns."""
    headers = {"Authorization": f"Bearer {_submitter(master)}"}
    with mlflow_server(options.mlflow if options.peers else None, clock) as peer:
        loads, accepted, shares, yardstick, others, refused = [], [], [], [], list[Load](), Counter[str]()
        for repeat in range(options.repeats + 1):
            before = master.cpu_s()
            asked = [{"path": "/api/jobs", "body": job(k)} for k in range(options.jobs)]
            load = send(master.url, asked, options.clients, headers)
            used = master.cpu_s() - before
            refused.update(load.bad)
            if peer is not None:
                other = peer.create_runs(options.peer_runs, options.peer_clients)
            if repeat:  # the first one is to warm up
                loads.append(load)
                accepted.append(max(1, options.jobs - sum(load.bad.values())))
                shares.append(1000 * used / accepted[-1])
                yardstick.append(checking_s())
                others += [other] if peer is not None else []
    each = [load.seconds / n for n, load in zip(accepted, loads, strict=True)]
    facts = {
        "clients": options.clients, "jobs": options.jobs, "load": os.getloadavg()[0], "rows": _rows(master),
        "jobs_a_second": [round(1 / seconds) for seconds in each], "refused": dict(refused),
        "clients_cpu_s_of_1000": [1000 * load.cpu_s / n for n, load in zip(accepted, loads, strict=True)],
    }  # fmt: skip
    name = f"MLflow's server, SQLite, {options.peer_clients} clients: runs over REST" if others else None
    theirs = [1000 * load.seconds / len(load.latencies) for load in others]
    theirs_p99 = [load.quantile(0.99) for load in others]
    if others:
        facts |= {
            "peer_runs": options.peer_runs, "peer_clients": options.peer_clients,
            "peer_runs_a_second": [round(1000 / seconds, 1) for seconds in theirs],
            "peer_refused": dict(sum((Counter(load.bad) for load in others), Counter[str]())),
        }  # fmt: skip
    return [
        Figure("master.submit", "1,000 jobs accepted, one commit each", "s",
               Spread.of([1000 * seconds for seconds in each]), Spread.of(theirs) if theirs else None,
               name, goals=(Goal("ours", "<=", 1.0),), facts=facts),
        Figure("master.submit_p99", f"latency of a job, p99, {options.clients} clients", "s",
               Spread.of([load.quantile(0.99) for load in loads]),
               Spread.of(theirs_p99) if others else None, name, goals=(Goal("ours", "<=", 0.1),)),
        Figure("master.submit_cpu", "processor time of the server for 1,000 jobs, on two threads at most at once", "s",
               Spread.of(shares)),
        Figure("master.yardstick", "processor time to check 1,000 jobs in a process alone, as a yardstick", "s",
               Spread.of(yardstick)),
    ]  # fmt: skip


def checking_s() -> float:
    """What this machine takes for a fixed piece of work now: a busy one takes twice the processor time."""
    from proteinx_pipelines.master.jobs.creating import JobRequest, check

    requests = [JobRequest.model_validate(job(k)) for k in range(1000)]
    began = time.process_time()
    for request in requests:
        check(request)
    return time.process_time() - began


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


if __name__ == "__main__":
    main()
