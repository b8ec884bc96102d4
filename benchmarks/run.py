"""Runs the set of benchmarks, each in a process of its own, and writes one table beside the goals.

    python benchmarks/run.py             # `make bench`: three repeats, peers from the recorded full run
    python benchmarks/run.py --full      # `make bench-full`: five repeats, peers beside us, larger inputs
    python benchmarks/run.py --tiny      # whether every script still works, in a few minutes; the numbers mean nothing

Writes `results/latest.json`, the table `results/latest.md`, the same table into `docs/performance.md` and the plot
beside it; a full run also `results/full.json`. `--tiny` writes to a folder of its own instead. A script that fails is a
line of the table.
What is measured, and how, is each script's; what a figure is, is `measure`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import machine
from plots import draw
from table import as_markdown, into_page

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.execution.document import versions

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "performance.md"
REPEATS = {"tiny": 1, "bench": 3, "full": 5}
_LAST_LINES = 15


@dataclass(frozen=True)
class Benchmark:
    """One script, and what it is given besides the repeats: in a full run, a short one, and to see that it works."""

    script: str
    full: tuple[str, ...] = ()
    bench: tuple[str, ...] = ()
    tiny: tuple[str, ...] = ()

    def arguments(self, size: str) -> tuple[str, ...]:
        return {"full": self.full, "bench": self.bench, "tiny": self.tiny}[size]


SET = (
    Benchmark("start", tiny=("--no-node",)),
    Benchmark("orchestration", tiny=("--experiments", "2", "--idle-seconds", "2", "--singles", "1")),
    Benchmark("idle_memory"),
    Benchmark("embedding_speed", tiny=("--models", "8m", "--variants", "64")),
    Benchmark("embedding_precision", tiny=("--assays", "GB1_Nisthal_2019", "--shuffles", "2")),
    Benchmark("embedding_memory", full=("--layer", "6"), tiny=("--variants", "1000")),
    Benchmark("heads", tiny=("--limit", "2000", "--width", "64")),
    Benchmark("selection", tiny=("--rows", "20000")),
    Benchmark("importing", tiny=("--rows", "20000")),
    Benchmark("files", tiny=("--rows", "2000")),
    Benchmark("reporting", tiny=("--small",)),
    Benchmark("shared_store", tiny=("--variants", "40")),
    Benchmark("shards", tiny=("--only", "folds", "--variants", "100")),
    Benchmark("rerun", full=("--limit", "149360", "--window", "16"), tiny=("--limit", "300")),
    Benchmark("growth", tiny=("--sizes", "200", "400")),
    Benchmark("scale", bench=("--finished", "2000"), tiny=("--finished", "50", "--messages", "200")),
    Benchmark("design", tiny=("--only", "intervals", "--assays", "1", "--models", "gp")),
    Benchmark("fleet", tiny=("--nodes", "10")),
    Benchmark("sizing", tiny=("--jobs", "20", "--beating", "5", "--seconds", "2")),
    Benchmark(
        "master",
        tiny=(
            "--jobs",
            "40",
            "--clients",
            "4",
            "--listed",
            "2000",
            "--streams",
            "5",
            "--nodes",
            "3",
            "--seconds",
            "2",
            "--openings",
            "0",
        ),
    ),
    Benchmark(
        "dispatch", tiny=("--no-node", "--seconds", "1", "--nodes", "5", "--events", "5", "--messages", "5")
    ),
)


def main() -> None:
    options = parse_options()
    size = "full" if options.full else "tiny" if options.tiny else "bench"
    folder = options.folder or (Path(tempfile.mkdtemp(prefix="bench-")) if size == "tiny" else RESULTS)
    chosen = [benchmark for benchmark in SET if not options.only or benchmark.script in options.only]
    repeats = options.repeats or REPEATS[size]
    known = earlier(folder / ("full.json" if size == "full" else "latest.json")) if options.only else {}
    results, before = {}, machine()
    for benchmark in chosen:
        print(f"== {benchmark.script}", flush=True)
        results[benchmark.script] = run(benchmark, size, repeats, peers=options.peers or size != "bench")
    document = {
        "size": size, "repeats": repeats, "at": timestamp(), "machine": before, "versions": versions(),
        "benchmarks": in_order({**known, **results}),
    }  # fmt: skip
    write(document, folder, size)
    failed = [name for name, result in results.items() if result["status"] != "measured"]
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_true", help="five repeats, larger inputs, peers beside us")
    size.add_argument("--tiny", action="store_true", help="one repeat of everything with tiny inputs")
    parser.add_argument("--only", nargs="+", choices=[benchmark.script for benchmark in SET], metavar="NAME",
                        help="these only; the other lines of the table stay as they are")  # fmt: skip
    parser.add_argument("--peers", action="store_true", help="peers beside us in a short run too")
    parser.add_argument("--repeats", type=int, help="instead of 3, or 5 with --full")
    parser.add_argument("--folder", type=Path, help="where the results go, instead of benchmarks/results")
    return parser.parse_args()


def run(benchmark: Benchmark, size: str, repeats: int, *, peers: bool) -> dict[str, Any]:
    """One script from start to end: its figures, or why there are none."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "figures.json"
        command = [
            sys.executable,
            str(HERE / f"{benchmark.script}.py"),
            "--repeats",
            str(repeats),
            "--out",
            str(out),
        ]
        command += [*benchmark.arguments(size), *([] if peers else ["--no-peers"])]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=HERE.parent)
        assert process.stderr
        lines = []
        for line in process.stderr:
            sys.stderr.write(line)
            lines.append(line.rstrip())
        status = process.wait()
        common = {"arguments": command[2:4] + command[6:], "seconds": round(time.perf_counter() - started, 1)}
        if status or not out.is_file():
            reason = [line for line in lines if line.strip()][-_LAST_LINES:]
            return {"status": "failed", "exit": status, "reason": reason, "figures": [], **common}
        return {"status": "measured", **common, **json.loads(out.read_text(encoding="utf-8"))}


