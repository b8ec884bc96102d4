"""`embeddings/`: one safetensors file with a matrix, and the ids of its rows.

The format is a length, a JSON header and the bytes, so the file is written and read here without the library: a
matrix larger than memory is streamed, opening takes milliseconds, and any safetensors reader can read it. The header
carries a digest of the ids, so that a crash between the two files cannot pair old with new.

Source: https://github.com/huggingface/safetensors, "Format".
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import ArtifactError, CorruptArtifact, MissingArtifact
from proteinx_pipelines.experiment_dir.codecs.evidence import evidence_bytes, evidence_of
from proteinx_pipelines.experiment_dir.files import (
    json_ready,
    read_parquet,
    write_atomic,
    write_bytes,
    write_parquet,
)
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.records import Embedding, Evidence

VECTORS_FILE = "embeddings/embeddings.safetensors"
IDS_FILE = "embeddings/ids.parquet"
EVIDENCE_FILE = "embeddings/evidence.safetensors"
"""Arrays of `records.Evidence`; only where a structure or an alignment was given."""
_DTYPES: dict[str, tuple[str, np.dtype[Any]]] = {
    "vectors": ("F32", np.dtype("<f4")),
    "tokens": ("U8", np.dtype("u1")),
}
_MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors library


def save(record: Embedding, directory: ExperimentDir) -> list[str]:
    """Write the embedding; the same record gives the same bytes.

    Returns:
        The names of its files relative to the experiment's root, sorted.
    """
    name = "vectors" if record.vectors is not None else "tokens"
    matrix = record.vectors if record.vectors is not None else record.tokens
    if matrix is None or matrix.ndim != 2 or len(matrix) != len(record.ids):
        shape = None if matrix is None else matrix.shape
        raise ValueError(
            f"An embedding of {len(record.ids)} ids has a matrix of shape {shape}; [N, D] is expected."
        )
    ids = pa.table({"id": record.ids})
    description = {
        "info": record.info,
        "alphabet": record.alphabet,
        "ids": len(record.ids),
        "ids_sha256": _ids_sha256(ids),
    }
    header = _header(name, matrix.shape, description)
    names = [VECTORS_FILE, IDS_FILE]
    if record.evidence is not None:
        names.append(EVIDENCE_FILE)
        write_bytes(directory.path(EVIDENCE_FILE), evidence_bytes(record.evidence))
    else:
        directory.path(EVIDENCE_FILE).unlink(missing_ok=True)  # of an earlier computation
    write_parquet(directory.path(IDS_FILE), ids)
    write_atomic(
        directory.path(VECTORS_FILE), lambda partial: _write(partial, header, matrix, _DTYPES[name][1])
    )
    return sorted(names)


def load(directory: ExperimentDir) -> Embedding:
    """Read the embedding; the matrix stays in the file (memory-mapped, read-only) until rows are used.

    Raises:
        MissingArtifact: a file is not there; run the embedding stage again.
        CorruptArtifact: the files are damaged or do not belong together; run the embedding stage again.
    """
    for name in (VECTORS_FILE, IDS_FILE):
        if not directory.path(name).is_file():
            raise _problem(MissingArtifact, directory, name, "is not there")
    matrix_name, matrix, description = _open(directory)
    ids = _read_ids(directory)
    if len(ids) != len(matrix) or _ids_sha256(ids) != description.get("ids_sha256"):
        found = (
            f"does not belong to {IDS_FILE}: its {len(matrix)} rows are of other ids than those {len(ids)}"
        )
        raise _problem(CorruptArtifact, directory, VECTORS_FILE, found)
    return Embedding(
        ids=ids.column("id").combine_chunks(),
        info=description["info"],
        alphabet=description["alphabet"],
        evidence=_read_evidence(directory),
        **{matrix_name: matrix},
    )


def _read_evidence(directory: ExperimentDir) -> Evidence | None:
    path = directory.path(EVIDENCE_FILE)
    if not path.is_file():
        return None
    try:
        return evidence_of(path.read_bytes())
    except (ValueError, KeyError, TypeError) as error:
        raise _problem(CorruptArtifact, directory, EVIDENCE_FILE, f"cannot be read ({error})") from error


def _header(name: str, shape: tuple[int, ...], description: dict[str, Any]) -> bytes:
    code, dtype = _DTYPES[name]
    text = json.dumps(json_ready(description), sort_keys=True, ensure_ascii=False, allow_nan=False)
    document = {
        "__metadata__": {"proteinx": text},
        name: {"dtype": code, "shape": list(shape), "data_offsets": [0, math.prod(shape) * dtype.itemsize]},
    }
    header = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    header += b" " * (-len(header) % 8)  # the matrix begins at a multiple of 8 bytes, as memory mapping needs
    return len(header).to_bytes(8, "little") + header


def _write(partial: Path, header: bytes, matrix: np.ndarray, dtype: np.dtype[Any]) -> None:
    with partial.open("wb") as stream:
        stream.write(header)
        step = max(1, (16 << 20) // max(1, matrix.shape[1] * dtype.itemsize))
        for start in range(0, len(matrix), step):
            stream.write(np.ascontiguousarray(matrix[start : start + step], dtype=dtype).data)


def _open(directory: ExperimentDir) -> tuple[str, np.ndarray, dict[str, Any]]:
    path = directory.path(VECTORS_FILE)
    try:
        name, shape, description, start = _read_header(path)
        if path.stat().st_size != start + math.prod(shape) * _DTYPES[name][1].itemsize:
            raise ValueError(f"{path.stat().st_size} bytes do not hold a matrix of {shape[0]} x {shape[1]}")
    except (ValueError, KeyError, TypeError) as error:
        raise _problem(CorruptArtifact, directory, VECTORS_FILE, f"cannot be read ({error})") from error
    if math.prod(shape) == 0:  # nothing to map
        return name, np.empty(shape, dtype=_DTYPES[name][1]), description
    return name, np.memmap(path, dtype=_DTYPES[name][1], mode="r", offset=start, shape=shape), description


def _read_header(path: Path) -> tuple[str, tuple[int, int], dict[str, Any], int]:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > min(_MAX_HEADER_BYTES, path.stat().st_size):
            raise ValueError(f"a header of {length} bytes")
        document = json.loads(stream.read(length))
    description = json.loads(document.pop("__metadata__")["proteinx"])
    ((name, entry),) = document.items()
    if entry["dtype"] != _DTYPES[name][0]:
        raise ValueError(f"{name} are {entry['dtype']}, {_DTYPES[name][0]} is expected")
    rows, columns = entry["shape"]
    if not isinstance(description["info"], dict) or not isinstance(description["alphabet"], str):
        raise TypeError("a description without `info` and `alphabet`")
    return name, (int(rows), int(columns)), description, 8 + length


def _read_ids(directory: ExperimentDir) -> pa.Table:
    try:
        return read_parquet(directory.path(IDS_FILE)).select(["id"])
    except (pa.ArrowException, KeyError) as error:
        raise _problem(CorruptArtifact, directory, IDS_FILE, f"cannot be read ({error})") from error


def _ids_sha256(ids: pa.Table) -> str:
    """Digest of the ids in their order, lengths first so that no two lists share their bytes."""
    column = ids.column("id").combine_chunks().cast(pa.large_string())
    lengths = pc.binary_length(column).to_numpy(zero_copy_only=False).astype("<i8")
    _, offsets, data = column.buffers()
    first = int(np.frombuffer(offsets, dtype=np.int64)[column.offset]) if len(column) else 0
    digest = hashlib.sha256(lengths.tobytes())
    if data is not None:
        digest.update(memoryview(data)[first : first + int(lengths.sum())])
    return digest.hexdigest()


def _problem(error: type[ArtifactError], directory: ExperimentDir, name: str, found: str) -> ArtifactError:
    return error(
        f"{directory.path(name)} {found}. Run the embedding stage of {directory.experiment_id} again: "
        "send the experiment with `run.allow_duplicate` true and `run.resume` false."
    )
