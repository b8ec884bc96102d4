"""Logs and files of the Master: what 200 readers of one live log cost, how soon they see a line, how fast files go.

    python benchmarks/master_files.py --clients 200 --seconds 15 --megabytes 200

Prints one line of JSON. CPU is that of the Master's process alone; readers and writer are others.
"""

import argparse
import asyncio
import dataclasses
import hashlib
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.experiment_dir.layout import ExperimentDir


def serve(folder: str, ready: "multiprocessing.Queue[tuple[str, str]]") -> None:
    """A Master with one running job."""
    from proteinx_pipelines.master.http.server import address_of, bind, serve
    from proteinx_pipelines.master.jobs.creating import JobRequest, check, create
    from proteinx_pipelines.master.master import Master
    from proteinx_pipelines.master.settings import load_master_settings
    from proteinx_pipelines.settings import load_settings

    settings = load_master_settings(load_settings({"PROTEINX_WORKDIR": folder}, Path(folder)), {})
    master = Master.open(dataclasses.replace(settings, port=0))
    checked = check(JobRequest(flags={"data.source": "GB1"}, experiment_id="live"))
    job_id = master.database.write(lambda c: create(c, checked, caller="benchmark", state="RUNNING"))
    bound = bind(master.settings)
    ready.put((address_of(master.settings, bound), job_id))
    serve(master, bound)


async def read(client: httpx.AsyncClient, address: str, lags: list[float], until: float) -> int:
    """Read a stream; the number of lines. The lag of a line is its own time to its arrival."""
    count = 0
    async with client.stream("GET", address, headers={"Accept": "text/event-stream"}) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: ") and "at=" in line:
                lags.append(time.time() - float(line.rsplit("at=", 1)[1].split('"')[0].split(" ")[0]))
                count += 1
            if time.monotonic() > until:
                return count
    return count


async def write(directory: ExperimentDir, until: float) -> int:
    """Write two lines a second, as a training does."""
    path, count = directory.events(1, 1), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    while time.monotonic() < until:
        document = {
            "event": "epoch",
            "stage": "train",
            "timestamp": timestamp(),
            "payload": {"at": time.time()},
        }
        document["payload"] = {"n": count}
        line = json.dumps({**document, "event": f"epoch at={time.time():.4f}"})
        with path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
        count += 1
        await asyncio.sleep(0.5)
    return count


async def live(
    address: str, process: psutil.Process, directory: ExperimentDir, clients: int, seconds: float
) -> dict[str, Any]:
    """Cost and lag of many readers."""
    lags: list[float] = []
    until = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=clients + 10)
    before = process.cpu_times()
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:
        readers = [asyncio.create_task(read(client, address, lags, until)) for _ in range(clients)]
        written = await write(directory, until + 2)
        counts = await asyncio.gather(*readers)
    after = process.cpu_times()
    lags.sort()
    return {
        "clients": clients, "lines_written": written, "lines_read": sum(counts),
        "master_cpu_share": round((after.user + after.system - before.user - before.system) / (seconds + 2), 3),
        "lag_p50_s": round(lags[len(lags) // 2], 3), "lag_p95_s": round(lags[int(len(lags) * 0.95)], 3),
        "master_rss_mb": round(process.memory_info().rss / 1e6),
    }  # fmt: skip


def files(url: str, job_id: str, megabytes: int, process: psutil.Process) -> dict[str, Any]:
    """Upload and download of one file."""
    content = os.urandom(1_000_000) * megabytes
    address = f"{url}/api/jobs/{job_id}/artifacts/big.bin"
    sha256 = hashlib.sha256(content).hexdigest()
    began = time.monotonic()
    httpx.put(address, content=content, headers={"upload-sha256": sha256}, timeout=600).raise_for_status()
    sent = time.monotonic()
    got = httpx.get(address, timeout=600).content
    done = time.monotonic()
    assert hashlib.sha256(got).hexdigest() == sha256
    return {
        "megabytes": megabytes, "upload_mb_s": round(megabytes / (sent - began)),
        "download_mb_s": round(megabytes / (done - sent)), "rss_after_mb": round(process.memory_info().rss / 1e6),
    }  # fmt: skip


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--megabytes", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        ready = context.Queue()
        child = context.Process(target=serve, args=(folder, ready))
        child.start()
        try:
            url, job_id = ready.get(timeout=120)
            process = psutil.Process(child.pid)
            while httpx.get(f"{url}/healthz").status_code != 200:
                time.sleep(0.1)
            directory = ExperimentDir(Path(folder) / "experiments", "live")
            directory.logs_dir.mkdir(parents=True)
            address = f"{url}/api/jobs/{job_id}/logs"
            found = asyncio.run(live(address, process, directory, given.clients, given.seconds))
            print(json.dumps({**found, **files(url, job_id, given.megabytes, process)}))
        finally:
            child.terminate()
            child.join(30)


if __name__ == "__main__":
    main()
