"""`split.*`: assignment of variants to training and test. Read by the split stage."""

from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, WithJsonSchema, model_validator

from proteinx_pipelines.domain.known_names import PLUGIN_SPLIT
from proteinx_pipelines.flags.base import (
    LARGEST_COUNT,
    ONE_OR_LIST_OR_NULL,
    FlagGroup,
    Label,
    PathText,
    Refusal,
    from_list,
    refusal,
    refuse,
)
from proteinx_pipelines.flags.problems import shown

SPLIT_METHODS = (
    "random", "stratified", "n_vs_rest", "modulo", "contiguous", "by_position", "leave_one_position_out",
    "leave_p_out", "clusters", "low_vs_high", "by_source", "file",
)  # fmt: skip
"""Values of `split.method`."""
POSITION_METHODS = ("modulo", "contiguous", "by_position", "leave_one_position_out")
"""Methods that test no position that is trained on, as does `leave_p_out` of positions (`leaves_out_positions`)."""
PluginMethod = Annotated[
    str,
    Field(max_length=60, pattern=f"^{PLUGIN_SPLIT}[a-z][a-z0-9_]*$", examples=[f"{PLUGIN_SPLIT}every_third"]),
]
"""A split method of a plugin; `flags.names` checks whether it exists."""
LEAKAGE_CHECKS = (
    "same_sequence", "synonymous_mutants", "same_position", "wild_type_in_test", "near_identical", "fitted_on_test",
)  # fmt: skip
"""Checks that block training on a split, by the name that `split.allow_leakage` uses to allow them."""
_METHODS_WITH_FOLDS = (
    "random", "stratified", "modulo", "contiguous", "by_position", "clusters", "by_source", "file",
)  # fmt: skip
_FILE_FLAGS = ("path", "column", "val_column", "allow_unmatched")
_METHODS_WITH_REPEATS = ("random", "stratified", "by_position", "clusters")
MAX_MODELS = 1000
"""Largest number of models per experiment: folds times repeats times inner folds."""
DRAWN_SETS = 200
"""Sets that `leave_p_out` draws where `split.sets` is null and there are more than `MAX_MODELS`."""
_SET_FLAGS = {"p": 1, "held_out": "variants", "sets": None}
"""Flags of `leave_p_out` and their defaults."""


def leaves_out_positions(method: object, held_out: object) -> bool:
    """True of a split that promises to test no position that is trained on.

    Args:
        method: `split.method`, in the flags or in what the split says of itself.
        held_out: `split.held_out`, in either; another method than `leave_p_out` has `variants` or nothing.
    """
    return method in POSITION_METHODS or held_out == "positions"


class AllowedLeak(FlagGroup):
    """A disabled leakage check, with the reason."""

    check: Literal[LEAKAGE_CHECKS]  # type: ignore[valid-type]
    """Name of the check, as in the message that blocked the split."""
    reason: str = Field(min_length=1, max_length=500)
    """Reason for accepting the leak; printed in the report beside the score."""


class SplitFlags(FlagGroup):
    """Assignment of variants to training and test."""

    method: Literal[SPLIT_METHODS] | PluginMethod = "random"  # type: ignore[valid-type]
    """`random`; `stratified` (random within bins of the target); `n_vs_rest` (by mutation count);
    `modulo`, `contiguous`, `by_position` (random groups) and `leave_one_position_out` (by mutated position);
    `leave_p_out` (every set of `split.p` variants or positions); `clusters` (by sequence identity); `low_vs_high`
    (train on low scores, test on high); `by_source`; `file`; or `plugin:NAME`, a method of a
    plugin, whose own flags are `ext.split.*`."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of every random draw of the split."""
    fractions: Annotated[tuple[float, float, float] | None, from_list()] = None
    """Sizes of train, validation and test as fractions that sum to 1. A single `random` split has these sizes (0.8,
    0.1, 0.1 when null). With `folds`, and in every other method, the method determines the test part, and the second
    number is the fraction of the training rows drawn for validation (none when null).
    """
    folds: int | None = Field(None, ge=2, le=1000)
    """Number of cross-validation folds (`random`, `stratified`, `modulo`, `contiguous`, `by_position`, `clusters`,
    `by_source`). When null, a single split: methods by position and `clusters` then cut five folds; by position the
    first fold is tested, with `clusters` one drawn by `split.seed` among those of about a fifth of the rows.
    `by_source` tests `split.test_sources`, or each source once. `file`: number of folds in its column, if it must be
    stated (0 and 1 may be classes).
    """
    repeats: int = Field(1, ge=1, le=100)
    """Repeat cross-validation this many times with different random folds (`random`, `stratified`, `by_position`,
    `clusters`, with `folds`). Metrics are averaged over the repeats.
    """
    inner_folds: int | None = Field(None, ge=2, le=100)
    """Nested cross-validation: the training rows of each fold are cut into this many inner folds, each of which is
    the validation part once; metrics are averaged over them. Methods by position and `clusters` cut inner folds in
    the same way as folds, the others at random. No inner folds when null.
    """
    bins: int = Field(10, ge=2, le=1000)
    """`stratified`: number of bins of equal size that the targets are cut into."""
    identity: float = Field(0.9, gt=0, le=1)
    """`clusters`: sequences identical in at least this fraction of their residues are never in two parts. Sequences
    of different lengths are not compared.
    """
    test_sources: Annotated[
        Annotated[tuple[Label, ...], Field(min_length=1)] | None,
        from_list(or_text=True),
        WithJsonSchema(ONE_OR_LIST_OR_NULL),
    ] = None
    """`by_source`: the source, or list of sources, tested in a single split."""
    allow_leakage: Annotated[tuple[AllowedLeak, ...], from_list(len(LEAKAGE_CHECKS))] = ()
    """Leakage checks that must not block this split: a list of `{check, reason}`."""
    p: int = Field(1, ge=1, le=LARGEST_COUNT)
    """`leave_p_out`: number of variants (distinct sequences), or positions, that are left out together."""
    held_out: Literal["variants", "positions"] = "variants"
    """`leave_p_out`: what is left out. With `positions` a variant is tested if all its mutations are at positions that
    are left out, and is in no part if only some are."""
    sets: int | None = Field(None, ge=1, le=MAX_MODELS)
    """`leave_p_out`: number of sets that are left out, each by a model of its own, drawn at random by `split.seed`.
    When null, every set if there are at most 1,000 (divided by `split.inner_folds`), else 200 drawn ones.
    """
    n: int = Field(1, ge=0, le=LARGEST_COUNT)
    """`n_vs_rest`: train on variants with up to this many mutations, test on the rest."""
    modulo_by: Literal["rank", "position"] = "rank"
    """`modulo`: number that is divided by the number of folds: the `rank` of the position among the mutated ones
    (folds of equal size), or the `position` itself, counted in the template, as in ProteinGym's published folds.
    """
    quantile: float = Field(0.5, gt=0, lt=1)
    """`low_vs_high`: train on targets up to this quantile of their source, test on the rest."""
    threshold: float | Literal["wild_type"] | None = None
    """`low_vs_high`: train on targets up to this value instead; `wild_type` trains on targets below the wild
    type's and tests on the rest, as FLIP does. `split.quantile` counts when null."""
    path: PathText | None = None
    """`file`: a table in any form that an import reads, with a column of mutants (and `source` if there are several),
    in the numbering of the source's own file or of its template, or with sequences. In a message a relative path
    starts at WORKDIR; on a command line at the current folder, if the file exists there.
    """
    column: Label | None = None
    """`file`: its column with train/val/test, or a fold number."""
    val_column: Label | None = None
    """`file`: its column that marks validation rows among the training rows (true/false)."""
    allow_unmatched: str | None = Field(None, min_length=1, max_length=500)
    """`file`: reason why it may name fewer than nine tenths of the variants; the others are in no part. The reason is
    printed in the report.
    """

    @model_validator(mode="wrap")
    @classmethod
    def _flags_fit_method(cls, given: Any, check_each: ModelWrapValidatorHandler[Self]) -> Self:
        """Check flags against each other, regardless of the single checks: all problems at once."""
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
    refusals += [*_sets_refused(method, given), *_repeats_refused(method, given)]
    return [*refusals, *_sources_refused(method, given)]


