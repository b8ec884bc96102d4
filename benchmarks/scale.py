"""A node with a long past and a long queue: 10,000 finished experiments in its history, 100,000 messages on its list.

The history grows in steps; at each, a real node is started on it, and measured are: `proteinx list`, the queries
behind Dagster's pages of partitions and runs (over HTTP, from the node's own web server), an experiment from push to
result, 20 that wait in line, and the memory of all processes. At the last step 100,000 messages are pushed, and the
first 20 of them are timed. A tick is the sensor's, from start to end as Dagster recorded it: it takes messages over,
waits for the experiment that runs, and plans the next ones; so it lasts about as long as an experiment or two. The
history is made with the functions that a node uses (`history.py`), without files of experiments.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from history import finish_experiments
from local_node import LocalNode, clean_environment, flags
from measure import Figure, Goal, Spread, arguments_of, in_turn, report

from proteinx_pipelines.node.processes.workdir import prepare_workdir
from proteinx_pipelines.settings import load_settings

STEPS = (0.01, 0.1, 1)
"""Sizes of the history at which a node is started, as fractions of the whole."""
TAKEN = 20
"""Experiments that are timed in a queue."""
_PUSH_BATCH = 1_000
_WEB_WITHIN_S = 60
_PARTITION_PAGE = """{ assetNodeOrError(assetKey: {path: ["evaluate"]}) { ... on AssetNode {
  partitionKeysByDimension { name partitionKeys }
  assetPartitionStatuses { ... on DefaultPartitionStatuses {
    materializedPartitions failedPartitions unmaterializedPartitions materializingPartitions } } } } }"""
_RUNS_PAGE = """{ runsOrError(limit: 25) { ... on Runs { count results {
  runId status tags { key value } startTime endTime assetSelection { path } } } } }"""
_TICKS = """query ($since: Float) { repositoriesOrError { ... on RepositoryConnection { nodes { sensors { sensorState {
  ticks(afterTimestamp: $since, limit: 1000) { status timestamp endTimestamp } } } } } } }"""


def main() -> None:
    options = arguments_of(
        __doc__,
        lambda p: p.add_argument("--finished", type=int, default=10_000, help="experiments in the history"),
        lambda p: p.add_argument("--messages", type=int, default=100_000, help="messages on the list"),
    )
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder) / "workdir"
        settings = load_settings({"PROTEINX_WORKDIR": str(workdir)}, Path(folder))
        prepare_workdir(settings)
        curve: list[dict[str, Any]] = []
        there = 0
        for fraction in STEPS:
            size = max(there + 1, round(fraction * options.finished))
            finish_experiments(settings, there, size, flags(0))
            there = size
            node = LocalNode(workdir)
            try:
                curve.append({"finished": size, **measure(node, workdir, options.repeats)})
                if size == options.finished:
                    queued = in_queue(node, page_of(workdir), options.messages)
            finally:
                node.stop()
    report("scale", figures(curve, queued, options), options.out)


def measure(node: LocalNode, workdir: Path, repeats: int) -> dict[str, Any]:
    """Every cost at this size of the history."""
    page = page_of(workdir)
    run_one(node, 0)
    seconds = in_turn(
        {
            "list": lambda: proteinx(workdir, "list"),
            "partitions": lambda: ask(page, _PARTITION_PAGE),
            "runs": lambda: ask(page, _RUNS_PAGE),
            "experiment": lambda: run_one(node, 1),
        },
        repeats,
    )
    memory = node.memory_mb()
    line = in_queue(node, page, TAKEN)
    return {
        **seconds,
        "line": line["seconds"],
        "tick": line["tick"],
        "memory_mb": memory,
        "ready_s": node.ready_s,
    }


def page_of(workdir: Path) -> str:
    """Where the node's own web server listens; a node is ready before that, so it is waited for."""
    page = str(json.loads((workdir / "run" / "web.json").read_text(encoding="utf-8"))["url"])
    end = time.monotonic() + _WEB_WITHIN_S
    while True:
        try:
            ask(page, "{ version }")
            return page
        except urllib.error.URLError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


_numbers = iter(range(1_000_000))


def run_one(node: LocalNode, seed: int) -> None:
    node.push(f"now-{next(_numbers)}", flags(seed))
    take(node)


def take(node: LocalNode) -> None:
    """The next result of an experiment that was pushed here.

    Results of the history that this Redis has never seen are delivered once more when the node starts.
    """
    while (result := node.pop())["experiment_id"].startswith("finished-"):
        pass
    assert result["status"] == "SUCCEEDED", result["error"]


