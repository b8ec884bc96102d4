"""Final model: trained on every labelled row and stored in one folder with all it needs to predict from a sequence.

    model.json  model.safetensors     the fitted model, as `train.export` writes it; `seed_<k>/` for each further seed
    representation.json               embedder by name and digest, layout of its columns, templates and numberings
    evidence.safetensors              structure and alignment, if the representation is made from them
    intervals.json                    how its deviations were calibrated, on which held-out predictions
    card.json  card.md                data, score, limits, citation, versions
    manifest.json                     SHA-256 of every file above

No pickle. A copy of the folder on another machine predicts the same bits.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.domain.embedders import FROM_FILES, is_language_model
from proteinx_pipelines.errors import CorruptArtifact, FlagError, MissingArtifact
from proteinx_pipelines.experiment_dir.codecs.evidence import evidence_bytes, evidence_of
from proteinx_pipelines.experiment_dir.files import (
    file_sha256,
    read_json,
    write_bytes,
    write_json,
    write_text,
)
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import AMINO_ACIDS, Embedding, Evidence, Fold, Split, VariantTable
from proteinx_pipelines.stages.design.candidates import Candidates
from proteinx_pipelines.stages.design.intervals import Intervals
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.embedding.layout import Layout, layout_of
from proteinx_pipelines.stages.train.export import FittedModel, load_model, save_model

REPRESENTATION, INTERVALS, CARD, CARD_TEXT, MANIFEST = (
    "representation.json", "intervals.json", "card.json", "card.md", "manifest.json",
)  # fmt: skip
EVIDENCE = "evidence.safetensors"
FORMAT = 1
_NO_NEW_VECTORS = (
    "`embedding.name` is 'file': vectors of new variants are not in it, so nothing can be predicted. Use a "
    "representation that is made from the sequence, such as onehot or esm2_t6_8M_UR50D."
)
_AT_ONCE = 1 << 26
"""Numbers in one block of vectors (256 MiB of float32)."""


@dataclass(frozen=True)
class FinalModel:
    """One or several fitted models (seeds) that share a representation."""

    models: tuple[FittedModel, ...]
    embedding: EmbeddingFlags
    layout: Layout
    templates: Mapping[str, str]
    offsets: Mapping[str, int]
    intervals: Intervals
    card: Mapping[str, Any]
    weights: Path | None = None
    """Checkpoint of the language model, if this node has it."""
    evidence: Evidence | None = None
    """Of the templates, if the representation is made from it; models of mutations have their own."""

    def predict(
        self, candidates: Candidates, monitor: StageMonitor | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict each variant and its standard deviation, float64 [n] each, in the target's unit.

        The deviation is calibrated: the model's own, or the spread over its seeds, scaled by the errors of held-out
        predictions; a constant if the model has none.

        Raises:
            BadVariants: a sequence does not fit the representation.
            MissingWeights: a language model's checkpoint is not on this node.
        """
        monitor = monitor or StageMonitor()
        means, deviations = [], []
        for start, piece in self._pieces(candidates):
            embedding = self.embedded(piece, monitor)
            mean, deviation = self._of_models(embedding)
            means.append(mean)
            deviations.append(deviation)
            monitor.progress(start + piece.n, max(1, candidates.n), "predicting")
        mean, raw = np.concatenate([np.zeros(0), *means]), np.concatenate([np.zeros(0), *deviations])
        return mean, self.intervals.calibrated(raw)

    def _of_models(self, embedding: Embedding) -> tuple[np.ndarray, np.ndarray]:
        """Mean over seeds, and the raw deviation (NaN if the models have none)."""
        rows = np.arange(embedding.n_variants)
        each = np.stack([model.predict(embedding, rows) for model in self.models])
        own = [model.predict_deviation(embedding, rows) for model in self.models]
        known = [np.square(found) for found in own if found is not None]
        inside = np.mean(known, axis=0) if len(known) == len(self.models) else np.zeros(len(rows))
        between = each.var(axis=0) if len(self.models) > 1 else np.zeros(len(rows))
        total = np.sqrt(inside + between)
        return each.mean(axis=0), total if len(known) == len(self.models) or len(
            self.models
        ) > 1 else np.full(len(rows), np.nan)

    def members(self, candidates: Candidates) -> np.ndarray:
        """Prediction of each seed's model, float64 [seeds, n]."""
        pieces = []
        for _, piece in self._pieces(candidates):
            embedding, rows = self.embedded(piece), np.arange(piece.n)
            pieces.append(np.stack([model.predict(embedding, rows) for model in self.models]))
        return np.concatenate([np.zeros((len(self.models), 0)), *pieces], axis=1)

    @property
    def has_covariance(self) -> bool:
        """True if every seed's model has a covariance of its own."""
        return self.intervals.kind == "scaled" and all(model.joint for model in self.models)

    @property
    def draws_any_number(self) -> bool:
        """True if joint draws of any number of candidates may be exact, so that embedding all of them is worth it."""
        return self.has_covariance and all(
            model.joint.draws_any_number for model in self.models if model.joint
        )

    def embedded(self, candidates: Candidates, monitor: StageMonitor | None = None) -> Embedding:
        """Embed the candidates in the representation that the models were trained on."""
        if self.embedding.name == "onehot" and not self.embedding.also:
            return _tokens(candidates, self.layout)
        return embed_variants(
            candidates.table(),
            self.embedding,
            _Quiet(monitor or StageMonitor()),
            weights=self.weights,
            layout=self.layout,
            evidence=self.evidence,
        )

    def _pieces(self, candidates: Candidates) -> Sequence[tuple[int, Candidates]]:
        width = max(1, int(self.models[0].embedding.get("width") or 1))
        is_tokens = self.models[0].embedding.get("alphabet") is not None
        step = max(256, _AT_ONCE // (self.layout.length * 4 if is_tokens else width))
        return [
            (start, candidates.take(np.arange(start, min(start + step, candidates.n))))
            for start in range(0, candidates.n, step)
        ]


class _Quiet(StageMonitor):
    """Monitor that passes cancellation on and drops progress: the chunks of a library report as one."""

    def __init__(self, inner: StageMonitor) -> None:
        self._inner = inner

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Ignored; the caller counts variants."""


def _tokens(candidates: Candidates, layout: Layout) -> Embedding:
    """One-hot tokens built directly from the substitutions, without intermediate text."""
    code = np.full(256, len(AMINO_ACIDS), np.uint8)
    code[np.frombuffer(AMINO_ACIDS.encode("ascii"), np.uint8)] = np.arange(len(AMINO_ACIDS))
    tokens = np.full((candidates.n, layout.length), len(AMINO_ACIDS), np.uint8)
    tokens[:, : len(candidates.template)] = code[np.frombuffer(candidates.template.encode("ascii"), np.uint8)]
    tokens[candidates.row, candidates.position - 1] = code[candidates.residue]
    ids = pa.nulls(candidates.n, pa.string())
    return Embedding(ids, {"name": "onehot", "width": layout.length * len(AMINO_ACIDS)}, tokens=tokens)


def fit_final(
    variants: VariantTable,
    embedding: Embedding,
    flags: ExperimentFlags,
    *,
    directory: ExperimentDir,
    monitor: StageMonitor,
    epochs: int | None = None,
) -> FittedModel:
    """Fit the experiment's model on every row with a finite target.

    Args:
        variants: N rows.
        embedding: of those rows.
        flags: `model.*`, `train.*`, `trainer.*`, as for the cross-validated models.
        directory: scratch folder for a network's checkpoints.
        monitor: may stop it.
        epochs: of a network, which has no validation rows to stop by: the median of the cross-validated models' best
        epochs.

    Raises:
        FlagError: the representation cannot be made for a new sequence; the message says which can.
    """
    from proteinx_pipelines.stages.train.registry import MODELS
    from proteinx_pipelines.stages.train.shards import ShardInputs, model_folder, plan_shards, run_shard

    names = (flags.embedding.name, *flags.embedding.also)
    if "file" in names:
        raise FlagError([_NO_NEW_VECTORS])
    labelled = np.flatnonzero(np.isfinite(variants.column("target").astype(np.float64)))
    none = labelled[:0]
    reasons = pa.nulls(variants.n_variants, pa.string())
    split = Split(embedding.ids, [Fold(labelled, none, none)], reasons, {"method": "all"})
    if epochs is not None:
        flags = flags.model_copy(
            update={"train": flags.train.model_copy(update={"max_epochs": max(1, epochs), "patience": None})}
        )
    inputs = ShardInputs(MODELS[flags.model.name], variants, embedding, split, flags)
    (shard,) = plan_shards(split, flags)
    run_shard(shard, inputs, directory=directory, monitor=monitor)
    return load_model(model_folder(directory, shard.fold))


def median_epochs(folds: Sequence[Mapping[str, Any]]) -> int | None:
    """Median best epoch of the cross-validated networks, for training without validation rows; None without epochs."""
    kept = [int(entry["best_epoch"]) + 1 for entry in folds if entry.get("best_epoch") is not None]
    return int(np.median(kept)) if kept else None


def final_model(
    models: Sequence[FittedModel], variants: VariantTable, flags: ExperimentFlags, intervals: Intervals,
    card: Mapping[str, Any], weights: Path | None = None, evidence: Evidence | None = None,
) -> FinalModel:  # fmt: skip
    """Combine fitted models with their representation and calibration."""
    return FinalModel(
        tuple(models), flags.embedding, layout_of(variants), dict(variants.templates), dict(variants.offsets),
        intervals, card, weights, evidence if set(FROM_FILES) & {flags.embedding.name, *flags.embedding.also} else None,
    )  # fmt: skip


def save_final(model: FinalModel, folder: Path) -> list[Path]:
    """Write the folder, the manifest last: a folder with one is complete.

    Returns:
        All files written, sorted.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for number, fitted in enumerate(model.models):
        save_model(fitted, folder if number == 0 else folder / f"seed_{number}")
    write_json(
        folder / REPRESENTATION,
        {
            "format": FORMAT,
            "embedding": model.embedding.model_dump(mode="json", exclude={"weights", "path"}),
            "is_language_model": is_language_model(model.embedding.name),
            "layout": model.layout.document(),
            "templates": dict(model.templates),
            "offsets": dict(model.offsets),
            "models": len(model.models),
        },
    )
    if model.evidence is not None:
        write_bytes(folder / EVIDENCE, evidence_bytes(model.evidence))
    write_json(folder / INTERVALS, model.intervals.document())
    write_json(folder / CARD, dict(model.card))
    write_text(folder / CARD_TEXT, card_text(model.card))
    listed = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): file_sha256(path) for path in listed}
    write_json(folder / MANIFEST, {"format": FORMAT, "files": digests})
    return sorted([*listed, folder / MANIFEST])


