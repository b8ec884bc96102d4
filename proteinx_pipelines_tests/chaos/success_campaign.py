"""Many small jobs of every kind through a Master and real nodes: how many of those that can succeed do.

Jobs that are meant to fail, and jobs that somebody cancels, are counted apart: they have to end as they should, and
enter no rate. `test_success_rate` runs it, without faults and with every node restarted once.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import httpx2 as httpx

from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines_tests.chaos.campaign import SOURCE
from proteinx_pipelines_tests.chaos.master_campaign import JoinedNode, MasterProcess
from proteinx_pipelines_tests.waiting import wait_until

AHEAD = 40
"""Jobs that are open at the same time: nodes never wait for work, and the line is never long."""
CANCEL_WITHIN_S = 6.0
"""A job that is cancelled is so at a random moment after its creation: while it waits, runs, or after its end."""
STOP_WITHIN_S = 60.0
MODELS: tuple[dict[str, Any], ...] = (
    {"model": {"name": "ridge"}},
    {"model": {"name": "ridge_cv"}},
    {"model": {"name": "gp"}},
    {"model": {"name": "forest"}},
    {"model": {"name": "boosting"}},
    {
        "model": {"name": "mlp"},
        "train": {"max_epochs": 8, "patience": None},
        "trainer": {"accelerator": "cpu"},
    },
)
SPLITS: tuple[dict[str, Any], ...] = (
    {"method": "random"},
    {"method": "random", "folds": 3},
    {"method": "stratified"},
    {"method": "modulo", "folds": 2},
    {"method": "contiguous", "folds": 2},
    {"method": "by_position", "folds": 2},
    {"method": "low_vs_high"},
)
EMBEDDINGS = ("onehot", "onehot", "blosum62", "scales", "substitution")


@dataclass(frozen=True)
class Wanted:
    """How a job has to end."""

    ends: frozenset[tuple[str, str | None]]
    """State, and code of its error: any of these."""
    kind: str = "ordinary"


ORDINARY = Wanted(frozenset({("SUCCEEDED", None)}))
EMPTY = Wanted(frozenset({("FAILED", "empty_selection")}), "meant to fail")
NO_FILE = Wanted(frozenset({("FAILED", "bad_split_file")}), "meant to fail")
CANCELLED = Wanted(
    frozenset({("CANCELLED", "cancelled"), ("CANCELLED", None), ("SUCCEEDED", None)}), "cancelled"
)


def mixed_job(k: int) -> tuple[dict[str, Any], Wanted]:
    """Flags of job `k`, and how it has to end: of twenty, eighteen succeed, one fails, one is cancelled."""
    flags = {
        "data": {"source": SOURCE, "limit": 120 + k % 80, "seed": k},
        "embedding": {"name": EMBEDDINGS[k % len(EMBEDDINGS)]},
        "split": {**SPLITS[k % len(SPLITS)], "seed": k},
        "evaluate": {"bootstrap": 10 * (k % 2), "plots": k % 10 == 0},
        **MODELS[k % len(MODELS)],
    }
    if k % 40 == 7:
        return {**flags, "data": {"source": SOURCE, "dms_score": {"min": 1e6 + k}}}, EMPTY
    if k % 40 == 27:
        return {**flags, "split": {"method": "file", "path": f"no-such-{k}.csv", "column": "fold"}}, NO_FILE
    return flags, CANCELLED if k % 20 == 17 else ORDINARY


@dataclass(frozen=True)
class Verdict:
    """What became of all jobs."""

    ordinary: int
    succeeded: int
    """Of the ordinary ones: those that ended once, and as SUCCEEDED."""
    wrong: tuple[str, ...]
    """Ordinary jobs that did not succeed, in words."""
    wrong_apart: tuple[str, ...]
    """Jobs of other kinds that ended otherwise than they had to."""
    apart: Mapping[str, int]
    """Jobs that were counted apart, by kind."""

    @property
    def rate(self) -> Fraction:
        """Share of the ordinary jobs that succeeded."""
        return Fraction(self.succeeded, self.ordinary)

    def problems(self, promised: Fraction) -> list[str]:
        """Why the campaign has not passed; empty when it has."""
        found = list(self.wrong_apart)
        if self.rate < promised:
            found += [f"{self.told()}; promised are {float(100 * promised):g} %", *self.wrong]
        return found

    def told(self) -> str:
        """The rate, and what was counted apart, in one line."""
        apart = ", ".join(f"{number} {kind}" for kind, number in sorted(self.apart.items()))
        return (
            f"{self.succeeded} of {self.ordinary} ordinary jobs succeeded: {float(100 * self.rate):.2f} %"
            f" (counted apart: {apart or 'none'})"
        )


def judged(
    wanted: Mapping[str, Wanted], found: Mapping[str, tuple[str, str | None]], ends: Mapping[str, int]
) -> Verdict:
    """Compare the ends of jobs with how they had to end; a job without an end, or with two, is wrong.

    Args:
        wanted: by job.
        found: state and code of the error of each job that the Master knows.
        ends: number of times that each job has ended.
    """
    wrong: dict[bool, list[str]] = {True: [], False: []}
    kinds = Counter(each.kind for each in wanted.values())
    for job, want in wanted.items():
        end = found.get(job)
        is_right = end in want.ends and ends.get(job, 0) == 1
        if not is_right:
            told = " ".join(filter(None, end)) if end else "unknown"
            wrong[want.kind == ORDINARY.kind].append(
                f"{job} ({want.kind}): {told}, ended {ends.get(job, 0)} times"
            )
    wrong[False] += [f"unknown job {job}" for job in found.keys() - wanted.keys()]
    ordinary = kinds.pop(ORDINARY.kind, 0)
    return Verdict(ordinary, ordinary - len(wrong[True]), tuple(wrong[True]), tuple(wrong[False]), kinds)


@dataclass(kw_only=True)
class SuccessCampaign:
    """One campaign; `run` returns its verdict."""

    master: MasterProcess
    nodes: list[JoinedNode]
    jobs: int
    seed: int
    restarts: bool
    """Restart every node once: one is stopped in order and started again, the next one killed, and so on."""
    say: Callable[[str], None] = print
    wanted: dict[str, Wanted] = field(default_factory=dict)
    restarted: list[str] = field(default_factory=list)
    """Nodes that were restarted, in order."""
    first_s: float | None = None
    """Seconds from the moment at which all nodes, which are new, were ready until the first job had ended."""
    _cancel_at: dict[str, float] = field(default_factory=dict)

    def run(self, within_s: float) -> Verdict:
        """Start the nodes, keep `AHEAD` jobs open until all have been created, wait for the ends."""
        chance = random.Random(self.seed)
        for node in self.nodes:
            node.begin()
        wait_until(lambda: len(self._alive()) == len(self.nodes), 240.0, 0.5)
        began, told = time.monotonic(), 0
        with httpx.Client(base_url=f"{self.master.url}/api", timeout=60) as http:
            while time.monotonic() - began < within_s:
                ended = len(self.wanted) - self._open(http)
                if ended and self.first_s is None:
                    self.first_s = time.monotonic() - began
                    self.say(f"the first job has ended {self.first_s:.1f} s after the new nodes were ready")
                if ended == self.jobs:
                    break
                while len(self.wanted) < min(self.jobs, ended + AHEAD):
                    self._create(http, chance)
                self._cancel_due(http)
                self._restart_due(ended)
                if ended >= told + max(10, self.jobs // 10):
                    told = ended
                    self.say(f"{ended} jobs have ended, {time.monotonic() - began:.0f} s")
                time.sleep(0.2)
        seconds = time.monotonic() - began
        time.sleep(2.0)  # a second end of something would come now
        verdict = judged(self.wanted, *self._ends())
        self.say(
            f"{verdict.told()}; {seconds:.0f} s, {seconds / self.jobs:.2f} s a job, by node {self._by_node()}"
        )
        for line in (*verdict.wrong, *verdict.wrong_apart):
            self.say(line)
        return verdict

    def _alive(self) -> set[str]:
        found = httpx.get(f"{self.master.url}/api/nodes", timeout=60).json()["items"]
        return {each["name"] for each in found if each["state"] != "lost"}

    def _open(self, http: httpx.Client) -> int:
        counts = http.get("/queue").raise_for_status().json()["counts"]
        return sum(number for state, number in counts.items() if state not in ENDED)

    def _create(self, http: httpx.Client, chance: random.Random) -> None:
        k = len(self.wanted)
        flags, want = mixed_job(k)
        answer = http.post("/jobs", json={"flags": flags, "experiment_id": f"mixed-{k:05d}"})
        job = str(answer.raise_for_status().json()["job_id"])
        self.wanted[job] = want
        if want is CANCELLED:
            self._cancel_at[job] = time.monotonic() + chance.uniform(0.0, CANCEL_WITHIN_S)

    def _cancel_due(self, http: httpx.Client) -> None:
        """Cancel what is to be cancelled; one that has ended meanwhile is refused, rightly."""
        for job in [job for job, at in self._cancel_at.items() if at <= time.monotonic()]:
            del self._cancel_at[job]
            http.post(f"/jobs/{job}/cancel")

    def _restart_due(self, ended: int) -> None:
        """Restart the next node at its share of the jobs: the first of two at a third, the second at two thirds."""
        number = len(self.restarted)
        due = self.restarts and number < len(self.nodes)
        if not due or ended * (len(self.nodes) + 1) < self.jobs * (number + 1):
            return
        node = self.nodes[number]
        assert node.process is not None
        if number % 2:
            node.kill()
        else:
            node.process.terminate()
            node.process.wait(STOP_WITHIN_S)
        node.begin()
        self.restarted.append(node.name)
        self.say(f"{node.name} was {'killed' if number % 2 else 'stopped'} and started again")

    def _ends(self) -> tuple[dict[str, tuple[str, str | None]], Counter[str]]:
        rows = self.master.rows("SELECT job_id, state, error_code FROM jobs")
        told = self.master.rows(
            "SELECT job_id, json_extract(data, '$.state') FROM events WHERE event = 'job.state'"
        )
        return {job: (state, code) for job, state, code in rows}, Counter(
            job for job, state in told if state in ENDED
        )

    def _by_node(self) -> dict[str, int]:
        return dict(self.master.rows("SELECT node, count(*) FROM jobs WHERE node IS NOT NULL GROUP BY node"))
