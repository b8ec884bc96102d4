"""Flags whose value is a path: what a sender's files are called, and what of them enters a stage's key."""

from collections.abc import Mapping

from proteinx_pipelines.flags.tree import ExperimentFlags

FILE_FLAGS: Mapping[str, tuple[str, ...]] = {
    "embedding": ("embedding.weights", "embedding.path"),
    "split": ("split.path",),
    "train": ("train.ckpt_path",),
}
"""Stage -> flags whose value is a path that it reads."""


def named_paths(flags: ExperimentFlags) -> dict[str, str]:
    """What the flags say where a path is expected, by dotted name: `split.path` -> text. Nothing is looked at."""
    names = [name for of_stage in FILE_FLAGS.values() for name in of_stage]
    found = {name: getattr(getattr(flags, name.split(".")[0]), name.split(".")[1]) for name in names}
    return {name: text for name, text in found.items() if text is not None}
