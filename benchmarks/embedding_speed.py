"""Our ESM-2 forward pass beside fair-esm's extraction, on a library of equally long variants.

Both get the same random weights, the same batches and the same threads, and take turns in every repeat, so
that a busy machine slows both. fair-esm's side is the loop of its `scripts/extract.py`: the forward pass
with `repr_layers=[last]`, states to the host, mean over residues there; its tokens are made beforehand. Our
side is the whole of `embed_library`: finding equal sequences, tokens, forward pass, pooling, the array of
results. Loading a model is in neither. The best batch size of one is compared with the best of the other, too.

    python benchmarks/embedding_speed.py --model esm2_t6_8M_UR50D --variants 512
"""

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from esm.model.esm2 import ESM2

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.representations import ESM2_MODELS, esm_layers
from proteinx_pipelines.stages.embedding.esm2_engine import Esm2Engine, esm2_tokens
from proteinx_pipelines.stages.embedding.esm2_weights import WIDTHS, Esm2Weights
from proteinx_pipelines.stages.embedding.packed_linear import oneDNN_is_available
from proteinx_pipelines.stages.embedding.stream import Library, embed_library

RESULTS_DIR = Path(__file__).parent / "results"
AMINO_ACIDS = np.frombuffer(b"ACDEFGHIKLMNPQRSTVWY", dtype=np.uint8)


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    model, weights = random_model(options.model)
    letters = double_mutants(options.variants, options.residues)
    measured = [measure(options, model, weights, letters, size) for size in options.tokens_per_batch]
    report = {
        "benchmark": "embedding_speed",
        "measured_at": timestamp(),
        "model": options.model,
        "variants": options.variants,
        "residues": options.residues,
        "repeats": options.repeats,
        "weights": "random",
        "machine": machine(),
        "batches": measured,
        "best_against_best": {
            name: best(measured, "fair_esm_fp32") / best(measured, name)
            for name in ("ours_fp32", "ours_bf16")
        },
    }
    show(report)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"written to {options.output}")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=ESM2_MODELS, default=ESM2_MODELS[0])
    parser.add_argument("--variants", type=int, default=512)
    parser.add_argument("--residues", type=int, default=56)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--tokens-per-batch", type=int, nargs="+", default=[1024, 2048, 4096, 8192])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    options.output = options.output or RESULTS_DIR / f"embedding_speed_{options.model}.json"
    return options


def random_model(name: str) -> tuple[ESM2, Esm2Weights]:
    """fair-esm's model with its own random initialization, and the same weights for ours."""
    torch.manual_seed(0)
    layers, heads = esm_layers(name), {36: 40, 48: 40}.get(esm_layers(name), 20)
    model = ESM2(layers, WIDTHS[layers], heads, alphabet="ESM-1b").eval()
    state = {key: tensor.detach() for key, tensor in model.state_dict().items()}
    return model, Esm2Weights(name, "random", layers, heads, WIDTHS[layers], True, state)


def double_mutants(n: int, residues: int) -> np.ndarray:
    """uint8 [n, residues]: different sequences, two random mutations each in a random template."""
    random = np.random.default_rng(0)
    letters = np.repeat(random.choice(AMINO_ACIDS, (1, residues)), 2 * n + 100, axis=0)
    rows = np.arange(len(letters))
    for _ in range(2):
        letters[rows, random.integers(0, residues, len(letters))] = random.choice(AMINO_ACIDS, len(letters))
    return np.unique(letters, axis=0)[random.permutation(n)]


def measure(
    options: argparse.Namespace, model: ESM2, weights: Esm2Weights, letters: np.ndarray, size: int
) -> dict:
    """Seconds of each side for the whole library with one batch size, and how far the results are apart."""
    library = Library(pa.array([row.tobytes().decode() for row in letters], pa.large_string()))
    per_batch = max(1, size // (letters.shape[1] + 2))
    batches = torch.from_numpy(esm2_tokens(letters)).split(per_batch)

    def ours(precision: str):
        engine = Esm2Engine(
            weights, layer=weights.n_layers, pooling="mean", precision=precision, typical_tokens=size
        )
        return lambda: embed_library(
            library, engine, tokens_per_batch=size, policy={}, monitor=StageMonitor()
        )

    sides = {
        "fair_esm_fp32": lambda: fair_esm_extraction(model, batches),
        "ours_fp32": ours("fp32"),
        "ours_bf16": ours("bf16"),
    }
    vectors = {name: side() for name, side in sides.items()}  # also the warm-up
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.repeats):
        for name, side in sides.items():
            started = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - started)
    return summary(size, len(letters), seconds, vectors)


def fair_esm_extraction(model: ESM2, batches: tuple[torch.Tensor, ...]) -> np.ndarray:
    """The loop of fair-esm's scripts/extract.py with `--include mean`, without its files."""
    means = []
    with torch.no_grad():
        for tokens in batches:
            out = model(tokens, repr_layers=[model.num_layers], return_contacts=False)
            out["logits"].to(device="cpu")
            states = out["representations"][model.num_layers].to(device="cpu")
            means += [states[i, 1:-1].mean(0).clone() for i in range(len(tokens))]
    return torch.stack(means).numpy()


def summary(size: int, n: int, seconds: dict[str, list[float]], vectors: dict[str, np.ndarray]) -> dict:
    peer = vectors["fair_esm_fp32"]
    median = {name: statistics.median(times) for name, times in seconds.items()}
    result: dict = {"tokens_per_batch": size, "sides": {}}
    for name, times in seconds.items():
        error = vectors[name] - peer
        noise = (error - error.mean(0)).std(0) / peer.std(0)
        result["sides"][name] = {
            "seconds_median": median[name],
            "seconds_min": min(times),
            "seconds_max": max(times),
            "sequences_per_second": n / median[name],
            "times_faster_than_fair_esm": median["fair_esm_fp32"] / median[name],
            "max_relative_error": float(np.abs(error).max() / np.abs(peer).max()),
            "noise_to_between_variant_deviation": float(np.median(noise)),
        }
    return result


def best(measured: list[dict], name: str) -> float:
    return min(batch["sides"][name]["seconds_median"] for batch in measured)


def machine() -> dict:
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "onednn_products": oneDNN_is_available(),
        "system": platform.platform(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).is_file() else []


def show(report: dict) -> None:
    machine_, n = report["machine"], report["variants"]
    print(
        f"{report['model']}, {n} variants of {report['residues']} residues, {machine_['threads']} threads of"
    )
    print(f"{machine_['cpu']} (load average {machine_['load_average']}), median of {report['repeats']}\n")
    print(
        f"{'tokens':>7}  {'side':<14}{'seq/s':>8}{'ratio':>7}   {'seconds (min .. max)':<24}{'rel. error':>11}"
    )
    for batch in report["batches"]:
        for name, side in batch["sides"].items():
            spread = f"{side['seconds_median']:.2f} ({side['seconds_min']:.2f} .. {side['seconds_max']:.2f})"
            print(
                f"{batch['tokens_per_batch']:>7}  {name:<14}{side['sequences_per_second']:>8.1f}"
                f"{side['times_faster_than_fair_esm']:>7.2f}   {spread:<24}{side['max_relative_error']:>11.1e}"
            )
    for name, ratio in report["best_against_best"].items():
        print(f"best batch size of each: {name} is {ratio:.2f} times as fast as fair-esm")


if __name__ == "__main__":
    main()
