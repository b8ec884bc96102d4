"""Fine-tuning beside ridge on the same language model's embeddings, on one assay: rank correlation, time, memory.

    python benchmarks/finetune.py --assay FILE.csv.gz --weights FILE.pt [--rows 5000] [--epochs 6] [NAME=VALUE ...]

The protein is cut to the residues between the first and the last mutated position, which is what the model then sees.
Every model runs in a process of its own, on the same random fifth of the rows; further pairs are flags of the tuning.
"""

import argparse
import csv
import gzip
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MUTATION = re.compile(r"([A-Z])(\d+)([A-Z])")
ESM = ("embedding.name=esm2_t6_8M_UR50D",)
TUNED = ("model.name=finetune", "trainer.accelerator=cpu", "train.target=standardize", "train.patience=null",
         "train.batch_size=32", "train.lr=0.002", "train.scheduler=cosine", "train.warmup_steps=50",
         "train.log_every_n_steps=10")  # fmt: skip


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--assay", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("pairs", nargs="*")
    options = parser.parse_args()
    esm = (*ESM, f"embedding.weights={options.weights}", "model.name=ridge_cv")
    tuned = (*TUNED, f"model.weights={options.weights}", f"train.max_epochs={options.epochs}", *options.pairs)
    tried = {
        "ridge_cv, one-hot": ("model.name=ridge_cv",),
        "ridge_cv, 8M, mean": esm,
        "ridge_cv, 8M, mutated_difference": (*esm, "embedding.pooling=mutated_difference"),
        "finetune": tuned,
    }
    with tempfile.TemporaryDirectory() as folder:
        payload = cut(options.assay, Path(folder) / "cut.csv")
        for name, pairs in tried.items():
            print(
                f"{name:36} {measured(Path(folder), payload, (f'data.limit={options.rows}', *pairs))}",
                flush=True,
            )


def cut(assay: Path, out: Path) -> Path:
    """The assay with its protein cut to the mutated region, positions counted from its first residue."""
    with gzip.open(assay, "rt", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if _MUTATION.match(row["mutant"]) and row["DMS_score"]]
    positions = [int(found[2]) for row in rows for found in _MUTATION.finditer(row["mutant"])]
    first, last = min(positions), max(positions)
    with out.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("mutant", "mutated_sequence", "DMS_score"))
        for row in rows:
            mutant = ":".join(f"{a}{int(at) - first + 1}{b}" for a, at, b in _MUTATION.findall(row["mutant"]))
            writer.writerow((mutant, row["mutated_sequence"][first - 1 : last], row["DMS_score"]))
    return out


def measured(folder: Path, payload: Path, pairs: tuple[str, ...]) -> str:
    """Run one experiment; its rank correlation on the test rows, seconds per epoch, and peak memory."""
    name = f"run{len(list(folder.iterdir()))}"
    command = [sys.executable, "-m", "proteinx_pipelines.cli.main", "train", "--json", "--id", name]
    flags = ("data.source=cut", "evaluate.bootstrap=0", "evaluate.plots=false", *pairs)
    process = subprocess.Popen(
        [*command, "--payload", str(payload), *flags],
        env={**os.environ, "PROTEINX_WORKDIR": str(folder / "work")},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        return "failed"
    done = json.loads(said)
    seconds = list(epochs(Path(done["directory"]) / "metrics" / "metrics.jsonl"))
    each = f", {sum(seconds) / len(seconds):.0f} s per epoch" if seconds else ""
    return (
        f"Spearman {done['summary']['test/spearman']:.3f}{each}, {used.ru_utime + used.ru_stime:.0f} s of processor "
        f"time, {used.ru_maxrss / 1e6:.2f} GB at most"
    )


def epochs(metrics: Path) -> Iterator[float]:
    """Seconds of each epoch but the first, from the times of its losses."""
    from datetime import datetime

    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    times = [
        datetime.fromisoformat(line["time"].replace("Z", "+00:00"))
        for line in lines
        if line.get("name") == "train/loss" and line.get("epoch") is not None
    ]
    yield from ((after - before).total_seconds() for before, after in itertools.pairwise(times))


if __name__ == "__main__":
    main()
