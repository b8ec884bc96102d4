"""Read a file of precomputed vectors: `.safetensors`, `.npz`, HDF5, `.pt` or a table, without executing anything in it.

Either one matrix (`vectors`, or `embeddings`) with the names of its rows (`ids`, or `sequences`, or `mutants`), or
one vector under each name. `from_file` matches names to variants.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import BadVariants, MissingFile
from proteinx_pipelines.variant_files.container import MOST_TIMES, SMALL_BYTES
from proteinx_pipelines.variant_files.forms import read_table
from proteinx_pipelines.variant_files.notation import respelled
from proteinx_pipelines.variant_files.numbers import read_numbers

_MATRIX = ("vectors", "embeddings")
_NAMES = ("ids", "sequences", "mutants")


def read_vectors(file: Path) -> tuple[list[str], np.ndarray]:
    """Names (n texts) and vectors (float32 [n, D]) of a file.

    Raises:
        MissingFile: it is not on this node.
        BadVariants: it has another form, vectors of different lengths, or numbers that are not finite.
    """
    from proteinx_pipelines.catalog.limits import MOST_BYTES, refuse_endless_file

    if not file.is_file():
        raise MissingFile(
            f"`embedding.path` {str(file)!r} is not a file on this node. Put it there, or mend the path."
        )
    if file.suffix.lower() not in FORMS:
        raise _bad(file, f"has the form {file.suffix!r}; {', '.join(FORMS)} are expected")
    try:
        refuse_endless_file(
            file, max(MOST_BYTES, file.stat().st_size)
        )  # vectors of many variants may be larger
        content = _READERS[file.suffix.lower()](file)
        _refuse_endless(file, sum(value.size for value in content.values() if isinstance(value, np.ndarray)))
        names, vectors = _names_and_vectors(content)
    except BadVariants:
        raise
    except Exception as error:  # whatever a damaged file makes its reader raise
        raise _bad(
            file, f"cannot be read ({str(error).splitlines()[0] if str(error) else error!r})"
        ) from error
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise _bad(file, f"has numbers that are not finite, the first in the vector of {names[row]!r}")
    return names, vectors


def _safetensors(file: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(str(file), framework="numpy") as stream:
        content: dict[str, Any] = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        metadata = stream.metadata() or {}
    # A safetensors file holds no texts: names of a matrix are JSON in its metadata.
    return {**content, **{name: json.loads(metadata[name]) for name in _NAMES if name in metadata}}


def _npz(file: Path) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as stream:
        return {name: stream[name] for name in stream.files}


def _hdf5(file: Path) -> dict[str, Any]:
    """Datasets by their path, or by their attribute `original_id`, which bio_embeddings and biotrainer write.

    An id such as `toy/A4G` is a dataset `A4G` in a group `toy`. Links to other files are not followed: an HDF5 file may
    name any file of the machine that reads it.
    """
    import h5py

    content: dict[str, Any] = {}
    sizes = [0]

    def take(path: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.is_virtual or item.external:
            raise ValueError(f"{path!r} keeps its numbers in other files")
        is_text = h5py.check_string_dtype(item.dtype) is not None
        if not is_text and item.dtype.kind not in "fiu":
            raise ValueError(f"{path!r} is of type {item.dtype}; numbers or names are expected")
        name = item.attrs.get("original_id", path)
        name = name.decode() if isinstance(name, bytes) else str(name)
        if name in content:
            raise ValueError(f"two vectors of {name!r}")
        sizes[0] += item.size
        _refuse_endless(file, sizes[0])  # numbers that were never written take no space in the file
        content[name] = item.asstr()[()] if is_text else item[()]

    with h5py.File(file, "r") as stream:
        stream.visititems(take)  # does not follow soft or external links
    return content


def _torch(file: Path) -> dict[str, Any]:
    import torch

    content = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(content, dict):
        raise TypeError(f"a {type(content).__name__}; a dictionary is expected")
    return {
        str(name): value.float().numpy() if isinstance(value, torch.Tensor) else value
        for name, value in content.items()
    }


def _table(file: Path) -> dict[str, Any]:
    """A table with a column of ids, mutants or sequences, and one column for each number of the vectors."""
    table = read_table(file)
    places = range(len(table.names))
    numbers = [place for place in places if pa.types.is_floating(table.columns[place].type)]
    texts = {}
    for place in places:
        if place not in numbers:
            cells = read_numbers(table.columns[place], table.names[place])
            if cells.bad.any():
                texts[place] = table.text(place)
            else:
                numbers.append(place)
    named = [place for place in texts if table.names[place].lower() in _TEXT_NAMES] or list(texts)
    if len(named) != 1:
        found = ", ".join(repr(table.names[place]) for place in named) or "none"
        raise ValueError(
            f"columns of texts {found}; one that names the rows is expected (`id`, `mutant`, `sequence`)"
        )
    numbers = sorted(place for place in numbers if table.names[place].lower() not in _INDEX_NAMES)
    if not numbers:
        raise ValueError("no columns of numbers")
    columns = [read_numbers(table.columns[place], table.names[place]).values for place in numbers]
    names = [text or "" for text in texts[named[0]].to_pylist()]
    return {"vectors": np.stack(columns, axis=1), "ids": [respelled(text, "", 0) or text for text in names]}


_TEXT_NAMES = ("id", "ids", "mutant", "mutants", "variant", "sequence", "mutated_sequence", "name", "names")
_INDEX_NAMES = ("", "unnamed: 0", "index")
_READERS = {
    ".safetensors": _safetensors, ".npz": _npz, ".h5": _hdf5, ".hdf5": _hdf5, ".pt": _torch,
    **dict.fromkeys((".csv", ".tsv", ".gz", ".zip", ".xlsx", ".parquet", ".feather"), _table),
}  # fmt: skip
FORMS = tuple(_READERS)


def _names_and_vectors(content: Mapping[str, Any]) -> tuple[list[str], np.ndarray]:
    matrix = next((content[name] for name in _MATRIX if name in content), None)
    if matrix is not None:
        named: Sequence[Any] | None = next((content[name] for name in _NAMES if name in content), None)
        if named is None:
            raise ValueError(
                f"a matrix without the names of its rows; one of {', '.join(_NAMES)} is expected"
            )
        names, vectors = [str(name) for name in named], np.asarray(matrix, np.float32)
    else:
        if not content:
            raise ValueError("nothing in it")
        names, rows = list(content), [np.asarray(value, np.float32).reshape(-1) for value in content.values()]
        lengths = sorted({len(row) for row in rows})
        if len(lengths) != 1:
            raise ValueError(f"vectors of {', '.join(map(str, lengths))} numbers; equal lengths are expected")
        vectors = np.stack(rows)
    if vectors.ndim != 2 or len(vectors) != len(names):
        raise ValueError(f"a matrix of shape {vectors.shape} for {len(names)} names")
    return names, vectors


def _refuse_endless(file: Path, numbers: int) -> None:
    if 4 * numbers > max(SMALL_BYTES, MOST_TIMES * file.stat().st_size):
        raise ValueError(f"{numbers:,} numbers in {file.stat().st_size:,} bytes, which no vectors need")


def _bad(file: Path, found: str) -> BadVariants:
    return BadVariants(f"`embedding.path`: {file.name} {found}. Write it again.")
