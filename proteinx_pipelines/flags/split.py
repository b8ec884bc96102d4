"""`split.*`: which variants are trained on and which are tested. Read by the split stage."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from proteinx_pipelines.flags.base import FlagGroup, Refusal, from_list, refusal, refuse
from proteinx_pipelines.flags.problems import shown

SPLIT_METHODS = ("random", "n_vs_rest", "modulo", "contiguous", "low_vs_high", "file")
"""What `split.method` may be."""
_METHODS_WITH_FOLDS = ("random", "modulo", "contiguous")


class SplitFlags(FlagGroup):
    """Which variants are trained on and which are tested."""

    method: Literal[SPLIT_METHODS] = "random"  # type: ignore[valid-type]
    """`random`; `n_vs_rest` (by mutation count); `modulo` and `contiguous` (by mutated position);
    `low_vs_high` (train on low scores, test on high); `file`."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of every random draw of the split."""
    fractions: Annotated[tuple[float, float, float] | None, from_list()] = None
    """Sizes of train, validation and test as fractions that sum to 1. A single `random` split has these sizes
    (0.8, 0.1, 0.1 when null). With `folds`, and in every other method, the method gives the test part, and
    the second number is the fraction of the training rows that are drawn for validation (none when null)."""
    folds: int | None = Field(None, ge=2, le=1000)
    """Number of cross-validation folds (`random`, `modulo`, `contiguous`). When null, a single split:
    `modulo` and `contiguous` then cut five folds and test on the first."""
    n: int = Field(1, ge=0)
    """`n_vs_rest`: train on variants with up to this many mutations, test on the rest."""
    modulo_by: Literal["rank", "position"] = "rank"
    """`modulo`: what is divided by the number of folds: the `rank` of the position among the mutated ones
    (folds of equal size), or the `position` itself, as in ProteinGym's published folds."""
    quantile: float = Field(0.5, gt=0, lt=1)
    """`low_vs_high`: train on targets up to this quantile of their source, test on the rest."""
    threshold: float | Literal["wild_type"] | None = None
    """`low_vs_high`: train on targets up to this value instead; `wild_type` trains on targets below the wild
    type's and tests on the rest, as FLIP does. `split.quantile` counts when null."""
    path: str | None = None
    """`file`: CSV or Parquet with a `mutant` column (and `source` where there are several)."""
    column: str | None = None
    """`file`: its column that holds train/val/test, or a fold number."""
    val_column: str | None = None
    """`file`: its column that marks validation rows among the training rows (true/false)."""

    @model_validator(mode="wrap")
    @classmethod
    def _flags_fit_method(cls, given: Any, check_each: ModelWrapValidatorHandler[Self]) -> Self:
        """Check flags against one another too, whatever each one's own check says: all problems at once."""
        refusals = _refusals(given) if isinstance(given, dict) else []
        try:
            checked = check_each(given)
        except ValidationError as error:
            refuse(refusals, error.errors(include_url=False))
        if refusals:
            refuse(refusals)
        return checked


def _refusals(given: dict[str, Any]) -> list[Refusal]:
    method = given.get("method", "random")
    if method not in SPLIT_METHODS:
        return _fractions_refused(given.get("fractions"))
    refusals = [*_fractions_refused(given.get("fractions")), *_file_flags_refused(method, given)]
    if given.get("folds") is not None and method not in _METHODS_WITH_FOLDS:
        refusals.append(refusal("folds", f"does not go with `split.method` {method!r}; leave it out"))
    return refusals


def _file_flags_refused(method: str, given: dict[str, Any]) -> list[Refusal]:
    if method == "file":
        missing = [name for name in ("path", "column") if given.get(name) is None]
        return [refusal(name, "missing; `split.method` 'file' needs it") for name in missing]
    names = [name for name in ("path", "column", "val_column") if given.get(name) is not None]
    return [
        refusal(name, f"belongs to `split.method` 'file', not {method!r}; leave it out") for name in names
    ]


def _fractions_refused(fractions: Any) -> list[Refusal]:
    """Problems of three numbers together; what is not three numbers the field itself refuses."""
    if not isinstance(fractions, list | tuple) or len(fractions) != 3:
        return []
    if not all(isinstance(part, int | float) and not isinstance(part, bool) for part in fractions):
        return []
    if any(part < 0 for part in fractions) or not abs(sum(fractions) - 1) <= 1e-6:
        text = f"found {shown(fractions)}, expected three numbers of at least 0 that sum to 1"
        return [refusal("fractions", text)]
    if fractions[0] == 0:
        return [refusal("fractions", "leaves nothing to train on; make its first number greater than 0")]
    return []
