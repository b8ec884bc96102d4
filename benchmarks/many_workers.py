"""Training by data: one network a part whose weights are averaged, beside DDP and one process on the same rows.

An MLP on one-hot residues of the demo's GB1 (or `--data FILE`, a file that `proteinx db import` reads), a random split
with validation rows. Spearman of the test rows and seconds of the train stage, over several splits.

    python benchmarks/many_workers.py --repeats 3
"""

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measure import arguments_of

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.experiment_dir.documents import read_report
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import Settings, load_settings

DATA = Path(__file__).parents[1] / "proteinx_pipelines" / "demo" / "data" / "GB1_Nisthal_2019.csv.gz"
WAYS: Mapping[str, dict[str, Any]] = {
    "one process": {},
    "DDP, 2 processes": {"trainer": {"strategy": "ddp", "devices": 2, "accelerator": "cpu"}},
    "2 parts, 2 workers": {"parts": 2, "shards": 2},
    "4 parts, 2 workers": {"parts": 4, "shards": 4},
    "8 parts, 2 workers": {"parts": 8, "shards": 8},
}


def trained(
    settings: Settings, source: str, name: str, way: Mapping[str, Any], seed: int, epochs: int
) -> tuple[float, float]:
    """Spearman of the test rows, and seconds of the train stage."""
    flags = {
        "data": {"source": source}, "model": {"name": "mlp"},
        "split": {"method": "random", "seed": seed, "fractions": [0.8, 0.1, 0.1]},
        "train": {"max_epochs": epochs, "patience": 10, "parts": way.get("parts", 1)},
        "trainer": way.get("trainer", {"accelerator": "cpu"}), "evaluate": {"bootstrap": 0, "plots": False},
        "run": {"shards": way.get("shards", 1)},
    }  # fmt: skip
    attempt, seconds = Attempt(settings, name, parse_flags(flags), confined=False), 0.0
    try:
        for stage in always_made():
            began = time.monotonic()
            attempt.publish(attempt.run_stage(stage, attempt.record))
            seconds = time.monotonic() - began if stage == "train" else seconds
        return float(read_report(attempt.directory).summary["test/spearman"] or 0.0), seconds
    finally:
        attempt.close()


def main() -> None:
    options = arguments_of(__doc__, lambda p: (
        p.add_argument("--data", type=Path, default=DATA), p.add_argument("--epochs", type=int, default=50)
    ))  # fmt: skip
    source = options.data.name.split(".")[0]
    with tempfile.TemporaryDirectory() as name:
        settings = load_settings({"PROTEINX_WORKDIR": name}, Path(name))
        import_file(settings.database_path, options.data)
        print(f"{source}, {options.epochs} epochs at most, {options.repeats} splits\n")
        print("| | Spearman, mean (spread) | seconds, median |\n|---|---|---|")
        for number, (way, facts) in enumerate(WAYS.items()):
            found = [
                trained(settings, source, f"way-{number}-{seed}", facts, seed, options.epochs)
                for seed in range(options.repeats)
            ]
            scores = [score for score, _ in found]
            print(
                f"| {way} | {statistics.mean(scores):.3f} ({min(scores):.3f} to {max(scores):.3f}) | "
                f"{statistics.median(seconds for _, seconds in found):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
