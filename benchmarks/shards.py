"""What shards cost beside one process: an embedding, a cross-validation of 16 folds, a simulation of 16 campaigns.

The same work by one process, by two processes of this machine, and by two workers of a Dask cluster that is there
before, in turn and each time in a WORKDIR of its own; the bytes of all ways are asserted to be equal. A fold or a
campaign is a shard. An embedding can be cut anywhere, so it is cut into 8 and into 16: the processor time of 16 is to
be about that of 8. Waiting is the time from the last finished shard to the end of the work; an embedding's shards are
heard of twice a second, so theirs may be half a second too long.

    python benchmarks/shards.py                                  # about ten minutes on 2 cores
    python benchmarks/shards.py --only folds --repeats 1
"""

import json
import multiprocessing
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from measure import Figure, Goal, Spread, arguments_of, report
from rerun import checkpoint

from proteinx_pipelines.campaign.defaults import with_defaults
from proteinx_pipelines.campaign.landscape import landscape_of
from proteinx_pipelines.campaign.rule import Protocol, rules_of
from proteinx_pipelines.campaign.runs import Task, run_all
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.shards.kept import KeptSpread
from proteinx_pipelines.execution.shards.threads import with_threads
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines.stages.selection import select_variants

sys.path.append(str(Path(__file__).parents[1]))  # the tests' cluster, which is not installed
from proteinx_pipelines_tests.dask_cluster import Cluster, cluster_in

DATA = Path(__file__).parents[1] / "proteinx_pipelines" / "demo" / "data" / "GB1_Nisthal_2019.csv.gz"
SOURCE = "GB1_Nisthal_2019"
WORKERS = 2
GOING_S = 10.0
"""Time for the processes of a pool to end."""
GROWING = ("logs/", "metrics/", "artifacts/training.json")
"""Files with times in them."""


@dataclass(frozen=True)
class Way:
    """A number of shards, and who computes them."""

    n_shards: int
    on_dask: bool = False

    @property
    def name(self) -> str:
        return f"{self.n_shards}{'_dask' if self.on_dask else ''}"

    def __str__(self) -> str:
        who = "workers of Dask" if self.on_dask else "processes"
        return f"{self.n_shards} shards, {WORKERS} {who}" if self.n_shards > 1 else "one process"


ALONE, FEW, MANY = Way(1), Way(8), Way(16)
CUT, WHOLE = (
    (ALONE, FEW, Way(8, on_dask=True), MANY, Way(16, on_dask=True)),
    (ALONE, MANY, Way(16, on_dask=True)),
)


@dataclass(frozen=True)
class Ran:
    """One work done one way."""

    seconds: float
    cpu_s: float
    """Processor time of all processes that took part."""
    wait_s: float
    """From the last finished shard to the end; 0 where there was none."""
    digest: str
    """Of what came out."""


Work = Callable[[Settings, int, Callable[[], None]], str]
"""(settings, number of shards, called when a shard has ended) -> digest of what came out."""


def main() -> None:
    options = arguments_of(__doc__, lambda p: (
        p.add_argument("--only", nargs="*", choices=("embedding", "folds", "simulation")),
        p.add_argument("--variants", type=int, default=813, help="that ESM-2 t6 embeds, and of the folds"),
        p.add_argument("--rounds", type=int, default=4, help="of each campaign"),
    ))  # fmt: skip
    figures = []
    with (
        tempfile.TemporaryDirectory() as name,
        with_threads(1),
        cluster_in(Path(name) / "cluster") as cluster,
    ):
        for _ in range(WORKERS):
            cluster.worker()
        weights = checkpoint(Path(name) / "esm2_t6_8M_UR50D.pt")
        for topic, work in works(options, weights).items():
            if not options.only or topic in options.only:
                ways = CUT if topic == "embedding" else WHOLE
                figures += figures_of(topic, ran(work, ways, Path(name) / topic, cluster, options.repeats))
    report("shards", figures, options.out)


def works(options: Namespace, weights: Path) -> dict[str, Work]:
    data = {"data.source": SOURCE, "data.limit": options.variants}
    embedding = {
        "embedding.name": "esm2_t6_8M_UR50D", "embedding.weights": str(weights), "embedding.tokens_per_batch": 1024,
    }  # fmt: skip
    folds = {"model.name": "boosting", "split.method": "random", "split.folds": 16}
    protocol = Protocol(start=48, rounds=options.rounds, batch=48)
    return {
        "embedding": lambda settings, n, ended: stages(
            settings, {**data, **embedding}, n, ended, "embedding"
        ),
        "folds": lambda settings, n, ended: stages(settings, {**data, **folds}, n, ended, "train"),
        "simulation": lambda settings, n, ended: simulation(settings, protocol, n, ended),
    }


