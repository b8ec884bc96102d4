"""Choice of the number format for `embedding.precision` auto: a one-second self-test, once per machine.

A processor that multiplies bf16 does so at twice the rate of fp32 or more; another emulates it, and is slower. The
outcome is kept in a file, so that all experiments of a node use the same format and share vectors: an experiment's
info and the store's policy name the format used, never `auto`.
"""

import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.flags.tree import sha256_of
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.embedding.esm2_engine import Esm2Engine
from proteinx_pipelines.stages.embedding.esm2_weights import Esm2Weights
from proteinx_pipelines.stages.embedding.packed_linear import oneDNN_is_available

TEST_SECONDS = 1.0
LEAST_GAIN = 1.1
"""Least speed-up at which bf16 is chosen: a smaller one is not worth its rounding and would vary by chance."""
_SEQUENCES, _RESIDUES = 16, 62


def resolved_precision(
    asked: str, weights: Esm2Weights, monitor: StageMonitor, outcomes: Path | None = None
) -> str:
    """Resolve the number format: `asked` itself, or for `auto` the faster of fp32 and bf16.

    Args:
        asked: `fp32`, `bf16` or `auto`.
        weights: the model; one of its layers is timed.
        monitor: receives `precision_chosen`, with the seconds of both formats if they were measured.
        outcomes: folder in which outcomes are kept, one for each model, processor, number of threads and release of
            PyTorch; None: the test is made each time.

    Returns:
        `fp32` or `bf16`.
    """
    if asked != "auto":
        return asked
    if not multiplies_bf16():
        monitor.event("precision_chosen", precision="fp32", reason="the processor does not multiply bf16")
        return "fp32"
    question = _question(weights)
    kept = outcomes / f"{sha256_of(question)[:16]}.json" if outcomes else None
    seconds = _kept_seconds(kept)
    if seconds is None:
        seconds = self_test(weights)
        if kept:
            write_json(kept, {"of": question, "seconds": seconds})
    chosen = "bf16" if seconds["bf16"] * LEAST_GAIN <= seconds["fp32"] else "fp32"
    monitor.event("precision_chosen", precision=chosen, seconds=seconds)
    return chosen


def multiplies_bf16() -> bool:
    """True if the GPU, or without one the processor (AMX or AVX512-BF16), has instructions for bf16 products."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    has = _processor()
    return oneDNN_is_available() and bool(has.get("amx_bf16") or has.get("avx512_bf16"))


def self_test(weights: Esm2Weights) -> dict[str, float]:
    """Shortest time of one layer for 1,024 tokens in fp32 and in bf16, in seconds; the two take turns for a second."""
    letters = np.resize(np.frombuffer(AMINO_ACIDS.encode(), np.uint8), (_SEQUENCES, _RESIDUES))
    engines = {
        precision: Esm2Engine(
            weights, layer=1, pooling="mean", precision=precision, typical_tokens=_SEQUENCES * (_RESIDUES + 2)
        )
        for precision in ("fp32", "bf16")
    }
    shortest = dict.fromkeys(engines, float("inf"))
    for engine in engines.values():
        engine.embed(letters)  # the first pass sets up what later ones use
    end = time.perf_counter() + TEST_SECONDS
    while True:
        for precision, engine in engines.items():
            started = time.perf_counter()
            engine.embed(letters)
            shortest[precision] = min(shortest[precision], time.perf_counter() - started)
        if time.perf_counter() >= end:
            return shortest


def _question(weights: Esm2Weights) -> dict[str, Any]:
    cuda = torch.cuda.is_available()
    name = torch.cuda.get_device_name() if cuda else _processor().get("cpu_name")
    return {
        "model": weights.name,
        "processor": str(name or platform.machine()),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _processor() -> dict[str, Any]:
    """Processor name and features as PyTorch reports them; empty in older releases."""
    return dict(getattr(torch.cpu, "get_capabilities", dict)())


def _kept_seconds(path: Path | None) -> dict[str, float] | None:
    """Outcome of an earlier test; None if there is none or it is unreadable (the test is then repeated)."""
    if path is None or not path.is_file():
        return None
    try:
        seconds = read_json(path)["seconds"]
        return {precision: float(seconds[precision]) for precision in ("fp32", "bf16")}
    except (ValueError, KeyError, TypeError, OSError):
        return None