def load_final(folder: Path, weights: Path | None = None) -> FinalModel:
    """Read the folder and check every byte.

    Args:
        folder: of `save_final`, or a copy.
        weights: checkpoint of the language model, if the model uses one.

    Raises:
        MissingArtifact: the folder does not exist. CorruptArtifact: a file is missing or differs from what was written.
    """
    verify_final(folder)
    document = read_json(folder / REPRESENTATION)
    folders = [folder, *(folder / f"seed_{number}" for number in range(1, int(document["models"])))]
    return FinalModel(
        tuple(load_model(each) for each in folders),
        EmbeddingFlags.model_validate(document["embedding"]),
        Layout.of(document["layout"]),
        document["templates"],
        {name: int(offset) for name, offset in document["offsets"].items()},
        Intervals.of(read_json(folder / INTERVALS)),
        read_json(folder / CARD),
        weights,
        evidence_of((folder / EVIDENCE).read_bytes()) if (folder / EVIDENCE).is_file() else None,
    )


def verify_final(folder: Path) -> Mapping[str, str]:
    """Check every file of an exported model against its manifest.

    Returns:
        File -> SHA-256.

    Raises:
        MissingArtifact: there is no manifest. CorruptArtifact: files are missing or changed; all are named.
    """
    if not (folder / MANIFEST).is_file():
        raise MissingArtifact(
            f"{folder} holds no exported model ({MANIFEST} is not there). `proteinx model export ID` makes one."
        )
    found: Mapping[str, str] = read_json(folder / MANIFEST)["files"]
    bad = [
        name
        for name, digest in found.items()
        if not (folder / name).is_file() or file_sha256(folder / name) != digest
    ]
    if bad:
        raise CorruptArtifact(
            f"{folder}: {', '.join(bad)} missing or changed since the export. Export it again."
        )
    return found


def with_weights(model: FinalModel, weights: Path | None) -> FinalModel:
    """Copy of the model that reads its language model from a checkpoint of this node."""
    return replace(model, weights=weights)


def card_text(card: Mapping[str, Any]) -> str:
    """The card as Markdown, for people."""
    lines = [f"# {card.get('title', 'Model')}", ""]
    for name, value in card.items():
        if name != "title":
            shown = "; ".join(map(str, value)) if isinstance(value, list) else value
            lines.append(f"- **{name.replace('_', ' ')}**: {shown}")
    return "\n".join(lines) + "\n"
