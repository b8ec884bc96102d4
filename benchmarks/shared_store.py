"""What a store that machines share costs an experiment, and what it saves. An S3 server (rclone) on this machine.

Cost: the same six stages without a store, with one that has nothing of them (every stage asks in vain, everything is
sent meanwhile), and with one that was stopped a moment ago (the first question waits, the others are not asked); in
turn, each time in a WORKDIR and below a prefix of its own. Saving: the same experiment with ESM-2 t6 (random weights)
on a second machine, which takes it over, and with other rows, whose vectors it takes over.

    python benchmarks/shared_store.py                  # 300 variants: about a minute on 2 cores
"""

import os
import sys
import tempfile
import threading
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from measure import Figure, Goal, Spread, arguments_of, report
from rerun import checkpoint

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.node.lifecycle.sending import BackgroundSender
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import Settings, load_settings

sys.path.append(str(Path(__file__).parents[1]))  # the tests' S3 server, which is not installed
from proteinx_pipelines_tests.object_servers import ObjectServer, serve_s3

DATA = Path(__file__).parents[1] / "proteinx_pipelines" / "demo" / "data" / "GB1_Nisthal_2019.csv.gz"
FLAGS = {"data.source": "GB1_Nisthal_2019", "evaluate.bootstrap": 50, "evaluate.plots": False}


def main() -> None:
    options = arguments_of(
        __doc__, lambda p: p.add_argument("--variants", type=int, default=300, help="that ESM-2 embeds")
    )
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serve_s3(folder / "s3") as server:
            os.environ.update(server.environment())
            report(
                "shared_store",
                [*costs(folder, server, options), *savings(folder, options)],
                options.out,
            )


def costs(folder: Path, server: ObjectServer, options: Namespace) -> list[Figure]:
    """Seconds of an experiment beside a store of each kind; the sides take turns."""
    seconds: dict[str, list[float]] = {"none": [], "empty": [], "stopped": []}
    for repeat in range(options.repeats + 1):
        for side in seconds:
            url = None if side == "none" else f"s3://bucket/{side}-{repeat}"
            if side == "stopped":
                server.pause()
            try:
                found = one_cost(machine(folder / f"{side}-{repeat}", url))
            finally:
                server.go_on()
            if repeat:  # the first of each loads modules
                seconds[side].append(found)
    spreads = {side: Spread.of(values) for side, values in seconds.items()}
    none = spreads["none"]
    return [
        Figure(
            f"shared_store.{side}", what, "s", spreads[side], none, "without a store", (Goal("ratio", ">=", least),),
            {"added_s": round(spreads[side].median - none.median, 4)},
        )
        for side, what, least in (
            ("empty", "six stages, a store that has none of them", 0.8),
            ("stopped", "six stages, a store that does not answer", 0.2),
        )
    ]  # fmt: skip


def one_cost(settings: Settings) -> float:
    """Seconds of the six stages; what they leave is sent meanwhile, as the agent does."""
    stopping = threading.Event()
    sender = threading.Thread(target=BackgroundSender(settings, stopping).run, daemon=True)
    if settings.store is not None:
        sender.start()
    began = time.perf_counter()
    run(settings, "a", FLAGS)
    seconds = time.perf_counter() - began
    stopping.set()
    return seconds


def savings(folder: Path, options: Namespace) -> list[Figure]:
    """Seconds of the embedding stage: computed, taken over, and made of vectors that were taken over."""
    weights = checkpoint(folder / "esm2_t6_8M_UR50D.pt")
    flags: dict[str, Any] = {
        **FLAGS, "embedding.name": "esm2_t6_8M_UR50D", "embedding.weights": str(weights),
        "data.limit": options.variants,
    }  # fmt: skip
    fewer = {**flags, "data.limit": options.variants - 1}
    computed, taken, vectors = [], [], []
    for repeat in range(options.repeats):
        url = f"s3://bucket/saving-{repeat}"
        first, second = machine(folder / f"first-{repeat}", url), machine(folder / f"second-{repeat}", url)
        computed.append(seconds_of_embedding(first, flags)[0])
        send(first)
        seconds, entry = seconds_of_embedding(second, flags)
        assert entry.action == "taken", entry.action
        taken.append(seconds)
        third = machine(folder / f"third-{repeat}", url)
        seconds, entry = seconds_of_embedding(third, fewer)
        assert entry.details["sequences_computed"] == 0, entry.details
        vectors.append(seconds)
    facts = {"variants": options.variants}
    peer = Spread.of(computed)
    return [
        Figure(id_, what, "s", Spread.of(values), peer, "computed", (), facts)
        for id_, what, values in (
            ("shared_store.taken", "an embedding taken over from another machine", taken),
            ("shared_store.vectors", "an embedding of vectors taken over", vectors),
        )
    ]


def machine(workdir: Path, url: str | None) -> Settings:
    settings = load_settings({"PROTEINX_WORKDIR": str(workdir), "PROTEINX_STORE": url or ""}, workdir.parent)
    settings.workdir.mkdir()
    import_file(settings.database_path, DATA)
    return settings


def send(settings: Settings) -> None:
    """Send everything that waits."""
    BackgroundSender(settings, threading.Event())._round()


def run(
    settings: Settings, experiment_id: str, flags: dict[str, Any], stages: tuple[str, ...] = ()
) -> dict[str, StageEntry]:
    attempt = Attempt(settings, experiment_id, parse_flags(flags), confined=False)
    try:
        return {
            stage: attempt.publish(attempt.run_stage(stage, attempt.record))
            for stage in stages or always_made()
        }
    finally:
        attempt.close()


def seconds_of_embedding(settings: Settings, flags: dict[str, Any]) -> tuple[float, StageEntry]:
    """Seconds and entry of the stage, behind the two before it."""
    attempt = Attempt(settings, "a", parse_flags(flags), confined=False)
    try:
        for stage in ("selection", "transform"):
            attempt.publish(attempt.run_stage(stage, attempt.record))
        began = time.perf_counter()
        entry = attempt.publish(attempt.run_stage("embedding", attempt.record))
        return time.perf_counter() - began, entry
    finally:
        attempt.close()


if __name__ == "__main__":
    main()
