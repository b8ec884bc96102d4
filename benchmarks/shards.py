"""What shards cost beside one process: seconds and processor time of an embedding, a cross-validation, a simulation.

The same work by one process, by two processes of this machine, and by two workers of a Dask cluster. The bytes are
asserted to be equal. A cross-validation has a shard a fold (16), a simulation one a campaign (16); an embedding is cut
into 8 and into 16: a shard costs what it computes, so the processor time of 16 is to be about that of 8. What workers
cost to start is in all. `wait_s` is the time between the last finished shard and the end of the work.

    python benchmarks/shards.py                                  # about ten minutes on 2 cores
    python benchmarks/shards.py --only folds --repeats 1
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch
from measure import Figure, Goal, Spread, arguments_of, report
from rerun import checkpoint

from proteinx_pipelines.campaign.defaults import with_defaults
from proteinx_pipelines.campaign.landscape import landscape_of
from proteinx_pipelines.campaign.rule import Protocol, rules_of
from proteinx_pipelines.campaign.runs import Task, run_all
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.shards.kept import KeptSpread
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.node.processes.ports import free_port
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines.stages.selection import select_variants

DATA = Path(__file__).parents[1] / "proteinx_pipelines" / "demo" / "data" / "GB1_Nisthal_2019.csv.gz"
SOURCE = "GB1_Nisthal_2019"
WORKERS = 2
ALONE = "one process"
WAYS = (ALONE, "8 shards", "8 shards on Dask", "16 shards", "16 shards on Dask")
"""Of an embedding; folds and campaigns are 16 shards whatever is asked, and have the first three."""
PATIENCE_S = 60.0
_GROWING = ("logs/", "metrics/", "artifacts/training.json")
"""Files with times in them."""


@dataclass
class Ran:
    """One work done one way."""

    seconds: float
    cpu_s: float
    """Processor time of all processes that took part."""
    wait_s: float
    """From the last finished shard to the end."""
    digest: str
    """Of what came out."""


Work = Callable[[Settings, int, Callable[[], None]], str]
"""(settings, number of shards, called when a shard has ended) -> digest of what came out."""


def main() -> None:
    options = arguments_of(__doc__, lambda p: (
        p.add_argument("--only", nargs="*", choices=("embedding", "folds", "simulation")),
        p.add_argument("--variants", type=int, default=813, help="that ESM-2 t6 embeds, and of the folds"),
        p.add_argument("--rounds", type=int, default=4, help="of each of the 16 campaigns"),
    ))  # fmt: skip
    torch.set_num_threads(1)
    figures = []
    with tempfile.TemporaryDirectory() as name, cluster(Path(name)) as (address, workers):
        weights = checkpoint(Path(name) / "esm2_t6_8M_UR50D.pt")
        for topic, work in works(options, weights).items():
            if not options.only or topic in options.only:
                ways = WAYS if topic == "embedding" else WAYS[:3]
                found = ran(work, ways, Path(name) / topic, address, workers, options.repeats)
                figures += figures_of(topic, found)
    report("shards", figures, options.out)


def works(options: Namespace, weights: Path) -> dict[str, Work]:
    """The three works."""
    data = {"data.source": SOURCE, "data.limit": options.variants}
    embedding = {
        "embedding.name": "esm2_t6_8M_UR50D",
        "embedding.weights": str(weights),
        "embedding.tokens_per_batch": 1024,
    }
    folds = {"model.name": "boosting", "split.method": "random", "split.folds": 16}
    protocol = Protocol(start=48, rounds=options.rounds, batch=48)
    return {
        "embedding": lambda s, n, ended: stage_of(s, {**data, **embedding}, n, ended, "embedding"),
        "folds": lambda s, n, ended: stage_of(s, {**data, **folds}, n, ended, "train"),
        "simulation": lambda s, n, ended: simulated(s, protocol, n, ended),
    }


def stage_of(
    settings: Settings, flags: dict[str, Any], n_shards: int, ended: Callable[[], None], last: str
) -> str:
    """Run an experiment up to a stage; the digests of its files."""
    attempt = Attempt(settings, "e", parse_flags({**flags, "run.shards": n_shards}), confined=False)
    told, event = attempt.monitor.progress, attempt.monitor.event

    def progress(done: float, total: float, note: str = "") -> None:
        told(done, total, note)
        if note.endswith("shards"):
            ended()

    def noted(name: str, **payload: Any) -> None:
        event(name, **payload)
        if name == "model_fitted":
            ended()

    attempt.monitor.progress, attempt.monitor.event = progress, noted  # type: ignore[method-assign]
    try:
        for name in ("selection", "transform", "embedding", "split", "train"):
            entry = attempt.publish(attempt.run_stage(name, attempt.record))
            if name == last:
                kept = {
                    file: fact["sha256"]
                    for file, fact in entry.files.items()
                    if not file.startswith(_GROWING)
                }
                return json.dumps(kept, sort_keys=True)
        raise ValueError(last)
    finally:
        attempt.close()


def simulated(settings: Settings, protocol: Protocol, n_shards: int, ended: Callable[[], None]) -> str:
    """Sixteen campaigns of one rule on the demo's GB1."""
    rule = with_defaults(parse_flags({"data.source": SOURCE}))
    landscape = landscape_of(select_variants(settings.database_path, rule.data), rule)
    spread = KeptSpread(settings, StageStore.of(settings), n_shards, "0" * 64) if n_shards > 1 else None
    run_all(landscape, [Task(rules_of(rule)[0], protocol)], range(16), folder=settings.paths.simulations_dir,
            processes=1, progress=lambda _done, _all: ended(), spread=spread)  # fmt: skip
    found = [read_json(path) for path in sorted(settings.paths.simulations_dir.rglob("*.json"))]
    return json.dumps([{**each, "cpu_seconds": None} for each in found])


