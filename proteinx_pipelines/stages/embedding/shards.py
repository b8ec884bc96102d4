"""One file of the sequence store: keys and their vectors, sorted by key, never changed once it is there.

A shard is named after the SHA-256 of its bytes, so writers cannot collide and hashing detects damage. It is a
safetensors file (`vectors` float32 [n, D], `keys` uint8 [n, 32]) that is memory-mapped, not read: opening one costs
8 bytes of memory per row.

Source: https://github.com/huggingface/safetensors, "Format".
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.experiment_dir.files import PARTIAL_SUFFIX, sync_folder
from proteinx_pipelines.stages.embedding.store import KEY_BYTES

SUFFIX = ".safetensors"
_FLOAT = np.dtype("<f4")
_MAX_HEADER_BYTES = 4096
_ROWS_PER_WRITE = 16_384


@dataclass(frozen=True)
class Shard:
    """Rows of one policy: mapped from a file, or about to be written to one."""

    path: Path | None
    """None while the rows are in memory only."""
    keys: np.ndarray
    """uint8 [n, KEY_BYTES]; ascending when they come from a file."""
    vectors: np.ndarray
    """float32 [n, D]."""
    content: np.ndarray | None = None
    """All bytes of the file, mapped: they stay readable when another process has merged the file away."""

    @property
    def n_bytes(self) -> int:
        """Bytes of keys and vectors."""
        return int(self.keys.nbytes + self.vectors.nbytes)

    @property
    def is_intact(self) -> bool:
        """True if the file's bytes are as written; reads the whole file."""
        if self.path is None or self.content is None:
            return True
        return hashlib.sha256(self.content.data).hexdigest() == self.path.stem

    def prefixes(self) -> np.ndarray:
        """uint64 [n]: first eight bytes of each key, in key order."""
        return key_prefixes(self.keys)


def key_prefixes(keys: np.ndarray) -> np.ndarray:
    """First eight bytes of keys (uint8 [n, KEY_BYTES]) as uint64 [n], which sort as the keys do."""
    return np.ascontiguousarray(keys[:, :8]).view(">u8").ravel().astype(np.uint64)


def write_shard(folder: Path, parts: Sequence[Shard]) -> Path:
    """Write the rows of `parts` as one sorted shard; of equal keys one is kept. Needs 16 bytes of memory a row.

    Returns:
        The file, in place and durable.
    """
    part, row = _sorted_rows(parts)
    width = parts[0].vectors.shape[1]
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=PARTIAL_SUFFIX)
    partial, digest = Path(name), hashlib.sha256()
    try:
        with os.fdopen(descriptor, "wb") as stream:
            for block in _blocks(parts, part, row, width):
                digest.update(block)
                stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
        partial.chmod(0o644)
        target = folder / f"{digest.hexdigest()}{SUFFIX}"
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    return target


def open_shard(path: Path) -> Shard:
    """Map a shard. Its bytes are not checked yet: `is_intact` does that.

    Raises:
        FileNotFoundError: another process has merged or removed it.
        CorruptArtifact: it does not have the format of a shard.
    """
    try:
        n, width, start = _read_header(path)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptArtifact(f"{path} is no shard of the sequence store: {error}.") from error
    content = np.memmap(path, dtype=np.uint8, mode="r")
    end = start + n * width * _FLOAT.itemsize
    vectors = content[start:end].view(_FLOAT).reshape(n, width)
    return Shard(path, content[end:].reshape(n, KEY_BYTES), vectors, content)


def _sorted_rows(parts: Sequence[Shard]) -> tuple[np.ndarray, np.ndarray]:
    """Part and row within it of each row of the new shard."""
    prefixes = np.concatenate([shard.prefixes() for shard in parts])
    order = np.argsort(prefixes, kind="stable")
    prefixes = prefixes[order]
    starts = np.cumsum([0, *(len(shard.keys) for shard in parts)])
    part = np.searchsorted(starts, order, side="right") - 1
    row = order - starts[part]
    repeated = np.flatnonzero(prefixes[1:] == prefixes[:-1]) + 1
    same = [k for k in repeated if (parts[part[k]].keys[row[k]] == parts[part[k - 1]].keys[row[k - 1]]).all()]
    return np.delete(part, same), np.delete(row, same)


def _blocks(parts: Sequence[Shard], part: np.ndarray, row: np.ndarray, width: int) -> Iterator[Any]:
    """Yield the bytes of a shard: header, vectors, keys."""
    n, n_floats = len(row), len(row) * width * _FLOAT.itemsize
    header = json.dumps(
        {
            "vectors": {"dtype": "F32", "shape": [n, width], "data_offsets": [0, n_floats]},
            "keys": {
                "dtype": "U8", "shape": [n, KEY_BYTES], "data_offsets": [n_floats, n_floats + n * KEY_BYTES],
            },
        },
        separators=(",", ":"),
    ).encode()  # fmt: skip
    header += b" " * (-len(header) % 8)  # vectors begin at a multiple of 8 bytes, as mapping wants it
    yield len(header).to_bytes(8, "little") + header
    for dtype, columns in ((_FLOAT, width), (np.dtype(np.uint8), KEY_BYTES)):
        for start in range(0, n, _ROWS_PER_WRITE):
            chosen = slice(start, start + _ROWS_PER_WRITE)
            block = np.empty((len(row[chosen]), columns), dtype=dtype)
            for number, shard in enumerate(parts):
                mine = part[chosen] == number
                source = shard.vectors if dtype == _FLOAT else shard.keys
                block[mine] = source[row[chosen][mine]]
            yield block.data


def _read_header(path: Path) -> tuple[int, int, int]:
    """Number of rows, width, and offset of the vectors."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length <= _MAX_HEADER_BYTES:
            raise ValueError(f"a header of {length} bytes")
        document = json.loads(stream.read(length))
    n, width = (int(value) for value in document["vectors"]["shape"])
    expected = 8 + length + n * (width * _FLOAT.itemsize + KEY_BYTES)
    if document["keys"]["shape"] != [n, KEY_BYTES] or path.stat().st_size != expected:
        raise ValueError(f"{path.stat().st_size} bytes do not hold {n} rows of {width} numbers")
    return n, width, 8 + length
