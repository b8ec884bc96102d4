"""Our ESM-2 forward pass beside fair-esm's extraction, on a library of equally long variants.

Both get the same random weights, the same batches and the same threads. Each side has a process of its own, as in use:
what one asks of the C library's allocator would speed the other up. They take turns in every repeat, so that a busy
machine slows both; the best batch size of one is compared with the best of the other. fair-esm's side is
the loop of its `scripts/extract.py`: the forward pass with `repr_layers=[last]`, states to the host, mean over
residues there; its tokens are made beforehand. Our side is the whole of `embed_library`: finding equal sequences,
tokens, forward pass, pooling, the array of results. Loading a model is in neither. The package `esm-cpp` is
measured too where it is installed (`embedding_esm_cpp`); `esm-efficient` imports `flash-attn`, which needs CUDA.

    python benchmarks/embedding_speed.py --models 8m --variants 512
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import embedding_esm_cpp
import numpy as np
import pyarrow as pa
import torch
from esm.model.esm2 import ESM2
from measure import Figure, Goal, Spread, arguments_of, report

from proteinx_pipelines.domain.embedders import esm_layers
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding.esm2_engine import Esm2Engine, esm2_tokens
from proteinx_pipelines.stages.embedding.esm2_weights import WIDTHS, Esm2Weights
from proteinx_pipelines.stages.embedding.precision import multiplies_bf16, self_test
from proteinx_pipelines.stages.embedding.stream import Library, embed_library

AMINO_ACIDS = np.frombuffer(b"ACDEFGHIKLMNPQRSTVWY", dtype=np.uint8)
FAIR_ESM = "fair-esm"
ESM_CPP = {"fp32": "esm-cpp", "bf16": "esm-cpp, INT8"}
"""What of `esm-cpp` stands beside each of our formats."""


@dataclass(frozen=True)
class Case:
    """A model and how much of it is measured."""

    model: str
    variants: int
    tokens_per_batch: tuple[int, ...]
    fp32_goal: float


CASES = {
    "8m": Case("esm2_t6_8M_UR50D", 256, (1024, 2048, 4096, 8192), 1.8),
    "150m": Case("esm2_t30_150M_UR50D", 32, (1024, 2048), 1.1),
}
BF16_GOAL = 3.0


def main() -> None:
    options = arguments_of(
        __doc__.splitlines()[0],
        lambda parser: parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES)),
        lambda parser: parser.add_argument("--variants", type=int, help="instead of each model's own number"),
        lambda parser: parser.add_argument("--residues", type=int, default=56),
        lambda parser: parser.add_argument("--threads", type=int, default=os.cpu_count()),
    )
    torch.set_num_threads(options.threads)
    report(
        "embedding_speed",
        [figure for name in options.models for figure in figures(name, options)],
        options.out,
    )


def figures(name: str, options: argparse.Namespace) -> list[Figure]:
    """fp32 and bf16 of one model, each side at its best batch size; `esm-cpp` beside fp32 where it is installed."""
    case = CASES[name]
    n = options.variants or case.variants
    names = side_names(peers=options.peers)
    found = {size: measured(case.model, n, size, names, options) for size in case.tokens_per_batch}
    vectors = next(iter(found.values())).vectors
    facts = {
        "variants": n, "residues": options.residues, "threads": options.threads, "weights": "random",
        "self_test_seconds": self_test(random_model(case.model)[1]) if multiplies_bf16() else None,
    }  # fmt: skip
    peer = best(found, FAIR_ESM)
    result = []
    for precision, goal in (("fp32", case.fp32_goal), ("bf16", BF16_GOAL)):
        if precision not in vectors:
            continue
        size, spread = best(found, precision)
        assert spread is not None  # its vectors are there
        more = {
            "tokens_per_batch": {"ours": size, FAIR_ESM: peer[0]},
            "sequences_per_second": n / spread.median,
            **distance(vectors, precision),
        }
        name_of_peer = FAIR_ESM if precision == "fp32" else f"{FAIR_ESM}, fp32"
        theirs, their_name = (peer[1], name_of_peer) if options.peers else (None, None)
        what = f"{n} variants through {case.model}, {precision}"
        figure_id = f"embedding.{precision}_{name}"
        result.append(
            Figure(
                figure_id, what, "s", spread, theirs, their_name, (Goal("ratio", ">=", goal),), facts | more
            )
        )
        if (package := ESM_CPP.get(precision)) in vectors:
            size, theirs = best(found, package)
            more = {"tokens_per_batch": {package: size}, **distance(vectors, package)}
            result.append(
                Figure(
                    f"embedding.esm_cpp_{precision}_{name}",
                    what,
                    "s",
                    spread,
                    theirs,
                    package,
                    (),
                    facts | more,
                )
            )
    return result


@dataclass(frozen=True)
class Measured:
    """The sides at one batch size."""

    seconds: dict[str, Spread]
    vectors: dict[str, np.ndarray]


def measured(model: str, n: int, size: int, names: Sequence[str], options: argparse.Namespace) -> Measured:
    """n variants with batches of `size` tokens: each side `--repeats` times, in turn.

    The first, uncounted, turn gives the vectors.
    """
    context = multiprocessing.get_context("spawn")
    connections, processes = {}, []
    for name in names:
        connections[name], theirs = context.Pipe()
        arguments = (theirs, name, model, double_mutants(n, options.residues), size, options.threads)
        processes.append(context.Process(target=serve, args=arguments, daemon=True))
        processes[-1].start()
    vectors = {name: connection.recv() for name, connection in connections.items()}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(options.repeats):
        for name, connection in connections.items():
            connection.send("again")
            seconds[name].append(connection.recv())
    for connection, process in zip(connections.values(), processes, strict=True):
        connection.send("end")
        process.join()
    return Measured({name: Spread.of(times) for name, times in seconds.items()}, vectors)


def serve(
    connection: Connection, name: str, model_name: str, letters: np.ndarray, size: int, threads: int
) -> None:
    """One side in this process: its vectors, then the seconds of each further time."""
    torch.set_num_threads(threads)
    embed = side(name, *random_model(model_name), letters, size)
    connection.send(embed())
    while connection.recv() == "again":
        started = time.perf_counter()
        embed()
        connection.send(time.perf_counter() - started)


def side_names(*, peers: bool) -> list[str]:
    ours = ["fp32", "bf16"] if multiplies_bf16() else ["fp32"]
    packages = list(ESM_CPP.values()) if embedding_esm_cpp.is_installed() else []
    return [*ours, FAIR_ESM, *packages] if peers else ours


def side(
    name: str, model: ESM2, weights: Esm2Weights, letters: np.ndarray, size: int
) -> Callable[[], np.ndarray]:
    """What embeds the library, with batches of `size` tokens."""
    tokens = esm2_tokens(letters)
    batches = torch.split(torch.from_numpy(tokens), max(1, size // tokens.shape[1]))
    if name == FAIR_ESM:
        return lambda: fair_esm_extraction(model, batches)
    if name in ESM_CPP.values():
        return esm_cpp_side(model, batches, int8=name != ESM_CPP["fp32"])
    library = Library(pa.array([row.tobytes().decode() for row in letters], pa.large_string()))
    engine = Esm2Engine(weights, layer=weights.n_layers, pooling="mean", precision=name, typical_tokens=size)
    return lambda: embed_library(library, engine, tokens_per_batch=size, policy={}, monitor=StageMonitor())


def esm_cpp_side(model: ESM2, batches: tuple[torch.Tensor, ...], *, int8: bool) -> Callable[[], np.ndarray]:
    embed = embedding_esm_cpp.embedder(model.state_dict(), int8=int8)
    return lambda: np.concatenate([embed(batch.numpy()) for batch in batches])


def best(found: dict[int, Measured], side: str) -> tuple[int | None, Spread | None]:
    """The batch size at which a side is fastest, and its times there; nothing where it was not measured."""
    sizes = [size for size, one in found.items() if side in one.seconds]
    size = min(sizes, key=lambda size: found[size].seconds[side].median, default=None)
    return size, None if size is None else found[size].seconds[side]


def distance(vectors: dict[str, np.ndarray], side: str) -> dict[str, float]:
    """How far a side's vectors are from fair-esm's, or from ours in fp32 where fair-esm was left out."""
    reference = vectors.get(FAIR_ESM, vectors["fp32"])
    error = vectors[side] - reference
    noise = (error - error.mean(0)).std(0) / reference.std(0)
    return {
        "max_relative_error": float(np.abs(error).max() / np.abs(reference).max()),
        "noise_to_between_variant_deviation": float(np.median(noise)),
    }


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


if __name__ == "__main__":
    main()
