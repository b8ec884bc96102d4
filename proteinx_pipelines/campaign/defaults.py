"""Rule of a campaign whose flags do not say otherwise; measured in docs/design.md."""

from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.flags.tree import ExperimentFlags

DEFAULTS: Mapping[str, Any] = {
    "model.name": "gp", "design.acquisition": "ucb", "design.beta": 2.0, "design.diversity": 0.0,
}  # fmt: skip
FEW_POSITIONS = 8
"""Positions up to which one-hot variants are compared by `sites`: combinations of a few sites, where interactions
matter and each residue is seen often. On more positions the Gaussian process chooses its own kernel, `mutation`."""


def with_defaults(flags: ExperimentFlags) -> ExperimentFlags:
    """Fill in the flags of a campaign's rule that were not written.

    A model that was named keeps the acquisition `greedy` unless one is named: most models have no deviations.
    """
    names = list(DEFAULTS)
    if "name" in flags.model.model_fields_set and flags.model.name != DEFAULTS["model.name"]:
        names = ["design.diversity"]
    for name in names:
        group, field = name.split(".")
        if field not in getattr(flags, group).model_fields_set:
            flags = _changed(flags, group, field, DEFAULTS[name])
    return flags


def for_positions(flags: ExperimentFlags, n_positions: int, *, begins_with_singles: bool) -> ExperimentFlags:
    """Choose the kernel of a Gaussian process on one-hot variants by the number of positions that vary.

    A kernel that was written stays. `sites` compares whole combinations, so single mutants alone tell it nothing of
    others: a campaign that begins with them keeps `mutation`, which adds them up.
    """
    is_one_hot = flags.embedding.name == "onehot" and not flags.embedding.also
    if (
        flags.model.name == "gp"
        and flags.model.kernel is None
        and is_one_hot
        and n_positions <= FEW_POSITIONS
        and not begins_with_singles
    ):
        return _changed(flags, "model", "kernel", "sites")
    return flags


def _changed(flags: ExperimentFlags, group: str, field: str, value: Any) -> ExperimentFlags:
    part = getattr(flags, group)
    return flags.model_copy(update={group: part.model_copy(update={field: value})})
