"""Export of the parts of a split as PyTorch files for notebooks: `embeddings/{train,val,test}.pt`.

Plain tensors and lists: `torch.load(path, weights_only=True)` reads them. This package never reads them back.
"""

from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines.experiment_dir.files import write_atomic
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.records import Embedding, Split, VariantTable

PARTS = ("train", "val", "test")


def export_parts(
    variants: VariantTable, embedding: Embedding, split: Split, directory: ExperimentDir
) -> list[str]:
    """Write one file per part (per fold, in `fold_<k>/`, for cross-validation).

    Each holds `ids` (list of n texts), `targets` (float64 [n], as measured and transformed, not scaled) and
    `vectors` (float32 [n, D]), or for one-hot `tokens` (uint8 [n, L]) and `alphabet`: made dense they
    would take 80 times the space.

    Returns:
        Names of the files relative to the experiment's root, sorted.
    """
    ids, targets = variants.column("id"), variants.column("target").astype(np.float64)
    written = []
    for k, fold in enumerate(split.folds):
        folder = directory.embeddings_dir / (f"fold_{k}" if split.is_cross_validation else ".")
        for part in PARTS:
            rows = getattr(fold, part)
            path = _write(folder / f"{part}.pt", _content(embedding, rows, ids[rows], targets[rows]))
            written.append(path.relative_to(directory.root).as_posix())
    return sorted(written)


def _content(embedding: Embedding, rows: np.ndarray, ids: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    import torch  # deferred: a ridge without this export never loads torch

    content: dict[str, Any] = {
        "ids": [str(name) for name in ids],
        "targets": torch.from_numpy(targets.copy()),
    }
    if embedding.tokens is not None:
        return {**content, "tokens": torch.from_numpy(embedding.tokens[rows]), "alphabet": embedding.alphabet}
    return {**content, "vectors": torch.from_numpy(embedding.dense(rows))}


def _write(path: Path, content: dict[str, Any]) -> Path:
    import torch

    def save(partial: Path) -> None:
        # Given a path, torch writes the file's name into the archive, and the temporary name is random.
        with partial.open("wb") as stream:
            torch.save(content, stream)

    return write_atomic(path, save)
