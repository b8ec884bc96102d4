"""The Master's lists under load: pages of a long list over HTTP, and the jobs page in Chromium."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx
from dispatch import RunningMaster
from measure import Figure, Goal, Spread

PAGES = {
    "first": "page=1", "deep": "page=1000", "last": "page=2000", "state": "state=SUCCEEDED&page=300",
    "failed": "state=FAILED", "source": "source=GFP&page=100",
    "one_of_sources": "source=TRPB&page=300", "two_filters": "source=TRPB&state=SUCCEEDED&page=300",
    "flag": "flag.split.folds=7&page=100",
    "metric": "metric.test/spearman.min=0.9&page=20", "by_metric": "sort=-metric.test/spearman&page=500",
    "by_started": "sort=started_at&page=1000", "by_source": "sort=source&page=1500", "order": "sort=order&page=200",
    "text": "q=gb1-99",
}  # fmt: skip
"""Pages that a list is asked for: name -> query."""


def fill(path: Path, number: int) -> None:
    """A database with jobs that have ended in every way, and every tenth one waiting."""
    from sqlalchemy import insert

    from proteinx_pipelines.master.database.engine import open_database
    from proteinx_pipelines.master.database.job_tables import job_flags, job_metrics, jobs
    from proteinx_pipelines.master.jobs.creating import JobRequest, check
    from proteinx_pipelines.master.jobs.source_lists import note_lists, text_of

    sources = ("GB1", "GFP", ["TRPB", "GB1"], ["PABP", "TRPB"])
    kinds = [
        check(JobRequest(flags={"data.source": source, "model.name": model, "split.folds": folds}))
        for source in sources for model in ("ridge", "gp", "mlp") for folds in (5, 7)
    ]  # fmt: skip
    states = ("SUCCEEDED",) * 7 + ("FAILED", "CANCELLED", "WAITING")
    engine = open_database(path)
    lists = {text_of(each.experiment.flags.data.source): each.experiment.flags.data.source for each in kinds}
    with engine.begin() as connection:
        note_lists(connection, lists)
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


def list_figures(master: RunningMaster, listed: int, repeats: int, headers: dict[str, str]) -> list[Figure]:
    """Each page, asked for by one client, its first visit aside; the goal is that of the slowest."""
    figures = []
    with httpx.Client(base_url=master.url, headers=headers, timeout=60) as client:
        for name, query in PAGES.items():
            seconds, spent = [], []
            for _ in range(repeats + 1):
                before, began = master.cpu_s(), time.perf_counter()
                answer = client.get(f"/api/jobs?{query}")
                seconds.append(time.perf_counter() - began)
                spent.append(master.cpu_s() - before)
            facts = {
                "first_s": seconds[0], "cpu_s": sum(spent[1:]) / repeats, "status": answer.status_code,
                "total": answer.json().get("total"),
            }  # fmt: skip
            figures.append(
                Figure(f"master.list_{name}", f"a page of {listed:,} jobs, `{query}`", "s", Spread.of(seconds[1:]),
                       goals=(Goal("ours", "<=", 0.05),), facts=facts)
            )  # fmt: skip
    return figures


def page_figures(shown: int, openings: int) -> list[Figure]:
    """The jobs page in Chromium, by `master_pages.py` in a process of its own; none where there is no Chromium."""
    script = Path(__file__).with_name("master_pages.py")
    done = subprocess.run(
        [sys.executable, str(script), "--jobs", str(shown), "--openings", str(openings)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(f"the page is not measured: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return []
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])

    def figure(name: str, what: str, unit: str, value: float, most: float | None = None) -> Figure:
        goals = () if most is None else (Goal("ours", "<=", most),)
        return Figure(f"master.page_{name}", what, unit, Spread.of([value]), goals=goals, facts=found)

    return [
        figure("open", f"the page of {shown:,} jobs until it hears of changes, in Chromium", "s", found["open_s"], 1.0),
        figure("memory", "growth of the server's memory for each opening of it", "MB", found["server_mb"], 1.0),
        figure("bytes", f"its size: {found['rows']:.0f} rows of {shown:,} jobs", "kB", found["page_kb"]),
        figure("cpu", "processor time of the server for one opening", "s", found["server_cpu_s"]),
    ]  # fmt: skip
