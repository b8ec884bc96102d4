"""What is watched: for each stage some flags, and how its output on the frozen inputs becomes a JSON document.

A case is added here and recorded with `python -m proteinx_pipelines_tests.frozen.record`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.experiment_dir.files import json_ready
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.model import MODELS
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.split import SPLIT_METHODS
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Split, Training, VariantTable
from proteinx_pipelines_tests.frozen import inputs

ESM = "esm2_t6_8M_UR50D"
READ_RESIDUES_OR_JUMP = ("cnn", "light_attention", "finetune", "boosting", "forest", "auto")
"""Not recorded on vectors: a network over residues cannot read them, and a tree's cut jumps with their last digits,
which another processor changes. `finetune` is compared with fair-esm's model instead."""
FLAGS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "selection": {
        "all": {},
        "one source": {"data.source": "OTHER"},
        "drawn": {"data.limit": 20, "data.seed": 3},
        "filtered": {"data.mut_num": {"max": 1}, "data.dms_score": {"min": -1.0, "max": 1.0}},
    },
    "transform": {
        "plain": {},
        "median, negated": {"transform.duplicates": "median", "transform.target": "negate"},
        "kept apart": {"transform.duplicates": "first", "transform.synonymous": "keep"},
        "classes": {"transform.bins": [-0.5, 0.5]},
        "derived": {"transform.derived": ["positions", "hydropathy_change"], "transform.clip": {"min": -1, "max": 1}},
    },
    "embedding": {
        "onehot": {},
        "last layer, mean": {"embedding.name": ESM},
        "first layer, bos": {"embedding.name": ESM, "embedding.layer": 1, "embedding.pooling": "bos"},
        "mutated": {"embedding.name": ESM, "embedding.layer": 2, "embedding.pooling": "mutated"},
    },
    "split": {
        **{method: {"split.method": method} for method in SPLIT_METHODS if method != "file"},
        "clusters": {"split.method": "clusters", "split.identity": 0.95},
        "leave_p_out": {"split.method": "leave_p_out", "split.p": 3, "split.sets": 5},
        "leave_p_out, positions": {
            "split.method": "leave_p_out", "split.p": 2, "split.held_out": "positions", "split.sets": 4,
        },
        "by_source": {"split.method": "by_source", "split.test_sources": "OTHER"},
        "random folds": {"split.folds": 4, "split.seed": 2},
        "modulo folds": {"split.method": "modulo", "split.folds": 3, "split.fractions": [0.8, 0.2, 0]},
    },
    "train": {
        **{f"{name} on onehot": {"model.name": name, "train.max_epochs": 3} for name in MODELS if name != "finetune"},
        **{
            f"{name} on vectors": {"embedding.name": ESM, "model.name": name, "train.max_epochs": 3}
            for name in MODELS
            if name not in READ_RESIDUES_OR_JUMP
        },
        "ridge, ranked, folds": {"train.target": "rank", "split.folds": 2},
    },
    "evaluate": {"single": {"evaluate.bootstrap": 50}, "folds": {"evaluate.bootstrap": 50, "split.folds": 2}},
}  # fmt: skip
"""Stage -> name of a case -> flags, besides `data.source`."""

TOLERANCES: Mapping[str, tuple[float, float]] = {
    "selection": (0.0, 0.0),
    "transform": (1e-6, 1e-7),
    "embedding": (1e-3, 1e-3),
    "split": (0.0, 0.0),
    "train": (2e-3, 5e-3),
    "evaluate": (1e-6, 1e-6),
}
"""Stage -> relative and absolute tolerance of its numbers: what another processor or library may change."""


@dataclass(frozen=True)
class Workplace:
    """Where a case may write, and the checkpoint that embedding cases share."""

    folder: Path
    weights: Callable[[], Path]


def output(stage: str, case: str, place: Workplace) -> Any:
    """Run one stage on its frozen input; its output as JSON types."""
    flags = parse_flags({"data.source": ["TOY", "OTHER"], "evaluate.plots": False, **FLAGS[stage][case]})
    return json_ready(_OUTPUTS[stage](flags, place))


def _selection(flags: ExperimentFlags, place: Workplace) -> Any:
    from proteinx_pipelines.stages.selection import select_variants

    path = place.folder / "catalog.db"
    found = select_variants(path if path.is_file() else inputs.catalog(path), flags.data)
    return {"rows": _table(found.rows), "templates": dict(found.templates)}