def ran(
    work: Work, ways: Sequence[str], folder: Path, address: str, workers: list[psutil.Process], repeats: int
) -> dict[str, list[Ran]]:
    """Do a work in every way, in turn; the bytes of all are the same."""
    found: dict[str, list[Ran]] = {way: [] for way in ways}
    for repeat in range(repeats):
        for way in ways:
            workdir = folder / f"{way.replace(' ', '-')}-{repeat}"
            workdir.mkdir(parents=True)
            settings = load_settings({"PROTEINX_WORKDIR": str(workdir)}, workdir)
            import_file(settings.database_path, DATA)
            settings = replace(settings, dask=address if "Dask" in way else None)
            found[way].append(one(work, settings, 1 if way == ALONE else int(way.split()[0]), workers))
    digests = {each.digest for runs in found.values() for each in runs}
    assert len(digests) == 1, "not the same bytes"
    return found


def one(work: Work, settings: Settings, n_shards: int, workers: list[psutil.Process]) -> Ran:
    """Do a work once."""
    last = [0.0]

    def ended() -> None:
        last[0] = time.monotonic()

    before, began = cpu_s(workers), time.monotonic()
    digest = work(settings, n_shards, ended)
    now = time.monotonic()
    return Ran(now - began, cpu_s(workers) - before, now - last[0] if last[0] else 0.0, digest)


def cpu_s(workers: list[psutil.Process]) -> float:
    """Processor time of this process, of those that it started and that have ended, and of the cluster's workers."""
    mine = psutil.Process().cpu_times()
    own = mine.user + mine.system + mine.children_user + mine.children_system
    return float(own + sum(sum(worker.cpu_times()[:2]) for worker in workers))


def figures_of(topic: str, found: dict[str, list[Ran]]) -> list[Figure]:
    """A figure for each way but the first, which is their peer; and whether more shards are more work."""
    peer = Spread.of([each.seconds for each in found[ALONE]])
    cpu = {way: sum(each.cpu_s for each in runs) for way, runs in found.items()}
    figures = []
    for way, runs in found.items():
        if way == ALONE:
            continue
        facts = {
            "cpu_ratio": round(cpu[way] / cpu[ALONE], 3),
            "wait_s": round(max(each.wait_s for each in runs), 3),
        }
        name = f"shards.{topic}_{way.replace(' shards', '').replace(' on ', '_').lower()}"
        ours = Spread.of([each.seconds for each in runs])
        figures.append(
            Figure(name, f"{topic} by {way}, {WORKERS} workers", "s", ours, peer, ALONE, (), facts)
        )
        print(
            f"{name}: {facts['cpu_ratio']} times the processor time; {facts['wait_s']} s after the last shard"
        )
    if WAYS[3] in found:
        growth = cpu[WAYS[3]] / cpu[WAYS[1]]
        what = f"{topic}: processor time of 16 shards over that of 8"
        figures.append(
            Figure(f"shards.{topic}_linear", what, "", Spread.of([growth]), goals=(Goal("ours", "<=", 1.25),))
        )
    return figures


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[psutil.Process]]]:
    """A Dask cluster on this machine: the scheduler's file, and the workers."""
    file = folder / "cluster.json"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m"]
    common = ["--scheduler-file", str(file), "--no-dashboard"]

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*words, *arguments, *common], env=environment, cwd=folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    started = [start("distributed.cli.dask_scheduler", "--port", str(free_port()), "--host", "127.0.0.1")]
    try:
        end = time.monotonic() + PATIENCE_S
        while not file.is_file():
            if time.monotonic() > end:
                raise SystemExit("the scheduler did not start")
            time.sleep(0.1)
        for number in range(WORKERS):
            own = ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder / f"worker-{number}")]
            started.append(start("distributed.cli.dask_worker", *own))
        yield str(file), [psutil.Process(each.pid) for each in started[1:]]
    finally:
        for each in started:
            each.kill()
            each.wait()


if __name__ == "__main__":
    main()
