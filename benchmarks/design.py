"""The next round: time of predictions from the command line, a million candidates, and intervals that hold.

Rows are held back from the file before an experiment sees it; its final model predicts them, and the share inside the
95 % intervals is counted: at random, with random folds, and whole positions, with folds by position. Beside the
command line: scikit-learn's Gaussian process on the same rows and one-hot columns, predictions and deviations alone.
"""

import csv
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import SHARED_DATA, Figure, Goal, Spread, arguments_of, need, report

from proteinx_pipelines.scripting import import_file, run_experiment

ASSAYS = SHARED_DATA / "assays"
GB1, SINGLES = "SPG1_STRSG_Wu_2016", "BLAT_ECOLX_Stiffler_2015"
_HELD_BACK = 0.2
_MOST_ROWS = 3_000
"""Rows of an assay, so that the figure is of intervals and not of time."""


def main() -> None:
    options = arguments_of(
        __doc__,
        lambda p: p.add_argument("--assays", type=int, default=10, help="assays for the intervals"),
        lambda p: p.add_argument("--only", choices=("predict", "million", "intervals")),
        lambda p: p.add_argument("--models", nargs="+", default=["gp", "auto"]),
    )
    parts: dict[str, Callable[[Path], list[Figure]]] = {
        "predict": lambda folder: [predict(folder, options.repeats, peers=options.peers)],
        "million": lambda folder: million(folder, options.repeats),
        "intervals": lambda folder: intervals(folder, options.assays, options.models),
    }
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, part in parts.items():
            if options.only in (None, name):
                figures += part(Path(folder))
    report("design", figures, options.out)


def predict(folder: Path, repeats: int, *, peers: bool) -> Figure:
    """10,000 variants of GB1 after the model exists, from a file of mutants to a Parquet file."""
    rows, template = assay(GB1)
    random.Random(0).shuffle(rows)
    run(folder, "gb1", rows[:480], template, {"model.name": "gp", "split.folds": 5})
    write(folder / "ask.csv", rows[1_000:11_000])
    command = ("predict", "gb1", "--variants", str(folder / "ask.csv"), "--out", str(folder / "out.parquet"))
    proteinx(folder, *command)  # makes the model
    costs = [proteinx(folder, *command) for _ in range(repeats)]
    peer = Spread.of([scikit(rows[:480], rows[1_000:11_000], template) for _ in range(2)]) if peers else None
    return Figure(
        "design.predict_10k", "10,000 variants of GB1, `proteinx predict`", "s", spread_of(costs), peer,
        "scikit-learn, in a process that is there" if peers else None, (Goal("ours", "<=", 2.0),), facts_of(costs),
    )  # fmt: skip


def million(folder: Path, repeats: int) -> list[Figure]:
    """A million doubles of the best singles of a protein of 286 residues, predicted and a plate chosen."""
    rows, template = assay(SINGLES)
    figures = []
    for model in ("gp", "auto"):
        name = f"blat-{model}"
        run(folder, name, rows, template, {"model.name": model, "split.folds": 3})
        proteinx(folder, "model", "export", name)
        command = (
            "propose",
            name,
            "design.library=doubles",
            "design.best=1450",
            "--out",
            str(folder / "p.csv"),
        )
        costs = [proteinx(folder, *command) for _ in range(min(repeats, 3))]
        figures.append(
            Figure(
                f"design.million_{model}", f"a million doubles of 286 residues with {model}", "s", spread_of(costs),
                goals=(Goal("ours", "<=", 60),), facts=facts_of(costs),
            )
        )  # fmt: skip
    return figures


def intervals(folder: Path, n_assays: int, models: Sequence[str]) -> list[Figure]:
    """Share of rows held back that lie inside of the 95 % intervals, over assays."""
    names = [GB1, SINGLES, *sorted(p.name[: -len(".json")] for p in ASSAYS.glob("*.json"))]
    names = [name for name in dict.fromkeys(names) if "four_sites" not in name][:n_assays]
    figures = []
    for model in models:
        for kind, split in (("random", "random"), ("position", "by_position")):
            covered = {}
            for name in names:
                rows, template = assay(name)
                kept, held = (at_random if kind == "random" else by_position)(rows)
                if not held:
                    continue
                flags = {"model.name": model, "split.method": split, "split.folds": 5}
                own = run(folder, f"{name}-{model}-{kind}", kept, template, flags)
                found = own.predict([row["mutant"] for row in held])
                measured = np.array([float(row["DMS_score"]) for row in held])
                covered[name] = float(np.mean((found.low <= measured) & (measured <= found.high)))
                print(f"  {model} {kind} {name}: {covered[name]:.3f} of {len(held)}", flush=True)
            spread = Spread.of([100 * value for value in covered.values()])
            goals = (Goal("ours", ">=", 93), Goal("ours", "<=", 97)) if kind == "random" else ()
            figures.append(
                Figure(
                    f"design.coverage_{model}_{kind}", f"inside of 95 % intervals, held back {kind}, {model}", "%",
                    spread, goals=goals, facts={"by_assay": covered},
                )
            )  # fmt: skip
    return figures