def _transform(flags: ExperimentFlags, _place: Workplace) -> Any:
    from proteinx_pipelines.stages.transform.transform import transform_variants

    found = transform_variants(inputs.selection(), flags.transform)
    return {"rows": _table(found.rows), "dropped": dict(found.dropped)}


def _embedding(flags: ExperimentFlags, place: Workplace) -> Any:
    from proteinx_pipelines.stages.embedding.embed import embed_variants

    of = inputs.variants(6)
    weights = None if flags.embedding.name == "onehot" else place.weights()
    found = embed_variants(of, flags.embedding, StageMonitor(), weights=weights)
    if found.tokens is not None:
        return {"tokens": found.tokens}
    return {"vectors": found.dense()[:, ::8]}  # every eighth column: enough to notice, small enough to keep


def _split(flags: ExperimentFlags, _place: Workplace) -> Any:
    from proteinx_pipelines.stages.split.assign import assign_split

    of = inputs.variants()
    if flags.split.method == "leave_one_position_out":  # a variant of two positions is in no part of it
        of = VariantTable(of.rows.filter(pc.equal(of.rows.column("mut_num"), 1)), of.templates)
    found = assign_split(of, flags.split)
    return [_parts(fold, found) for fold in found.folds]


def _parts(fold: Any, of: Split) -> str:
    """One letter a row: train, val, test, or none."""
    letters = np.full(len(of.ids), "-")
    for letter, rows in (("T", fold.train), ("v", fold.val), ("t", fold.test)):
        letters[rows] = letter
    return "".join(letters)


def _train(flags: ExperimentFlags, place: Workplace) -> Any:
    from proteinx_pipelines.stages.train.export import load_model
    from proteinx_pipelines.stages.train.train import train_models

    of = inputs.variants()
    embedding = inputs.one_hot(of) if flags.embedding.name == "onehot" else inputs.vectors(of)
    found = train_models(
        of, embedding, inputs.split(of, flags.split.folds or 1), flags,
        directory=ExperimentDir(place.folder, "train"), monitor=StageMonitor(),
    )  # fmt: skip
    rows = np.arange(of.n_variants)
    return [load_model(folder).predict(embedding, rows) for folder in found.model_dirs]


def _evaluate(flags: ExperimentFlags, place: Workplace) -> Any:
    from proteinx_pipelines.stages.evaluate.evaluate import evaluate_models

    of, folds = inputs.variants(), flags.split.folds or 1
    found = evaluate_models(
        of, inputs.one_hot(of), inputs.split(of, folds), frozen_training(folds), flags,
        directory=ExperimentDir(place.folder, "evaluate"), monitor=StageMonitor(),
    )  # fmt: skip
    sections = ("metrics", "baselines", "groups", "interval")
    return {
        "summary": dict(found.summary),
        "predictions": _table(found.predictions),
        **{name: found.report[name] for name in sections},
    }


def frozen_training(folds: int) -> Training:
    """Ridge models that were trained when they were frozen, one a fold."""
    return Training(
        "ridge",
        [inputs.FOLDER / "models" / f"fold_{k}" for k in range(folds)],
        [{}] * folds,
        {"target": "none"},
    )


def _table(rows: pa.Table) -> dict[str, list[Any]]:
    return {name: rows.column(name).to_pylist() for name in rows.column_names}


_OUTPUTS: Mapping[str, Callable[[ExperimentFlags, Workplace], Any]] = {
    "selection": _selection,
    "transform": _transform,
    "embedding": _embedding,
    "split": _split,
    "train": _train,
    "evaluate": _evaluate,
}


def differences(recorded: Any, found: Any, tolerance: tuple[float, float], where: str = "") -> Iterator[str]:
    """Sentences that name where two documents differ beyond the tolerance."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        for name in sorted(recorded.keys() | found.keys()):
            yield from differences(recorded.get(name), found.get(name), tolerance, f"{where}/{name}")
    elif isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        for number, (one, other) in enumerate(zip(recorded, found, strict=True)):
            yield from differences(one, other, tolerance, f"{where}/{number}")
    elif _is_number(recorded) and _is_number(found):
        if abs(recorded - found) > tolerance[1] + tolerance[0] * abs(recorded):
            yield f"{where} was {recorded!r}, is {found!r}"
    elif recorded != found or isinstance(recorded, bool) != isinstance(found, bool):
        yield f"{where} was {recorded!r:.60}, is {found!r:.60}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
