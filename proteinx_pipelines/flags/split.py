"""`split.*`: which variants are trained on and which are tested. Read by the split stage."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from proteinx_pipelines.flags.base import FlagGroup

SPLIT_METHODS = ("random", "n_vs_rest", "modulo", "contiguous", "low_vs_high", "file")
"""What `split.method` may be."""


class SplitFlags(FlagGroup):
    """Which variants are trained on and which are tested."""

    method: Literal[SPLIT_METHODS] = "random"  # type: ignore[valid-type]
    """`random`; `n_vs_rest` (by mutation count); `modulo` and `contiguous` (by mutated position);
    `low_vs_high` (train on low scores, test on high); `file`."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of every random draw of the split."""
    fractions: Annotated[
        tuple[float, float, float] | None, BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)
    ] = None
    """Sizes of train, validation and test as fractions that sum to 1; each method's own default when null."""
    folds: int | None = Field(None, ge=2, le=1000)
    """Number of cross-validation folds (`random`, `modulo`, `contiguous`); a single split when null."""
    n: int = Field(1, ge=0)
    """`n_vs_rest`: train on variants with up to this many mutations, test on the rest."""
    path: str | None = None
    """`file`: CSV or Parquet with a `mutant` column (and `source` where there are several)."""
    column: str | None = None
    """`file`: its column that holds train/val/test, or a fold number."""
    val_column: str | None = None
    """`file`: its column that marks validation rows among the training rows (true/false)."""

    @model_validator(mode="after")
    def _flags_fit_method(self) -> "SplitFlags":
        problems = []
        if self.fractions is not None:
            if any(part < 0 for part in self.fractions) or abs(sum(self.fractions) - 1) > 1e-6:
                problems.append(f"`split.fractions` {list(self.fractions)} must be three numbers >= 0 that sum to 1")
            elif self.fractions[0] == 0:
                problems.append("`split.fractions` leaves nothing to train on; make its first number greater than 0")
        if self.method == "file" and (self.path is None or self.column is None):
            problems.append("`split.method` 'file' needs `split.path` and `split.column`")
        if self.method != "file":
            given = [name for name in ("path", "column", "val_column") if getattr(self, name) is not None]
            problems += [f"`split.{name}` belongs to `split.method` 'file', not {self.method!r}" for name in given]
        if self.folds is not None and self.method not in ("random", "modulo", "contiguous"):
            problems.append(f"`split.folds` does not go with `split.method` {self.method!r}; leave it out")
        if problems:
            raise ValueError("; ".join(problems))
        return self
