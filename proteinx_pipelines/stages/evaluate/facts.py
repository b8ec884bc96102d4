"""Sections of `report.json` that describe the experiment rather than its scores.

No times and no absolute paths: the same experiment in another WORKDIR gives the same document.
"""

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any

import numpy as np
import pyarrow.compute as pc

from proteinx_pipelines.domain.histograms import bin_edges
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.reading import effective
from proteinx_pipelines.flags.tree import NOT_JUDGED, ExperimentFlags, plugin_flags, sha256_of, without_silent
from proteinx_pipelines.records import Embedding, Split, Training, VariantTable
from proteinx_pipelines.stages.evaluate.error_facts import error_facts
from proteinx_pipelines.stages.evaluate.evidence_facts import evidence_facts
from proteinx_pipelines.stages.evaluate.phrases import query_in_words, title_of
from proteinx_pipelines.stages.evaluate.predict import NO_PART, PARTS

DISTRIBUTIONS = (
    "proteinx-infra",
    "numpy",
    "scipy",
    "scikit-learn",
    "pyarrow",
    "torch",
    "lightning",
    "fair-esm",
    "safetensors",
)
"""Software whose version can change a number of the report."""
N_BINS = 40
MAX_REASONS = 20


def experiment_facts(flags: ExperimentFlags, directory: ExperimentDir) -> dict[str, Any]:
    """Title, the flags that differ from their defaults, all flags, and the query as run."""
    query = read_json(directory.query) if directory.query.is_file() else {}
    flags = effective(flags)  # listing a flag that nothing reads would suggest that it had an effect
    changed = flags.model_dump(mode="json", exclude_defaults=True, exclude={"design"})
    return {
        "title": title_of(flags),
        "query": {
            "words": query_in_words(flags.data),
            "sql": query.get("sql"),
            "parameters": query.get("parameters"),
            "database": PurePath(str(query["database"])).name if query.get("database") else None,
            "rows": query.get("rows"),
            **({"errors": query["errors"]} if query.get("errors") else {}),
        },
        "changed_flags": dict(sorted(_dotted(changed))),
        "flags": {
            group: tree for group, tree in without_silent(flags.nested()).items() if group not in NOT_JUDGED
        },
    }


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and prefix + name != "ext":
            yield from _dotted(value, f"{prefix}{name}.")
        elif prefix or name != "ext":
            yield prefix + name, value


def data_facts(variants: VariantTable, embedding: Embedding, split: Split) -> dict[str, Any]:
    """Counts, sources, the distribution of targets in each part, and the embedding."""
    target = variants.column("target").astype(np.float64)
    sources = pc.value_counts(variants.rows.column("source")).to_pylist()
    edges = bin_edges(target, N_BINS)
    return {
        "n_variants": variants.n_variants,
        "dropped": {rule: int(count) for rule, count in variants.dropped.items()},
        "sources": [
            {
                "source": entry["values"],
                "n_variants": entry["counts"],
                "template_length": len(variants.templates[entry["values"]]),
            }
            for entry in sources
        ],
        "mutations": _mutation_counts(variants),
        "target": {
            "min": float(target.min()), "median": float(np.median(target)), "max": float(target.max()),
            "mean": float(target.mean()), "sd": float(target.std()),
        },
        "histogram": {"edges": edges, "counts": _histograms(target, edges, split)},
        # Sorted: in memory and read back from disk, the same entries come in another order.
        "embedding": dict(sorted({**embedding.info, "width": embedding.width}.items())),
        **error_facts(variants),
        **evidence_facts(embedding),
    }  # fmt: skip


def _mutation_counts(variants: VariantTable) -> dict[str, int]:
    counts, sizes = np.unique(variants.column("mut_num"), return_counts=True)
    return {str(count): int(size) for count, size in zip(counts, sizes, strict=True)}


def _histograms(target: np.ndarray, edges: np.ndarray, split: Split) -> dict[str, np.ndarray]:
    """Part -> int64 [N_BINS]. With folds every row is both trained on and tested, so there is one histogram."""
    if split.is_cross_validation:
        return {"all": np.histogram(target, edges)[0]}
    return {part: np.histogram(target[getattr(split.folds[0], part)], edges)[0] for part in PARTS}


def split_facts(split: Split) -> dict[str, Any]:
    """Description of the split, sizes per fold, and number of rows for each reason."""
    counted = pc.value_counts(split.reasons).to_pylist()
    reasons = sorted(counted, key=lambda entry: (-entry["counts"], str(entry["values"])))
    return {
        "info": dict(split.info),
        "sizes": [
            {
                "fold": number,
                **{part: len(getattr(fold, part)) for part in PARTS},
                NO_PART: len(split.ids) - sum(len(getattr(fold, part)) for part in PARTS),
            }
            for number, fold in enumerate(split.folds)
        ],
        "reasons": [{"reason": entry["values"], "rows": entry["counts"]} for entry in reasons[:MAX_REASONS]],
        "more_reasons": max(0, len(reasons) - MAX_REASONS),
    }


def training_facts(training: Training) -> dict[str, Any]:
    """Training info, without entries that differ between two equal runs."""
    return {
        "model": training.model_name,
        "info": _without_times(training.info),
        "fold_metrics": [dict(found) for found in training.fold_metrics],
    }


def _without_times(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _without_times(item) for name, item in value.items() if not str(name).endswith("seconds")
        }
    return [_without_times(item) for item in value] if isinstance(value, list | tuple) else value


def provenance_facts(flags: ExperimentFlags) -> dict[str, Any]:
    """Versions and seeds needed to reproduce the numbers."""
    nested = without_silent(flags.nested())
    tree = {group: value for group, value in nested.items() if group not in NOT_JUDGED}
    if own := plugin_flags(nested):
        tree["ext"] = own
    return {
        "flags_sha256": sha256_of(tree),
        "versions": {"python": platform.python_version(), **dict(_versions())},
        "machine": f"{platform.system()} {platform.machine()}",
        "seeds": {
            "data.seed": flags.data.seed, "split.seed": flags.split.seed,
            "train.seed": effective(flags).train.seed, "evaluate.seed": flags.evaluate.seed,
        },
    }  # fmt: skip


def _versions() -> Iterator[tuple[str, str]]:
    for name in DISTRIBUTIONS:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"
