"""Embeddings of 149,360 variants x 1,280 numbers: opening the file, and one pass over all of it.

Ours is the codec of the experiment directory: a memory-mapped safetensors file and the ids, whose digest is checked.
The peers hold the same matrix: `numpy.load` and `torch.load`, into memory as an extraction script's reader does and
mapped as they can too, and h5py into memory. The pass adds up all rows; its peer does so on the same matrix in
memory. All files are in the page cache.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from measure import Figure, Goal, arguments_of, in_turn, report

from proteinx_pipelines.experiment_dir.codecs import embedding as codec
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.records import Embedding

_BLOCK_ROWS = 8192


def main() -> None:
    options = arguments_of(
        __doc__,
        lambda p: p.add_argument("--rows", type=int, default=149_360),
        lambda p: p.add_argument("--width", type=int, default=1280),
    )
    matrix = np.random.default_rng(0).random((options.rows, options.width), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        directory = ExperimentDir(Path(folder), "ours")
        ids = pa.array([f"SPG1_STRSG_Wu_2016/V265A:{number}" for number in range(options.rows)])
        codec.save(Embedding(ids, {"name": "made up"}, matrix), directory)
        peers = readers(matrix, Path(folder)) if options.peers else {}
        seconds = in_turn({"ours": lambda: codec.load(directory), **peers}, options.repeats)
        mapped = codec.load(directory).vectors
        assert mapped is not None
        passes = in_turn({"ours": lambda: total(mapped), "memory": lambda: total(matrix)}, options.repeats)
        facts = {"bytes": matrix.nbytes, "GB_per_second": matrix.nbytes / passes["ours"].median / 1e9}
    size = f"{options.rows:,} x {options.width:,} embeddings"
    opening = (Goal("ours", "<=", 0.1),)
    figures = [
        Figure(
            f"files.open_{name}", f"opening {size}", "s", seconds["ours"], seconds[name], peer_name, opening
        )
        for name, peer_name in PEER_NAMES.items()
        if name in seconds
    ] or [Figure("files.open_numpy", f"opening {size}", "s", seconds["ours"], goals=opening)]
    a_pass = Figure(
        "files.pass", f"one pass over {size}", "s", passes["ours"], passes["memory"], "the same matrix in memory",
        (Goal("ratio", ">=", 0.8),), facts,
    )  # fmt: skip
    report("files", [*figures, a_pass], options.out)


PEER_NAMES = {
    "numpy": "numpy.load, into memory",
    "numpy_mapped": "numpy.load, mapped, without ids",
    "torch": "torch.load, into memory",
    "torch_mapped": "torch.load, mapped, without ids",
    "h5py": "h5py, into memory",
}


def readers(matrix: np.ndarray, folder: Path) -> dict[str, Callable[[], Any]]:
    """The matrix in each peer's file, and what reads it; h5py where it is installed."""
    np.save(folder / "matrix.npy", matrix)
    torch.save(torch.from_numpy(matrix), folder / "matrix.pt")
    found: dict[str, Callable[[], Any]] = {
        "numpy": lambda: np.load(folder / "matrix.npy"),
        "numpy_mapped": lambda: np.load(folder / "matrix.npy", mmap_mode="r"),
        "torch": lambda: torch.load(folder / "matrix.pt"),
        "torch_mapped": lambda: torch.load(folder / "matrix.pt", mmap=True),
    }
    try:
        import h5py
    except ImportError:
        print("h5py is not installed: this peer is left out")
        return found
    with h5py.File(folder / "matrix.h5", "w") as file:
        file["matrix"] = matrix
    found["h5py"] = lambda: _whole(h5py, folder / "matrix.h5")
    return found


def _whole(h5py: Any, path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        return np.asarray(file["matrix"][:])


def total(matrix: np.ndarray) -> np.ndarray:
    """float64 [D]: the sum of all rows, in blocks that stay in the cache."""
    sums = np.zeros(matrix.shape[1])
    for begin in range(0, len(matrix), _BLOCK_ROWS):
        sums += matrix[begin : begin + _BLOCK_ROWS].sum(0)
    return sums


if __name__ == "__main__":
    main()