def proteinx(workdir: Path, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "proteinx_pipelines.cli.main", *arguments],
        env={**clean_environment(), "PROTEINX_WORKDIR": str(workdir)},
        check=True,
        capture_output=True,
    )


def ask(page: str, query: str, **variables: Any) -> Any:
    """The answer to one query of the web interface."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{page}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        found = json.load(answer)
    assert "errors" not in found, found["errors"]
    return found["data"]


def ticks(page: str, since: float) -> Spread:
    """Seconds that the sensor's ticks took that began after a moment and have ended."""
    (repository,) = ask(page, _TICKS, since=since)["repositoriesOrError"]["nodes"]
    (sensor,) = repository["sensors"]
    ended = [tick for tick in sensor["sensorState"]["ticks"] if tick["endTimestamp"]]
    assert ended
    assert all(tick["status"] in ("SUCCESS", "SKIPPED") for tick in ended), ended
    return Spread.of([tick["endTimestamp"] - tick["timestamp"] for tick in ended])


def in_queue(node: LocalNode, page: str, n: int) -> dict[str, Any]:
    """Seconds for each of the first results while the others of n messages wait, ticks meanwhile, and memory."""
    name = next(_numbers)
    messages = [
        json.dumps({"experiment_id": f"queued-{name}-{number}", "flags": flags(number)})
        for number in range(n)
    ]
    started, since = time.perf_counter(), time.time()
    for begin in range(0, n, _PUSH_BATCH):
        node.redis.lpush("experiments", *messages[begin : begin + _PUSH_BATCH])
    pushed = time.perf_counter() - started
    seconds = []
    for _ in range(min(TAKEN, n)):
        before = time.perf_counter()
        take(node)
        seconds.append(time.perf_counter() - before)
    return {
        "seconds": Spread.of(seconds),
        "tick": ticks(page, since),
        "push_s": pushed,
        "memory_mb": node.memory_mb(),
        "left_on_list": int(node.redis.llen("experiments")),
    }


def figures(curve: list[dict[str, Any]], queued: dict[str, Any], options: Any) -> list[Figure]:
    last, n = curve[-1], f"{options.finished:,} finished experiments"
    id_ = f"scale.{{}}_{options.finished}"
    growth = [
        {name: value.median if isinstance(value, Spread) else value for name, value in point.items()}
        for point in curve
    ]
    usable = (Goal("ours", "<=", 2),)
    queue_facts = {name: queued[name] for name in ("push_s", "left_on_list")}
    return [
        Figure(id_.format("list"), f"`proteinx list` with {n}", "s", last["list"], goals=usable,
               facts={"growth": growth}),
        Figure(id_.format("partitions"), f"Dagster's partition page with {n}", "s", last["partitions"], goals=usable),
        Figure(id_.format("runs"), f"Dagster's page of runs with {n}", "s", last["runs"], goals=usable),
        Figure(id_.format("experiment"), f"an experiment, push to result, with {n}", "s", last["experiment"],
               curve[0]["experiment"], f"with {curve[0]['finished']:,}", (Goal("ratio", ">=", 0.5),)),
        Figure(id_.format("line"), f"each of {TAKEN} queued experiments with {n}", "s", last["line"],
               curve[0]["line"], f"with {curve[0]['finished']:,}", (Goal("ratio", ">=", 0.5),)),
        Figure(id_.format("tick"), f"the sensor's tick for each of them with {n}", "s", last["tick"],
               curve[0]["tick"], f"with {curve[0]['finished']:,}", usable),
        Figure(id_.format("memory"), f"memory of all processes with {n}", "MB", Spread.of([last["memory_mb"]]),
               Spread.of([curve[0]["memory_mb"]]), f"with {curve[0]['finished']:,}"),
        Figure(f"scale.queued_{options.messages}", f"each experiment with {options.messages:,} messages queued", "s",
               queued["seconds"], last["line"], f"{TAKEN} queued", (Goal("ratio", ">=", 0.5),), queue_facts),
        Figure(f"scale.queued_tick_{options.messages}", f"the sensor's tick with {options.messages:,} messages queued",
               "s", queued["tick"], last["tick"], f"{TAKEN} queued", usable),
        Figure(f"scale.queued_memory_{options.messages}", f"memory with {options.messages:,} messages queued, Redis's "
               "included", "MB", Spread.of([queued["memory_mb"]]), Spread.of([last["memory_mb"]]), "none queued"),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