def earlier(file: Path) -> dict[str, Any]:
    """What an earlier run found, by script."""
    return dict(json.loads(file.read_text(encoding="utf-8"))["benchmarks"]) if file.is_file() else {}


def in_order(results: dict[str, Any]) -> dict[str, Any]:
    return {b.script: results[b.script] for b in SET if b.script in results}


def with_recorded_peers(document: dict[str, Any], recorded: dict[str, Any]) -> dict[str, Any]:
    """Figures that were measured without a peer get the peer of the full run; the ratio says so."""
    peers = {
        figure["id"]: (figure, result["at"])
        for result in recorded.get("benchmarks", {}).values()
        for figure in result["figures"]
        if figure["peer"]
    }
    for result in document["benchmarks"].values():
        for figure in result["figures"]:
            if figure["peer"] is None and figure["id"] in peers:
                known, at = peers[figure["id"]]
                figure.update(peer=known["peer"], peer_name=known["peer_name"], peer_recorded_at=at)
                figure["ratio"] = known["peer"]["median"] / figure["ours"]["median"]
    return document


def write(document: dict[str, Any], folder: Path, size: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1) + "\n"
    if size == "full":
        (folder / "full.json").write_text(text, encoding="utf-8")
    recorded = folder / "full.json"
    if recorded.is_file():
        full = json.loads(recorded.read_text(encoding="utf-8"))
        if (
            full["machine"]["processor"] == document["machine"]["processor"]
        ):  # else the ratio would be of machines
            with_recorded_peers(document, full)
    (folder / "latest.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    table = as_markdown(document, [benchmark.script for benchmark in SET])
    (folder / "latest.md").write_text(table, encoding="utf-8")
    if folder == RESULTS:
        into_page(table, PAGE)
        draw(document, PAGE.with_suffix(".svg"))
    print(table)
    print(f"written to {folder}/latest.json and latest.md")


if __name__ == "__main__":
    main()
