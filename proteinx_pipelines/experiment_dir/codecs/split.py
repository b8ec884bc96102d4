"""`Split` on disk: id lists for people and scripts, one Parquet file that is read back, and a summary.

`splits/{train,val,test}_ids.json` for a single split, `splits/fold_<k>/...` for k folds; always
`splits/assignment.parquet` (`id`; `part`, or `fold_0`, `fold_1`, ...; `reason`) and `splits/summary.json`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import CorruptArtifact, MissingArtifact
from proteinx_pipelines.experiment_dir.files import (
    read_json,
    read_parquet,
    write_json,
    write_parquet,
    write_text,
)
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.records import Fold, Split

PARTS = ("train", "val", "test")
"""Values of a row in `assignment.parquet`; null if it is in no part."""


def save(record: Split, directory: ExperimentDir) -> list[str]:
    """Write the split; the same record gives the same bytes.

    Lists left by an earlier split with more folds are removed: they would be read as part of this one.

    Returns:
        The names of the files relative to the experiment's root, sorted.
    """
    ids = np.asarray(record.ids.to_numpy(zero_copy_only=False))
    written = []
    for folder, fold in zip(_folders(record, directory), record.folds, strict=True):
        for part in PARTS:
            text = json.dumps(ids[getattr(fold, part)].tolist(), ensure_ascii=False, separators=(",\n", ":"))
            written.append(write_text(folder / f"{part}_ids.json", text + "\n"))
    written.append(write_parquet(directory.splits_dir / "assignment.parquet", _table(record)))
    written.append(write_json(directory.splits_dir / "summary.json", record.info))
    _remove_others(directory, set(written))
    return sorted(path.relative_to(directory.root).as_posix() for path in written)


def load(directory: ExperimentDir) -> Split:
    """Read the split back, equal to what was saved.

    Raises:
        MissingArtifact: a file is not there; run the split stage again.
        CorruptArtifact: a file cannot be read as what it is; run the split stage again.
    """
    advice = f"Run the split stage of {directory.experiment_id} again, or restore the file."
    table_path, summary_path = (
        directory.splits_dir / name for name in ("assignment.parquet", "summary.json")
    )
    for path in (table_path, summary_path):
        if not path.is_file():
            raise MissingArtifact(f"{path} is not there. {advice}")
    try:
        table, info = read_parquet(table_path), read_json(summary_path)
        names = [name for name in table.column_names if name not in ("id", "reason")]
        folds = tuple(_read_fold(table.column(name)) for name in names)
        ids, reasons = table.column("id").combine_chunks(), table.column("reason").combine_chunks()
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptArtifact(f"The split in {directory.root} cannot be read: {error!r}. {advice}") from error
    if not folds or not isinstance(info, dict):
        raise CorruptArtifact(f"{table_path} has no column `part` or `fold_0`. {advice}")
    return Split(ids, folds, reasons, info)


def _folders(record: Split, directory: ExperimentDir) -> Iterator[Path]:
    if not record.is_cross_validation:
        yield directory.splits_dir
        return
    for k in range(len(record.folds)):
        yield directory.splits_dir / f"fold_{k}"


def _table(record: Split) -> pa.Table:
    names = [f"fold_{k}" for k in range(len(record.folds))] if record.is_cross_validation else ["part"]
    parts = {
        name: _part_column(fold, len(record.ids)) for name, fold in zip(names, record.folds, strict=True)
    }
    return pa.table({"id": record.ids, **parts, "reason": record.reasons})


def _part_column(fold: Fold, n: int) -> pa.DictionaryArray:
    codes = np.full(n, -1, np.int8)
    for code, part in enumerate(PARTS):
        codes[getattr(fold, part)] = code
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(PARTS))


def _read_fold(column: pa.ChunkedArray) -> Fold:
    parts = column.combine_chunks().cast(pa.string()).dictionary_encode()
    found = parts.dictionary.to_pylist()
    if not set(found) <= set(PARTS):
        raise ValueError(f"parts are {found}; {PARTS} are expected")
    codes = parts.indices.fill_null(-1).to_numpy()
    rows = {part: np.flatnonzero(codes == code) for code, part in enumerate(found)}
    return Fold(*(rows.get(part, np.zeros(0, np.int64)) for part in PARTS))


def _remove_others(directory: ExperimentDir, written: set[Path]) -> None:
    for part in PARTS:
        for path in directory.splits_dir.rglob(f"{part}_ids.json"):
            if path not in written:
                path.unlink()
    for folder in directory.splits_dir.glob("fold_*"):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
