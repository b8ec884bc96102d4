"""Suggests flags for an unknown name."""

import functools

from proteinx_pipelines.flags.problems import Path, dotted
from proteinx_pipelines.flags.schema import known_groups, known_names, locate
from proteinx_pipelines.nearest import nearest

SYNONYMS = {
    "learning_rate": "train.lr",
    "epochs": "train.max_epochs",
    "n_epochs": "train.max_epochs",
    "num_epochs": "train.max_epochs",
    "batchsize": "train.batch_size",
    "bs": "train.batch_size",
    "early_stopping": "train.patience",
    "early_stopping_patience": "train.patience",
    "wd": "train.weight_decay",
    "checkpoint": "train.ckpt_path",
    "random_seed": "train.seed",
    "random_state": "train.seed",
    "scaler": "train.target",
    "normalize": "train.target",
    "workers": "train.num_workers",
    "gpus": "trainer.devices",
    "grad_clip": "trainer.gradient_clip_val",
    "k_folds": "split.folds",
    "n_folds": "split.folds",
    "n_splits": "split.folds",
    "cv": "split.folds",
    "test_size": "split.fractions",
    "val_size": "split.fractions",
    "ratios": "split.fractions",
    "file": "split.path",
    "dataset": "data.source",
    "sources": "data.source",
    "source_text": "data.source",
    "assay": "data.source",
    "filter": "data.where",
    "filters": "data.where",
    "num_mutations": "data.mut_num",
    "max_rows": "data.limit",
    "encoder": "embedding.name",
    "embedder": "embedding.name",
    "replicates": "transform.duplicates",
    "l2": "model.alpha",
    "penalty": "model.alpha",
    "lambda": "model.alpha",
    "hidden_layers": "model.hidden_dims",
    "hidden_sizes": "model.hidden_dims",
    "n_bootstrap": "evaluate.bootstrap",
    "confidence": "evaluate.ci",
    "timeout": "run.timeout_s",
    "max_retries": "run.retries",
    "overwrite": "run.allow_duplicate",
}
"""Names used elsewhere -> the flag here."""

OF_SWEEPS = ("sweep", "sweeps", "grid", "draw")
"""Names of what varies between experiments."""
_A_SWEEP = (
    "; a message or job is one experiment, with one value of each flag. Send a sweep to a Master as a unit of a group: "
    "POST /api/groups/{id}/units with `flags` and `grid` (or `list`, `draw`, `search`), or Client.sweep"
)
_MOST_SUGGESTIONS = 3  # `seed` alone matches four flags
_LONGEST_NAME = 100  # characters; comparing longer texts takes time and yields no suggestion
_LIKENESS = 0.75


def suggestions(path: Path) -> tuple[str, ...]:
    """Flags (or groups) that an unknown name may stand for, best first; often one, or none.

    Tried in this order: the same word in another group, a synonym, a similar name in the same group or anywhere.
    """
    parts = [part for part in dotted(path).lower().split(".") if part]
    if not parts or sum(map(len, parts)) > _LONGEST_NAME:
        return ()
    name, tail = ".".join(parts), parts[-1]
    in_list = any(isinstance(part, int) for part in path)
    if not in_list:
        same_tail = tuple(known for known in known_names() if known.rsplit(".", 1)[-1] == tail)
        if same_tail or tail in SYNONYMS:
            return same_tail[:_MOST_SUGGESTIONS] or (SYNONYMS[tail],)
    beside = nearest(tail, _names_in(path[:-1]), n=1, cutoff=_LIKENESS)
    if beside or in_list:
        return tuple(dotted((*path[:-1], each)) for each in beside)
    in_group = parts[0] in known_groups()
    spellings = _spellings_in_groups() if in_group else _spellings()
    near = nearest(".".join(parts[1:]) if in_group else name, spellings, n=1, cutoff=_LIKENESS)
    return (spellings[near[0]],) if near else ()


def did_you_mean(path: Path) -> str:
    """`; did you mean ...?` for an unknown name, or what to do instead, or nothing."""
    if str(path[0]).lower() in OF_SWEEPS:
        return _A_SWEEP
    found = suggestions(path)
    return f"; did you mean {' or '.join(f'`{each}`' for each in found)}?" if found else ""


def _names_in(path: Path) -> list[str]:
    place, schema = locate(path)
    return list(schema.get("properties", ())) if place == path else []


@functools.cache
def _spellings_in_groups() -> dict[str, str]:
    """Texts compared with a name after a group's -> the flag to suggest."""
    bare = {name.split(".", 1)[1]: name for name in reversed(known_names())}
    return {**SYNONYMS, **bare}


@functools.cache
def _spellings() -> dict[str, str]:
    """Texts compared with any other name -> the flag to suggest."""
    in_group = {f"{target.split('.')[0]}.{word}": target for word, target in SYNONYMS.items()}
    groups = {group: group for group in known_groups()}
    return {**_spellings_in_groups(), **in_group, **groups, **{name: name for name in known_names()}}
