"""Runs the campaigns of a simulation in several processes and keeps each finished one.

A campaign is stored in `<folder>/<key of its rule>/<seed>.json` as soon as it ends: a simulation that was killed goes
on where it was, and one with more seeds or another rule computes only what is new.
"""

import contextlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proteinx_pipelines.campaign.engine import Campaign, run_campaign
from proteinx_pipelines.campaign.landscape import Landscape
from proteinx_pipelines.campaign.rule import Protocol, Rule
from proteinx_pipelines.experiment_dir.files import json_text, read_json, write_json
from proteinx_pipelines.spreading import Files, Spread

Progress = Callable[[int, int], None]
"""Called with the number of finished campaigns, and of all."""
_FILE = "campaign.json"
_LARGE = str(2**32 - 1)
_ENVIRONMENT = {
    **dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
    ),
    # glibc returns each freed array above 32 MB to the system and faults its pages in again: 7 s of 14 in a campaign on
    # 149,361 variants. Other systems ignore these.
    "MALLOC_MMAP_THRESHOLD_": _LARGE,
    "MALLOC_TRIM_THRESHOLD_": _LARGE,
}
"""Environment of the processes of a simulation."""


@dataclass(frozen=True)
class Task:
    """Campaigns of one rule under one protocol."""

    rule: Rule
    protocol: Protocol


@dataclass(frozen=True)
class Ran:
    """Campaigns of one task, in the order of their seeds."""

    task: Task
    campaigns: tuple[Campaign, ...]


def run_all(
    landscape: Landscape,
    tasks: Sequence[Task],
    seeds: Sequence[int],
    *,
    folder: Path,
    processes: int,
    progress: Progress = lambda _done, _all: None,
    spread: Spread | None = None,
) -> list[Ran]:
    """Run every task with every seed; campaigns that are stored are read.

    Args:
        landscape: of all campaigns.
        tasks: rules and protocols.
        seeds: of the campaigns.
        folder: keeps finished campaigns.
        processes: number of processes; 1 runs all of them in this one.
        progress: called at the start, and after each campaign.
        spread: workers elsewhere, instead of processes of this machine.

    Raises:
        FlagError: an acquisition needs deviations that its model does not have.
    """
    digest = landscape.digest()
    places = [folder / task.rule.key(digest, task.protocol)[:24] for task in tasks]
    known = [_stored(place, seeds, task.protocol) for place, task in zip(places, tasks, strict=True)]
    missing = [(k, seed) for seed in seeds for k in range(len(tasks)) if seed not in known[k]]
    total = len(tasks) * len(seeds)
    progress(total - len(missing), total)
    made = (
        _computed(landscape, tasks, missing, processes)
        if spread is None or not missing
        else _by_shards(spread, CampaignWork(landscape, tuple(tasks), digest), missing)
    )
    for done, (k, campaign) in enumerate(made, 1):
        write_json(places[k] / f"{campaign.seed}.json", campaign.document())
        known[k][campaign.seed] = campaign
        progress(total - len(missing) + done, total)
    return [
        Ran(task, tuple(campaigns[seed] for seed in seeds))
        for task, campaigns in zip(tasks, known, strict=True)
    ]


def _stored(folder: Path, seeds: Sequence[int], protocol: Protocol) -> dict[int, Campaign]:
    """Stored campaigns by seed; a damaged file counts as none."""
    found = {}
    for seed in seeds:
        try:
            campaign = _campaign_of(read_json(folder / f"{seed}.json"))
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if campaign.seed == seed and len(campaign.best) == protocol.rounds + 1:
            found[seed] = campaign
    return found


def _campaign_of(document: Mapping[str, Any]) -> Campaign:
    return Campaign(**{**document, "best": tuple(document["best"]), "hits": tuple(document["hits"])})


@dataclass(frozen=True)
class CampaignWork:
    """Runs campaigns of some rules on one landscape, in workers."""

    landscape: Landscape
    tasks: tuple[Task, ...]
    digest: str
    """Of the landscape."""
    kind = "campaign"
    n_threads = 1
    passing = ()

    def label(self, task: tuple[int, int]) -> Mapping[str, Any]:
        """Key of the rule, and the seed."""
        k, seed = task
        return {"rule": self.tasks[k].rule.key(self.digest, self.tasks[k].protocol), "seed": seed}

    def __call__(self, task: tuple[int, int]) -> Files:
        """Run one campaign: the number of its rule, and its seed."""
        k, seed = task
        campaign = run_campaign(self.landscape, self.tasks[k].rule, self.tasks[k].protocol, seed)
        return {_FILE: json_text(campaign.document()).encode("utf-8")}


def _by_shards(
    spread: Spread, work: CampaignWork, missing: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, Campaign]]:
    for number, files in spread.compute(work, missing, lambda _done: None):
        yield missing[number][0], _campaign_of(json.loads(files[_FILE]))


def _computed(
    landscape: Landscape, tasks: Sequence[Task], missing: Sequence[tuple[int, int]], processes: int
) -> Iterator[tuple[int, Campaign]]:
    """Yield the index of a task and a campaign of it, as they end; `missing` has the index and the seed."""
    if processes == 1 or len(missing) < 2:
        for k, seed in missing:
            yield k, run_campaign(landscape, tasks[k].rule, tasks[k].protocol, seed)
        return
    with _environment_of_the_pool():
        # `spawn` everywhere: a forked copy of a process whose numerical library has threads may hang.
        pool = ProcessPoolExecutor(
            min(processes, len(missing)), multiprocessing.get_context("spawn"), _begin, (landscape, tasks)
        )
        try:
            running = {pool.submit(_run, k, seed): k for k, seed in missing}
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _environment_of_the_pool() -> Iterator[None]:
    """Processes started within have one thread of the numerical library each, and keep freed memory."""
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


_SHARED: list[tuple[Landscape, Sequence[Task]]] = []
"""In a process of the pool: the landscape and the tasks of all its campaigns."""


def _begin(landscape: Landscape, tasks: Sequence[Task]) -> None:
    _SHARED[:] = [(landscape, tasks)]
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it is killed: it would wait for further campaigns for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _run(k: int, seed: int) -> Campaign:
    landscape, tasks = _SHARED[0]
    return run_campaign(landscape, tasks[k].rule, tasks[k].protocol, seed)
