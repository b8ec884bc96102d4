"""Identity of a predicted library: an earlier one is used again only under the same key."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from proteinx_pipelines.flags.tree import ExperimentFlags, sha256_of
from proteinx_pipelines.records import PROPERTY
from proteinx_pipelines.stages.design import DESIGN_VERSION
from proteinx_pipelines.stages.design.inputs import DesignInputs

_OF_THE_CHOICE = (
    "acquisition", "beta", "n", "diversity", "most_per_position", "controls", "plate", "seed", "batching", "explore",
    "wells_each", "combine", "weights",
)  # fmt: skip
"""Flags that only choose among predictions; changing them does not repeat the predictions."""


def library_key(inputs: DesignInputs, flags: ExperimentFlags, read: Mapping[str, str]) -> str:
    """SHA-256 of everything the library's predictions depend on; excludes the flags that choose among them.

    `read` has what no flag tells: files of variants and weights under the same name, the held-out predictions that
    calibrate the deviations, the cross-validated models.
    """
    design = {
        name: value
        for name, value in flags.groups(("design",))["design"].items()
        if name not in _OF_THE_CHOICE
    }
    digest = hashlib.sha256(
        np.ascontiguousarray(inputs.variants.column("target").astype(np.float64)).tobytes()
    )
    digest.update("\n".join(inputs.variants.rows.column("id").to_pylist()).encode())
    for name in inputs.selection.rows.column_names:
        if name.startswith(PROPERTY):
            values = inputs.selection.rows.column(name).to_numpy().astype(np.float64)
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    if inputs.excluded is not None:
        digest.update("\n".join(inputs.excluded.rows.column("id").to_pylist()).encode())
        digest.update(sha256_of(dict(inputs.excluded.templates)).encode())
    rest: Mapping[str, Any] = flags.groups(("embedding", "model", "train", "trainer"))
    return sha256_of(
        {
            "version": DESIGN_VERSION, "design": design, **rest, "rows": digest.hexdigest(), "read": dict(read),
        }
    )  # fmt: skip
