"""A split method: every n-th variant, in the order of the mutants' names, is tested."""

from typing import Any

import numpy as np
from pydantic import BaseModel, Field


class EveryNthFlags(BaseModel):
    """Flags of the method, `ext.split.*`."""

    n: int = Field(5, ge=2)
    """One in this many variants is tested."""


def every_nth(rows: Any, flags: EveryNthFlags, seed: int) -> np.ndarray:
    """Part of each row: `train` or `test`. `seed` moves the first one that is tested."""
    place = np.argsort(np.argsort(rows.ids.astype(str), kind="stable"), kind="stable")
    return np.where((place + seed) % flags.n == 0, "test", "train")


every_nth.Flags = EveryNthFlags  # type: ignore[attr-defined]
