"""Embed N sequences: distinct ones once, without padding, in bounded memory, stored ones looked up.

Independent of the model: an `Embedder` gets batches of equally long sequences. Each vector is written to its row of
one preallocated array; above 1 GiB that array is a file.
"""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, Protocol

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding.allocator import freed_memory_kept
from proteinx_pipelines.stages.embedding.letters import LengthGroup, as_letters, groups_by_length
from proteinx_pipelines.stages.embedding.pooling import differing_positions
from proteinx_pipelines.stages.embedding.spreading import Letters
from proteinx_pipelines.stages.embedding.store import EmbeddingStore, sequence_keys

MAX_BYTES_IN_MEMORY = 1 << 30
_ROWS_PER_COPY = 65536
_ROWS_PER_LOOKUP = 8192


class Embedder(Protocol):
    """Anything that turns equally long sequences into vectors of `width` numbers."""

    width: int

    def embed(self, letters: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        """uint8 [B, L] letters, bool [B, L] positions to float32 [B, D]."""
        ...


Elsewhere = Callable[[Sequence[Letters]], Iterator[tuple[int, np.ndarray]]]
"""(batches) -> number and vectors of each, as they are finished."""


@dataclass(frozen=True)
class Library:
    """N sequences, and the template of each if pooling reads mutated positions."""

    sequences: pa.Array
    sources: np.ndarray | None = None
    """str [N], the source of each sequence; None when positions do not matter."""
    templates: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Batch:
    rows: np.ndarray
    letters: np.ndarray
    positions: np.ndarray | None

    def part(self, chosen: np.ndarray | slice) -> "_Batch":
        positions = None if self.positions is None else self.positions[chosen]
        return _Batch(self.rows[chosen], self.letters[chosen], positions)


def embed_library(
    library: Library,
    embedder: Embedder,
    *,
    tokens_per_batch: int,
    policy: Mapping[str, Any],
    monitor: StageMonitor,
    store: EmbeddingStore | None = None,
    out: np.ndarray | None = None,
    elsewhere: Elsewhere | None = None,
) -> np.ndarray:
    """Embed every sequence of the library.

    Args:
        library: N sequences over the twenty amino acids.
        embedder: the model.
        tokens_per_batch: upper limit of (residues + 2) x sequences in one batch; one sequence at least.
        policy: store policy of the vectors.
        monitor: receives progress after every batch.
        store: queried before the embedder; receives the new vectors.
        out: float32 [N, D], destination of the vectors; from `allocate` when None.
        elsewhere: embeds the batches instead of this process; the same batches, so the numbers are the same.

    Returns:
        `out`: float32 [N, D], row i belongs to sequence i.

    Raises:
        BadVariants: positions are needed and a sequence is not as long as its template; or from `allocate`.
        Stopped: the experiment was cancelled; vectors already stored stay in the store.
    """
    first_rows, item_of_row = _unique(library)
    out = allocate(len(library.sequences), embedder.width) if out is None else out
    progress = _Progress(monitor, len(first_rows))

    def keep(batch: _Batch, vectors: np.ndarray) -> None:
        out[batch.rows] = vectors
        if store is not None:
            store.put_many(policy, sequence_keys(batch.letters, batch.positions), vectors)
        progress.embedded(len(batch.rows))

    far: list[_Batch] = []
    with freed_memory_kept():
        for unique_group in groups_by_length(library.sequences.take(pa.array(first_rows))):
            group = replace(unique_group, rows=first_rows[unique_group.rows])
            todo = _Batch(group.rows, group.letters, _positions(library, group))
            if store is not None:
                todo = _look_up(todo, store, policy, out)
                progress.found(len(group.rows) - len(todo.rows))
            batches = _batches(todo, max(1, tokens_per_batch // (group.length + 2)))
            if elsewhere is not None:
                far += batches
                continue
            for batch in batches:
                keep(batch, embedder.embed(batch.letters, batch.positions))
        if elsewhere is not None and far:
            for number, vectors in elsewhere([(batch.letters, batch.positions) for batch in far]):
                keep(far[number], vectors)
    _fill_repeated(out, first_rows, item_of_row)
    return out


def _unique(library: Library) -> tuple[np.ndarray, np.ndarray]:
    """First row of each distinct (sequence, template) pair, ascending, and the index of each row's pair."""
    codes = library.sequences.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    if library.sources is not None:
        _, source_codes = np.unique(library.sources, return_inverse=True)
        codes = codes * (int(source_codes.max()) + 1) + source_codes
    _, first_rows, item_of_row = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(first_rows)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first_rows[order], rank[item_of_row]


def _positions(library: Library, group: LengthGroup) -> np.ndarray | None:
    if library.sources is None or library.templates is None:
        return None
    positions = np.empty(group.letters.shape, dtype=bool)
    sources = library.sources[group.rows]
    for source in sorted(set(sources.tolist())):
        rows = sources == source
        positions[rows] = differing_positions(
            group.letters[rows], as_letters(library.templates[source]), source
        )
    return positions


def _look_up(todo: _Batch, store: EmbeddingStore, policy: Mapping[str, Any], out: np.ndarray) -> _Batch:
    """Copy stored vectors into `out`, and return the sequences that remain."""
    unknown = np.ones(len(todo.rows), dtype=bool)
    for start in range(0, len(todo.rows), _ROWS_PER_LOOKUP):
        part = todo.part(slice(start, start + _ROWS_PER_LOOKUP))
        vectors = np.empty((len(part.rows), out.shape[1]), dtype=np.float32)
        known = store.get_many(policy, sequence_keys(part.letters, part.positions), vectors)
        out[part.rows[known]] = vectors[known]
        unknown[start : start + len(known)] = ~known
    return todo.part(unknown)


def _batches(todo: _Batch, size: int) -> Iterator[_Batch]:
    for start in range(0, len(todo.rows), size):
        yield todo.part(slice(start, start + size))


def allocate(n: int, width: int) -> np.ndarray:
    """Allocate an uninitialised float32 [n, width]; above 1 GiB a memory-mapped temporary file.

    Raises:
        BadVariants: the temporary folder has no space for that file. The system's error is its cause, so that the
        experiment fails with `disk_full`.
    """
    n_bytes = n * width * 4
    if n_bytes <= MAX_BYTES_IN_MEMORY:
        return np.empty((n, width), dtype=np.float32)
    # The file has no name (on Windows, it is deleted on close), so nothing is left behind.
    with tempfile.TemporaryFile(prefix="proteinx-embedding-") as stream:
        free = shutil.disk_usage(tempfile.gettempdir()).free
        try:
            _reserve(stream, n_bytes, free)
        except OSError as error:
            raise BadVariants(
                f"{n:,} vectors of {width:,} numbers are {n_bytes / 1e9:,.1f} GB, and the temporary folder "
                f"{tempfile.gettempdir()} has {free / 1e9:,.1f} GB free ({error.strerror}). Make room there, name a "
                "larger folder in TMPDIR, choose a smaller representation, or select fewer variants."
            ) from error
        return np.memmap(stream, dtype=np.float32, mode="w+", shape=(n, width))


def _reserve(stream: IO[bytes], n_bytes: int, free: int) -> None:
    """Reserve disk space for the whole file: a mapped page without space would kill the process later."""
    if n_bytes > free:  # trying would fill the disk for a moment, for every process
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(stream.fileno(), 0, n_bytes)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # a file system that cannot promise
            raise


def _fill_repeated(out: np.ndarray, first_rows: np.ndarray, item_of_row: np.ndarray) -> None:
    origin = first_rows[item_of_row]
    repeated = np.flatnonzero(origin != np.arange(len(origin)))
    for start in range(0, len(repeated), _ROWS_PER_COPY):
        rows = repeated[start : start + _ROWS_PER_COPY]
        out[rows] = out[origin[rows]]


class _Progress:
    """Reports distinct sequences done, rate and remaining time to the monitor."""

    def __init__(self, monitor: StageMonitor, total: int) -> None:
        self._monitor, self._total = monitor, total
        self._done = self._forwarded = 0
        self._started = time.perf_counter()

    def found(self, n: int) -> None:
        self._done += n
        self._monitor.progress(self._done, self._total, f"{n} sequences known already")

    def embedded(self, n: int) -> None:
        self._done += n
        self._forwarded += n
        rate = self._forwarded / max(time.perf_counter() - self._started, 1e-9)
        left = (self._total - self._done) / rate
        self._monitor.progress(self._done, self._total, f"{rate:.3g} sequences/s, {_duration(left)} left")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    )
