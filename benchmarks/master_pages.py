"""The jobs page of a Master with 10,000 jobs: how fast it opens in Chromium, and what it costs the server.

    python benchmarks/master_pages.py --jobs 10000 --openings 9

Prints one line of JSON: medians over the openings. An opening is a new browser context without a cache, until the page
hears of changes. Promised: `open_s` below 1, `server_mb` below 1 (growth of the server's memory per opening, and the
largest growth while one is answered). Needs playwright and Debian's chromium.
"""

import argparse
import dataclasses
import json
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil
from sqlalchemy import insert

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def serve(folder: str, n: int, ready: "multiprocessing.Queue[str]") -> None:
    """A Master with so many jobs, in every state."""
    from proteinx_pipelines.clock import timestamp_before
    from proteinx_pipelines.flags.parsing import parse_flags
    from proteinx_pipelines.master.database.job_tables import jobs
    from proteinx_pipelines.master.http.server import address_of, bind, serve
    from proteinx_pipelines.master.jobs.flat_flags import flat_flags
    from proteinx_pipelines.master.jobs.states import ALL
    from proteinx_pipelines.master.master import Master
    from proteinx_pipelines.master.settings import load_master_settings
    from proteinx_pipelines.settings import load_settings

    settings = load_master_settings(load_settings({"PROTEINX_WORKDIR": folder}, Path(folder)), {})
    master = Master.open(dataclasses.replace(settings, port=0))
    flags = parse_flags({"data.source": "GB1", "model.name": "ridge"})
    row = {
        "kind": "experiment", "source": "GB1", "model": "ridge", "flags": flags.nested(), "flat": flat_flags(flags),
        "created_by": "benchmark",
    }  # fmt: skip
    rows = [
        {
            **row, "job_id": f"j-{k:016x}", "experiment_id": f"gb1-ridge-{k:05d}", "state": ALL[k % len(ALL)],
            "place": float(k), "summary": {"test/spearman": k / n}, "created_at": timestamp_before(n - k),
            "updated_at": timestamp_before(n - k),
        }
        for k in range(n)
    ]  # fmt: skip
    master.database.write(lambda connection: connection.execute(insert(jobs), rows))
    bound = bind(master.settings)
    ready.put(address_of(master.settings, bound))
    serve(master, bound)


class Peak:
    """The largest resident memory of a process while this runs, in bytes."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self.most, self._over = process, 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(0.005):
            self.most = max(self.most, self._process.memory_info().rss)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def main() -> None:
    """Open the page several times and print the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--openings", type=int, default=9)
    parser.add_argument("--path", default="/jobs")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"))
    options = parser.parse_args()
    if options.chromium is None:
        sys.exit("chromium is not installed: `apt install chromium`, or name one with --chromium.")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="proteinx-pages-") as folder, sync_playwright() as driver:
        ready: multiprocessing.Queue[str] = multiprocessing.Queue()
        server = multiprocessing.Process(target=serve, args=(folder, options.jobs, ready))
        server.start()
        address, process = ready.get(timeout=120), psutil.Process(server.pid)
        browser = driver.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        try:
            found = [one(browser, address + options.path, process) for _ in range(options.openings + 2)]
        finally:
            browser.close()
            server.terminate()
            server.join()
    warm = found[2:]  # the first ones import, compile templates and fill the readers' connections
    medians = {name: round(statistics.median(each[name] for each in warm), 3) for name in warm[0]}
    grown = (warm[-1]["rss_mb"] - found[1]["rss_mb"]) / len(warm)
    print(
        json.dumps(
            {"jobs": options.jobs, "openings": len(warm), **medians, "slowest_s": max(e["open_s"] for e in warm),
             "server_mb": round(max(0.0, grown), 3)}
        )
    )  # fmt: skip


def one(browser: "Browser", url: str, process: psutil.Process) -> dict[str, float]:
    """One opening: seconds, bytes of the page, memory and processor time of the server."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    before, cpu = process.memory_info().rss, sum(process.cpu_times()[:2])
    with Peak(process) as peak:
        began = time.perf_counter()
        page.goto(url)
        page.locator("html[data-ready=true]").wait_for(state="attached")
        seconds = time.perf_counter() - began
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    rows = page.locator("tbody tr").count()
    context.close()
    return {
        "open_s": round(seconds, 3),
        "dom_complete_s": round(timing["domComplete"] / 1000, 3),
        "first_byte_s": round((timing["responseStart"] - timing["requestStart"]) / 1000, 3),
        "page_kb": round(timing["decodedBodySize"] / 1000, 1),
        "rows": rows,
        "peak_mb": round(max(0, peak.most - before) / 1e6, 3),
        "rss_mb": round(process.memory_info().rss / 1e6, 3),
        "server_cpu_s": round(sum(process.cpu_times()[:2]) - cpu, 3),
    }


if __name__ == "__main__":
    main()