def assay(name: str) -> tuple[list[dict[str, str]], str]:
    with gzip.open(need(ASSAYS / f"{name}.csv.gz"), "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["DMS_score"]]
    return rows, json.loads((ASSAYS / f"{name}.json").read_text())["template"]


def at_random(rows: list[dict[str, str]]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    rows = random.Random(1).sample(rows, min(_MOST_ROWS, len(rows)))
    cut = round(len(rows) * _HELD_BACK)
    return rows[cut:], rows[:cut]


def by_position(rows: list[dict[str, str]]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Rows that change only held positions against those that change none of them; a mixed row is left out."""
    rows = random.Random(1).sample(rows, min(_MOST_ROWS, len(rows)))
    sites = [set(map(int, re.findall(r"\d+", row["mutant"]))) for row in rows]
    every = sorted(set().union(*sites))
    held = set(random.Random(2).sample(every, max(1, round(len(every) * _HELD_BACK))))
    kept = [row for row, own in zip(rows, sites, strict=True) if not own & held]
    if len(kept) < 0.3 * len(rows):  # few positions, changed together
        return kept, []
    return kept, [row for row, own in zip(rows, sites, strict=True) if own and own <= held]


def run(folder: Path, name: str, rows: Sequence[dict[str, str]], template: str, flags: dict[str, Any]) -> Any:
    """An experiment of these rows, run here."""
    write(folder / f"{name}.csv", rows)
    import_file(folder / f"{name}.csv", workdir=folder / "w", name=name, template=template)
    plain = {"data.source": name, "evaluate.bootstrap": 0, "evaluate.plots": False, **flags}
    return run_experiment(name, plain, workdir=folder / "w")


def write(path: Path, rows: Sequence[dict[str, str]]) -> None:
    lines = ["mutant,DMS_score", *(f"{row['mutant']},{row['DMS_score']}" for row in rows)]
    path.write_text("\n".join(lines) + "\n")


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    cpu_seconds: float
    """Of the processor: a busy machine changes it less."""
    peak_gb: float


def proteinx(folder: Path, *arguments: str) -> Cost:
    """Run a command in a process of its own, from its start to its end."""
    started = time.perf_counter()
    code = "from proteinx_pipelines.cli.main import main; main()"
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL, stderr=said, cwd=folder,
            env={"PROTEINX_WORKDIR": str(folder / "w"), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        )  # fmt: skip
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise SystemExit(said.read()[-2_000:])
    return Cost(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20)


def spread_of(costs: Sequence[Cost]) -> Spread:
    return Spread.of([cost.seconds for cost in costs])


def facts_of(costs: Sequence[Cost]) -> dict[str, float]:
    return {
        "cpu_s": round(Spread.of([cost.cpu_seconds for cost in costs]).median, 2),
        "peak_gb": round(max(cost.peak_gb for cost in costs), 2),
    }


def scikit(known: Sequence[dict[str, str]], asked: Sequence[dict[str, str]], template: str) -> float:
    """Seconds of scikit-learn's predictions and deviations, its fit not counted."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    encode = one_hot(template)
    model = GaussianProcessRegressor(ConstantKernel() * RBF() + WhiteKernel(), normalize_y=True)
    model.fit(encode(known), np.array([float(row["DMS_score"]) for row in known]))
    started = time.perf_counter()
    model.predict(encode(asked), return_std=True)
    return time.perf_counter() - started


def one_hot(template: str) -> Callable[[Sequence[dict[str, str]]], np.ndarray]:
    letters = "ACDEFGHIKLMNPQRSTVWY"

    def encode(rows: Sequence[dict[str, str]]) -> np.ndarray:
        found = np.zeros((len(rows), len(template), 20), np.float64)
        own = np.array([letters.index(letter) for letter in template])
        found[:, np.arange(len(template)), own] = 1
        for row, entry in enumerate(rows):
            for text in entry["mutant"].split(":"):
                if text != "WT":
                    found[row, int(text[1:-1]) - 1] = 0
                    found[row, int(text[1:-1]) - 1, letters.index(text[-1])] = 1
        return found.reshape(len(rows), -1)

    return encode


if __name__ == "__main__":
    main()
