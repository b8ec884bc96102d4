"""Final model: trained on every labelled row and stored in one folder with all it needs to predict from a sequence.

    model.json  model.safetensors     the fitted model, as `train.export` writes it;
    representation.json               embedder by name and digest, layout of its columns, templates and numberings
    evidence.safetensors              structure and alignment, if the representation is made from them
    intervals.json                    how its deviations were calibrated, on which held-out predictions
    card.json  card.md                data, score, limits, citation, versions
    judges/<name>/                    models of other seeds and rows, for the stability of proposals
    properties/<k>/                   the same folder for each further property of `data.properties`
    manifest.json                     SHA-256 of every file above

No pickle. A copy of the folder on another machine predicts the same bits.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
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

REPRESENTATION, INTERVALS, CARD, CARD_TEXT, MANIFEST, JUDGES = (
    "representation.json", "intervals.json", "card.json", "card.md", "manifest.json", "judges",
)  # fmt: skip
EVIDENCE = "evidence.safetensors"
FORMAT = 1
_NO_NEW_VECTORS = (
    "`embedding.name` is 'file': vectors of new variants are not in it, so nothing can be predicted. Use a "
    "representation that is made from the sequence, such as onehot or esm2_t6_8M_UR50D."
)
_AT_ONCE = 1 << 26
"""Numbers in one block of vectors (256 MiB of float32): a library of millions is several, which workers share."""


@dataclass(frozen=True)
class FinalModel:
    """A fitted model with its representation and calibration."""

    model: FittedModel
    embedding: EmbeddingFlags
    layout: Layout
    templates: Mapping[str, str]
    offsets: Mapping[str, int]
    intervals: Intervals
    card: Mapping[str, Any]
    weights: Path | None = None
    """Checkpoint of the language model, if this node has it."""
    further: Mapping[str, "FinalModel"] = field(default_factory=dict)
    """Models of further properties, by their names."""
    judges: Mapping[str, Callable[[], FittedModel]] = field(default_factory=dict)
    """Models of other seeds and rows, by their names (`stability`); each is read when it is called."""
    evidence: Evidence | None = None
    """Of the templates, if the representation is made from it; models of mutations have their own."""

    def predict(
        self, candidates: Candidates, monitor: StageMonitor | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict each variant and its standard deviation, float64 [n] each, in the target's unit.

        The deviation is calibrated: the model's own, of an ensemble with the spread of its members, scaled by errors of
        held-out predictions; a constant if the model has none.

        Raises:
            BadVariants: a sequence does not fit the representation.
            MissingWeights: a language model's checkpoint is not on this node.
        """
        monitor = monitor or StageMonitor()
        raw = []
        for start, piece in self.pieces(candidates):
            raw.append(self.raw(piece, monitor))
            monitor.progress(start + piece.n, max(1, candidates.n), "predicting")
        return self.calibrated(raw)

    def raw(self, piece: Candidates, monitor: StageMonitor) -> tuple[np.ndarray, np.ndarray]:
        """Prediction and the model's own deviation of one block, float64 [n] each; NaN where it has no deviation."""
        mean, own = self.model.predict_both(self.embedded(piece, monitor), np.arange(piece.n))
        return mean, np.full(piece.n, np.nan) if own is None else own

    def calibrated(self, raw: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        """Predictions and calibrated deviations of all blocks of `pieces`, in their order."""
        none = np.zeros(0)
        means, deviations = (np.concatenate([none, *(pair[k] for pair in raw)]) for k in (0, 1))
        return means, self.intervals.calibrated(deviations)

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

    def pieces(self, candidates: Candidates) -> Sequence[tuple[int, Candidates]]:
        """Blocks that are predicted at once, each with the number of its first variant."""
        width = max(1, int(self.model.embedding.get("width") or 1))
        is_tokens = self.model.embedding.get("alphabet") is not None
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
    rows: np.ndarray | None = None,
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
        rows: int64, those to train on; every row with a finite target when None.

    Raises:
        FlagError: the representation cannot be made for a new sequence; the message says which can.
    """
    from proteinx_pipelines.stages.train.registry import model_entry
    from proteinx_pipelines.stages.train.shard import ShardInputs, plan_shards
    from proteinx_pipelines.stages.train.shard_files import model_folder
    from proteinx_pipelines.stages.train.shards import run_shard

    refuse_without_vectors(flags)
    labelled = (
        np.flatnonzero(np.isfinite(variants.column("target").astype(np.float64))) if rows is None else rows
    )
    none = labelled[:0]
    reasons = pa.nulls(variants.n_variants, pa.string())
    split = Split(embedding.ids, [Fold(labelled, none, none)], reasons, {"method": "all"})
    if epochs is not None:
        flags = flags.model_copy(
            update={"train": flags.train.model_copy(update={"max_epochs": max(1, epochs), "patience": None})}
        )
    inputs = ShardInputs(model_entry(flags.model.name), variants, embedding, split, flags)
    (shard,) = plan_shards(split, flags)
    run_shard(shard, inputs, directory=directory, monitor=monitor)
    return load_model(model_folder(directory, shard.fold))


def refuse_without_vectors(flags: ExperimentFlags) -> None:
    """Refuse a representation that cannot be made for a new sequence.

    Raises:
        FlagError: vectors are read from a file; the message says which representations can.
    """
    if "file" in (flags.embedding.name, *flags.embedding.also):
        raise FlagError([_NO_NEW_VECTORS])


def median_epochs(folds: Sequence[Mapping[str, Any]]) -> int | None:
    """Median best epoch of the cross-validated networks, for training without validation rows; None without epochs."""
    kept = [int(entry["best_epoch"]) + 1 for entry in folds if entry.get("best_epoch") is not None]
    return int(np.median(kept)) if kept else None


def final_model(
    model: FittedModel, variants: VariantTable, flags: ExperimentFlags, intervals: Intervals,
    card: Mapping[str, Any], weights: Path | None = None, evidence: Evidence | None = None,
) -> FinalModel:  # fmt: skip
    """Combine a fitted model with its representation and calibration."""
    return FinalModel(
        model, flags.embedding, layout_of(variants), dict(variants.templates), dict(variants.offsets),
        intervals, card, weights,
        evidence=evidence if set(FROM_FILES) & {flags.embedding.name, *flags.embedding.also} else None,
    )  # fmt: skip


def save_final(model: FinalModel, folder: Path) -> list[Path]:
    """Write the folder, the manifest last: a folder with one is complete.

    Returns:
        All files written, sorted.
    """
    shutil.rmtree(folder, ignore_errors=True)
    save_model(model.model, folder)
    for name, judge in model.judges.items():
        save_model(judge(), folder / JUDGES / name)
    for number, each in enumerate(model.further.values()):
        save_final(each, folder / "properties" / str(number))
    write_json(
        folder / REPRESENTATION,
        {
            "format": FORMAT,
            "embedding": model.embedding.model_dump(mode="json", exclude={"weights", "path"}),
            "is_language_model": is_language_model(model.embedding.name),
            "layout": model.layout.document(),
            "templates": dict(model.templates),
            **({"properties": list(model.further)} if model.further else {}),
            "offsets": dict(model.offsets),
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
    return FinalModel(
        load_model(folder),
        EmbeddingFlags.model_validate(document["embedding"]),
        Layout.of(document["layout"]),
        document["templates"],
        {name: int(offset) for name, offset in document["offsets"].items()},
        Intervals.of(read_json(folder / INTERVALS)),
        read_json(folder / CARD),
        weights,
        {
            name: load_final(folder / "properties" / str(number), weights)
            for number, name in enumerate(document.get("properties", ()))
        },
        {each.name: partial(load_model, each) for each in sorted((folder / JUDGES).glob("*"))},
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


def with_judges(model: FinalModel, judges: Mapping[str, FittedModel]) -> FinalModel:
    """Copy of the model with models of other seeds and rows."""
    return replace(model, judges={name: partial(_same, judge) for name, judge in judges.items()})


def _same(model: FittedModel) -> FittedModel:
    return model


def with_properties(model: FinalModel, further: Mapping[str, FinalModel]) -> FinalModel:
    """Copy of the model with models of further properties, which take over its layout."""
    return replace(
        model, further={name: replace(each, layout=model.layout) for name, each in further.items()}
    )


def card_text(card: Mapping[str, Any]) -> str:
    """The card as Markdown, for people."""
    lines = [f"# {card.get('title', 'Model')}", ""]
    for name, value in card.items():
        if name != "title":
            shown = "; ".join(map(str, value)) if isinstance(value, list) else value
            lines.append(f"- **{name.replace('_', ' ')}**: {shown}")
    return "\n".join(lines) + "\n"
