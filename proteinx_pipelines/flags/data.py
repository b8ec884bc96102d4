"""`data.*`: the measured rows of the experiment. Read by the selection stage."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from proteinx_pipelines.flags.base import (
    LARGEST_COUNT,
    ONE_OR_LIST,
    TEXT_SCHEMA,
    CountRange,
    FlagGroup,
    Label,
    PathText,
    Range,
    from_list,
)
from proteinx_pipelines.flags.problems import shown

COLUMNS = ("id", "mutant", "DMS_score", "DMS_score_bin", "mut_num", "source", "source_text")
"""Columns that a condition may name."""
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "between", "is null", "is not null", "like", "not like")
"""Operators that a condition may use."""
NUMBERS = ("id", "DMS_score", "mut_num", "source")
"""Columns compared with numbers; the others are compared with text."""

NOTHING = "none"
"""Value of `data.structure` and `data.alignment` that leaves out what is attached to the source, and of `data.error`
that leaves out the errors of the scores."""
AUTO = "auto"
"""Value of `data.error` that takes the one column of errors of the chosen score."""
_LARGEST_INTEGER = 2**63 - 1
_LONGEST_PATTERN = 1_000
_LONGEST_VALUE = 10_000  # characters; `mutant` of a variant with many mutations is long
_WANTED = {
    "is null": "no value", "is not null": "no value", "between": "a list of two ends",
    "in": "a list of at least one value", "like": "a text", "not like": "a text",
}  # fmt: skip
Scalar = str | int | float | bool
_SCALAR_SCHEMA = {"type": ["string", "number", "boolean"], "maxLength": _LONGEST_VALUE}
_WHOLE = {"type": "integer"}
_BINS_SCHEMA = {
    "anyOf": [
        TEXT_SCHEMA,
        _WHOLE,
        {"type": "array", "items": {"anyOf": [TEXT_SCHEMA, _WHOLE]}, "minItems": 1},
        {"type": "null"},
    ]
}
_MOST_CONDITIONS = 100  # SQLite parses an expression of at most 1,000 levels


class Condition(FlagGroup):
    """One condition on a column of the catalog; conditions are joined by AND, values are bound."""

    column: Literal[COLUMNS]  # type: ignore[valid-type]
    """Column of the catalog: `mutant` (in the numbering of the source's own file), `DMS_score` (of `data.score`),
    `DMS_score_bin`, `mut_num`, `source_text`, ..."""
    op: Literal[OPERATORS]  # type: ignore[valid-type]
    """Operator. `like` supports `%` and `_`; write `\\%` and `\\_` for the characters themselves."""
    value: Annotated[
        Scalar | Annotated[tuple[Scalar, ...], Field(fail_fast=True)] | None,
        from_list(),
        WithJsonSchema(
            {"anyOf": [_SCALAR_SCHEMA, {"type": "array", "items": _SCALAR_SCHEMA}, {"type": "null"}]}
        ),
    ] = None
    """A number or text; a list for `in`; two ends for `between`; nothing for `is null`."""

    @model_validator(mode="after")
    def _value_fits_operator(self) -> "Condition":
        wanted = _WANTED.get(self.op, "one number or text")
        if not _fits(self.op, self.value):
            raise ValueError(f"`{self.op}` takes {wanted}, found {shown(self.value)}")
        problem = _value_problem(self.column, self.op, self.value)
        if problem:
            raise ValueError(problem)
        return self


def _as_texts(value: Any) -> Any:
    """Bins are texts in the catalog, and as a rule those of 0 and 1."""
    if isinstance(value, list):
        return [_as_texts(each) for each in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _fits(operator: str, value: Scalar | tuple[Scalar, ...] | None) -> bool:
    if operator in ("is null", "is not null"):
        return value is None
    if operator in ("in", "between"):
        return isinstance(value, tuple) and (len(value) == 2 if operator == "between" else len(value) > 0)
    if operator in ("like", "not like"):
        return isinstance(value, str)
    return value is not None and not isinstance(value, tuple)


def _value_problem(column: str, operator: str, value: Scalar | tuple[Scalar, ...] | None) -> str | None:
    """Reason why a value cannot be compared with its column, or None; SQLite would compare anything."""
    if operator in ("like", "not like"):
        if column in NUMBERS:
            return f"`{operator}` needs text, and `{column}` holds numbers; use `between`"
        if len(str(value)) > _LONGEST_PATTERN:
            return f"a pattern has at most {_LONGEST_PATTERN:,} characters, found {len(str(value)):,}"
    values = () if value is None else value if isinstance(value, tuple) else (value,)
    return next(filter(None, (_item_problem(column, each) for each in values)), None)


def _item_problem(column: str, value: Scalar) -> str | None:
    if isinstance(value, bool):
        return f"no column of the catalog holds true or false, found {shown(value)}; write a number or a text"
    if column in NUMBERS and isinstance(value, str):
        hint = "; use `source_text` for its name" if column == "source" else ""
        return f"`{column}` is compared with numbers, found {shown(value)}{hint}"
    if isinstance(value, str) and len(value) > _LONGEST_VALUE:
        return f"a value has at most {_LONGEST_VALUE:,} characters, found {len(value):,}"
    if column not in NUMBERS and isinstance(value, float):
        return f"`{column}` is compared with text, found {shown(value)}; put it in quotes"
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        return f"{shown(value)} has more than 64 bits; no row can hold it"
    return None


class DataFlags(FlagGroup):
    """The measured rows of the experiment."""

    source: Annotated[
        tuple[Label, ...],
        Field(min_length=1),
        from_list(or_text=True),
        WithJsonSchema(ONE_OR_LIST),
    ]
    """Data sets to take rows from: one `source_text` of the catalog, or a list of them."""
    score: Label | None = None
    """Property to predict, where a source has several: the name of its column as imported. `DMS_score`, or null: the
    first one. `data.dms_score` and conditions on `DMS_score` refer to the chosen one.
    """
    properties: Annotated[tuple[Label, ...], Field(max_length=10), from_list(or_text=True)] = ()
    """Further properties of the sources, by the names of their columns as imported, kept for `design.goal`: each gets a
    model of its own in the design. With `model.tasks` joint they are learned beside the target.
    """
    error: Label = AUTO
    """Standard errors of the scores: the name of their column as imported. `auto`: that of the chosen score, if it has
    exactly one; `none`: none. A deviation is divided by the root of the number of values, if that was imported too.
    Errors in sources without the column are unknown. `gp` and `auto` on onehot trust precise rows more.
    """
    mut_num: CountRange = CountRange()
    """Keep variants with this many mutations (`min`, `max`, both included); the wild type has 0."""
    dms_score: Range = Range()
    """Keep rows whose measured score lies in this range (`min`, `max`, both included; the assay's unit)."""
    dms_score_bin: Annotated[
        Annotated[tuple[Label, ...], Field(min_length=1)] | None,
        from_list(or_text=True),
        BeforeValidator(_as_texts),
        WithJsonSchema(_BINS_SCHEMA),
    ] = None
    """Keep rows whose binned score is this text, or one of these; a whole number stands for its text."""
    where: Annotated[tuple[Condition, ...], from_list(_MOST_CONDITIONS)] = ()
    """Further conditions, all of which must hold: a list of `{column, op, value}`."""
    limit: int | None = Field(None, ge=1, le=LARGEST_COUNT)
    """Keep at most this many rows, drawn at random by `data.seed`; no limit when null."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the draw that `data.limit` makes."""
    structure: Annotated[PathText, Field(min_length=1)] | None = None
    """Structure of the template: PDB, mmCIF or BinaryCIF (with `.gz` or without), measured or predicted. Null: the one
    attached to the source (`proteinx db attach`), if any; `none`: no structure. `gp`, `boosting`, `forest` and `auto`
    on onehot use it, as does `embedding.name=structure`; the report shows it.
    """
    chain: Label | None = Field(None, validate_default=True)
    """Chain of `data.structure`; the one that fits the template best when null. Other chains count as neighbours."""
    alignment: Annotated[PathText, Field(min_length=1)] | None = None
    """Alignment of the template with its homologues: a2m, a3m, Stockholm or aligned FASTA (with `.gz` or without).
    Null: the one attached to the source, if any; `none`: no alignment. Used like `data.structure`.
    """
    csv: bool = False
    """Also write `data/selected.csv`."""

    @field_validator("chain")
    @classmethod
    def _chain_of_a_structure(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("structure") in (None, NOTHING):
            raise ValueError("`data.structure` names no file; name one, or attach it with `--chain`")
        return value
