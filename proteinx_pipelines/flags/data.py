"""`data.*`: which measured rows the experiment is about. Read by the selection stage."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from proteinx_pipelines.flags.base import CountRange, FlagGroup, Range

COLUMNS = ("id", "mutant", "DMS_score", "DMS_score_bin", "mut_num", "source", "source_text")
"""Columns that a condition may name."""
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "between", "is null", "is not null", "like", "not like")
"""Operators that a condition may use."""

Scalar = str | int | float | bool


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


class Condition(FlagGroup):
    """One condition on a column of the catalog; conditions are joined by AND, values are bound."""

    column: Literal[COLUMNS]  # type: ignore[valid-type]
    """Column of the catalog: `mutant`, `DMS_score`, `DMS_score_bin`, `mut_num`, `source_text`, ..."""
    op: Literal[OPERATORS]  # type: ignore[valid-type]
    """Operator. `like` knows `%` and `_`; write `\\%` and `\\_` for the characters themselves."""
    value: Annotated[Scalar | tuple[Scalar, ...] | None, BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)] = None
    """A number or text; a list for `in`; two ends for `between`; nothing for `is null`."""

    @model_validator(mode="after")
    def _value_fits_operator(self) -> "Condition":
        if self.op in ("is null", "is not null"):
            if self.value is not None:
                raise ValueError(f"`{self.op}` takes no value, got {self.value!r}; leave `value` out")
        elif self.op == "between":
            if not isinstance(self.value, tuple) or len(self.value) != 2:
                raise ValueError(f"`between` takes a list of two ends, got {self.value!r}")
        elif self.op == "in":
            if not isinstance(self.value, tuple) or not self.value:
                raise ValueError(f"`in` takes a list of at least one value, got {self.value!r}")
        elif self.value is None or isinstance(self.value, tuple):
            raise ValueError(f"`{self.op}` takes one number or text, got {self.value!r}")
        elif self.op in ("like", "not like") and not isinstance(self.value, str):
            raise ValueError(f"`{self.op}` takes a text, got {self.value!r}")
        return self


class DataFlags(FlagGroup):
    """Which measured rows the experiment is about."""

    source: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_one_or_many), Field(min_length=1)]
    """Data sets to take rows from: one `source_text` of the catalog, or a list of them."""
    mut_num: CountRange = CountRange()
    """Keep variants with this many mutations (`min`, `max`, both included); the wild type has 0."""
    dms_score: Range = Range()
    """Keep rows whose measured score lies in this range (`min`, `max`, both included; the assay's unit)."""
    dms_score_bin: Annotated[tuple[str, ...] | None, BeforeValidator(_one_or_many)] = None
    """Keep rows whose binned score is this text, or one of these."""
    where: Annotated[tuple[Condition, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)] = ()
    """Further conditions, all of which must hold: a list of `{column, op, value}`."""
    limit: int | None = Field(None, ge=1)
    """Keep at most this many rows, drawn at random by `data.seed`; no limit when null."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the draw that `data.limit` makes."""
    csv: bool = False
    """Also write `data/selected.csv`."""
