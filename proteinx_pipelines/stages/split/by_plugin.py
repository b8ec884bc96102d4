"""`plugin:NAME`: a split method of a plugin assigns each variant (`user_splits`)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from proteinx_pipelines.errors import PluginError
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.own_flags import own_flags
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import PART_NAMES, TEST, TRAIN, UNUSED, Assignment
from proteinx_pipelines.user_splits import SplitRows, UserSplit, find

_MAX_FOLDS = 1000
"""The maximum of `split.folds`."""
_SHOWN = 5


def split_by_plugin(variants: VariantTable, flags: SplitFlags, own: Mapping[str, Any] | None) -> Assignment:
    """Ask the plugin for the part, or the fold, of each variant.

    Args:
        variants: N variants.
        flags: `split.method` names the plugin's; `split.seed` is passed on.
        own: `ext.split`.

    Raises:
        PluginError: it is not on this node, it failed, or its answer is not one value per variant; fix the plugin.
    """
    method = find(flags.method)
    if method is None:
        raise PluginError(
            f"`split.method` {flags.method!r} is not on this node; install the distribution that offers it."
        )
    values = _values(method, variants, flags, own)
    return Assignment(
        parts=_parts(values, method.name),
        rule=np.unique(values, return_inverse=True)[1].astype(np.int64),
        rules=tuple(f"{flags.method} says {value!r}" for value in np.unique(values).tolist()),
        advice=f"Look at the plugin's method {method.name!r}, or at its flags in `ext.split`.",
        info={"plugin_version": method.version},
    )


def _values(
    method: UserSplit, variants: VariantTable, flags: SplitFlags, own: Mapping[str, Any] | None
) -> np.ndarray:
    """int64 or text [N], as the plugin gives them."""
    columns = {name: variants.column(name) for name in ("source", "mutant", "sequence", "mut_num")}
    rows = SplitRows(
        variants.column("id"), columns["source"], columns["mutant"], columns["sequence"], columns["mut_num"],
        variants.column("target").astype(np.float64),
    )  # fmt: skip
    try:
        given = np.asarray(method.function(rows, own_flags(method.schema, own), flags.seed))
    except Exception as error:
        raise PluginError(
            f"The split method {method.name!r} failed on {variants.n_variants} variants: {type(error).__name__}: "
            f"{error}. Fix the plugin, or choose another `split.method`."
        ) from error
    if given.shape != (variants.n_variants,) or given.dtype.kind not in "iuUO":
        raise PluginError(
            f"The split method {method.name!r} gave {given.dtype} of shape {given.shape} for {variants.n_variants} "
            "variants; one text or one whole number for each is expected. Fix the plugin."
        )
    return given.astype(np.int64) if given.dtype.kind in "iu" else given.astype(str)


def _parts(values: np.ndarray, name: str) -> np.ndarray:
    """int8 [N, K] of part codes."""
    if values.dtype.kind == "U":
        unknown = sorted(set(values.tolist()) - set(PART_NAMES))
        if unknown:
            found = ", ".join(map(repr, unknown[:_SHOWN]))
            raise PluginError(
                f"The split method {name!r} gave {found}; {', '.join(PART_NAMES)} are expected, or fold numbers. "
                "Fix the plugin."
            )
        codes = {part: code for code, part in enumerate(PART_NAMES)}
        return np.array([[codes[value]] for value in values.tolist()], np.int8)
    folds = np.unique(values[values >= 0])
    if len(folds) > _MAX_FOLDS:
        raise PluginError(
            f"The split method {name!r} gave {len(folds)} different fold numbers; at most {_MAX_FOLDS} are expected."
        )
    parts = np.where(values[:, None] == folds, np.int8(TEST), np.int8(TRAIN))
    parts[values < 0] = UNUSED
    return parts