def _sets_refused(method: str, given: dict[str, Any]) -> list[Refusal]:
    """Flags of `leave_p_out` with another method; their defaults are written out in a whole tree."""
    if method == "leave_p_out":
        return []
    names = [name for name, default in _SET_FLAGS.items() if given.get(name, default) != default]
    return [
        refusal(name, f"belongs to `split.method` 'leave_p_out', not {method!r}; leave it out")
        for name in names
    ]


def _repeats_refused(method: str, given: dict[str, Any]) -> list[Refusal]:
    """Problems of repeats and inner folds: folds must be random, and the number of models is limited."""
    folds, repeats, inner = given.get("folds"), given.get("repeats", 1), given.get("inner_folds")
    refusals = []
    if repeats != 1 and method == "leave_p_out":
        refusals.append(refusal("repeats", "does not go with 'leave_p_out'; `split.sets` asks for more sets"))
    elif repeats != 1 and method not in _METHODS_WITH_REPEATS:
        refusals.append(
            refusal("repeats", f"`split.method` {method!r} draws nothing at random; leave it out")
        )
    elif repeats != 1 and folds is None:
        refusals.append(refusal("repeats", "repeats cross-validation; give `split.folds` too"))
    fractions = given.get("fractions")
    draws_val = isinstance(fractions, list | tuple) and len(fractions) == 3 and fractions[1] != 0
    if inner is not None and (draws_val or given.get("val_column") is not None):
        refusals.append(
            refusal("inner_folds", "gives the validation rows; leave out what else asks for some")
        )
    if inner is not None and repeats != 1:
        refusals.append(refusal("inner_folds", "does not go with `split.repeats`; leave one of the two out"))
    sets = given.get("sets")
    counts = [count for count in (folds, sets, repeats, inner) if isinstance(count, int)]
    if prod(counts) > MAX_MODELS:
        what = "folds" if sets is None else "sets"
        text = f"{what} times repeats or inner folds are {prod(counts)} models; at most {MAX_MODELS} are expected"
        refusals.append(refusal(what, text))
    return refusals


def _sources_refused(method: str, given: dict[str, Any]) -> list[Refusal]:
    if given.get("test_sources") is None:
        return []
    if method != "by_source":
        return [
            refusal("test_sources", f"belongs to `split.method` 'by_source', not {method!r}; leave it out")
        ]
    if given.get("folds") is not None:
        return [refusal("test_sources", "names one split; leave it out, or `split.folds`")]
    return []


def _file_flags_refused(method: str, given: dict[str, Any]) -> list[Refusal]:
    if method == "file":
        missing = [name for name in ("path", "column") if given.get(name) is None]
        return [refusal(name, "missing; `split.method` 'file' needs it") for name in missing]
    names = [name for name in _FILE_FLAGS if given.get(name) is not None]
    return [
        refusal(name, f"belongs to `split.method` 'file', not {method!r}; leave it out") for name in names
    ]


def _fractions_refused(fractions: Any) -> list[Refusal]:
    """Problems of three numbers together; the field itself refuses anything that is not three numbers."""
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