def stages(
    settings: Settings, flags: dict[str, Any], n_shards: int, ended: Callable[[], None], last: str
) -> str:
    """Run an experiment up to a stage; the digests of that stage's files."""
    attempt = Attempt(settings, "e", parse_flags({**flags, "run.shards": n_shards}), confined=False)
    progress, event = attempt.monitor.progress, attempt.monitor.event

    def hear_progress(done: float, total: float, note: str = "") -> None:
        progress(done, total, note)
        if note.endswith("shards"):
            ended()

    def hear_event(name: str, **payload: Any) -> None:
        event(name, **payload)
        if name == "model_fitted":
            ended()

    attempt.monitor.progress, attempt.monitor.event = hear_progress, hear_event  # type: ignore[method-assign]
    try:
        for name in ("selection", "transform", "embedding", "split", "train"):
            entry = attempt.publish(attempt.run_stage(name, attempt.record))
            if name == last:
                break
    finally:
        attempt.close()
    return json.dumps(
        {file: fact["sha256"] for file, fact in sorted(entry.files.items()) if not file.startswith(GROWING)}
    )


def simulation(settings: Settings, protocol: Protocol, n_shards: int, ended: Callable[[], None]) -> str:
    """Sixteen campaigns of one rule; what they found, without their times."""
    rule = with_defaults(parse_flags({"data.source": SOURCE}))
    landscape = landscape_of(select_variants(settings.database_path, rule.data), rule)
    spread = KeptSpread(settings, StageStore.of(settings), n_shards, "0" * 64) if n_shards > 1 else None
    run_all(landscape, [Task(rules_of(rule)[0], protocol)], range(16), folder=settings.paths.simulations_dir,
            processes=1, progress=lambda _done, _all: ended(), spread=spread)  # fmt: skip
    found = [read_json(path) for path in sorted(settings.paths.simulations_dir.rglob("*.json"))]
    assert len(found) == 16
    return json.dumps([{**each, "cpu_seconds": None} for each in found])


def ran(
    work: Work, ways: Sequence[Way], folder: Path, cluster: Cluster, repeats: int
) -> dict[Way, list[Ran]]:
    """Do a work in every way, in turn; the bytes of all are the same."""
    found: dict[Way, list[Ran]] = {way: [] for way in ways}
    for repeat in range(repeats):
        for way in ways:
            workdir = folder / f"{way.name}-{repeat}"
            workdir.mkdir(parents=True)
            settings = load_settings({"PROTEINX_WORKDIR": str(workdir)}, workdir)
            import_file(settings.database_path, DATA)
            settings = replace(settings, dask=str(cluster.file) if way.on_dask else None)
            found[way].append(one(work, settings, way, cluster))
    digests = {each.digest for runs in found.values() for each in runs}
    assert len(digests) == 1, "not the same bytes"
    return found


def one(work: Work, settings: Settings, way: Way, cluster: Cluster) -> Ran:
    others = [psutil.Process(part.pid) for part in cluster.processes] if way.on_dask else []
    last: list[float] = []
    before, began = cpu_s(others), time.monotonic()
    digest = work(settings, way.n_shards, lambda: last.append(time.monotonic()))
    now = time.monotonic()
    return Ran(now - began, cpu_s(others) - before, now - last[-1] if last else 0.0, digest)


def cpu_s(others: Sequence[psutil.Process]) -> float:
    """Processor time of this process, of those that it started and that have ended, and of others."""
    until = time.monotonic() + GOING_S
    while (
        multiprocessing.active_children() and time.monotonic() < until
    ):  # takes leave of those that have ended
        time.sleep(0.05)
    own = psutil.Process().cpu_times()
    return float(sum(own[:4]) + sum(sum(each.cpu_times()[:2]) for each in others))


def figures_of(topic: str, found: dict[Way, list[Ran]]) -> list[Figure]:
    """A figure for each way but one process, which is the peer; the wait; whether more shards are more work."""
    peer = Spread.of([each.seconds for each in found[ALONE]])
    cpu = {way: Spread.of([each.cpu_s for each in runs]) for way, runs in found.items()}
    spread = {way: runs for way, runs in found.items() if way != ALONE}
    figures = [
        Figure(
            f"shards.{topic}_{way.name}", f"{topic}, {way}", "s", Spread.of([each.seconds for each in runs]), peer,
            str(ALONE), (), {"cpu_s": cpu[way].median, "cpu_s_alone": cpu[ALONE].median},
        )
        for way, runs in spread.items()
    ]  # fmt: skip
    waits = Spread.of([each.wait_s for runs in spread.values() for each in runs])
    what = f"{topic}: from the last shard to the end, the longest"
    longest = Spread(waits.max, waits.min, waits.max, waits.n)
    figures.append(Figure(f"shards.{topic}_wait", what, "s", longest, goals=(Goal("ours", "<=", 15),)))
    for way in spread:
        print(f"{topic}, {way}: processor {cpu[way].median:.1f} s, one process {cpu[ALONE].median:.1f} s")
    if FEW in found:
        growth = [many.cpu_s / few.cpu_s for many, few in zip(found[MANY], found[FEW], strict=True)]
        what = f"{topic}: processor time of 16 shards over that of 8"
        figures.append(
            Figure(f"shards.{topic}_linear", what, "", Spread.of(growth), goals=(Goal("ours", "<=", 1.25),))
        )
    return figures


if __name__ == "__main__":
    main()
