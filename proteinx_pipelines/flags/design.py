"""`design.*`: candidate variants and the choice among them. Without `design.library` no design is made."""

import re
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, WithJsonSchema, field_validator, model_validator

from proteinx_pipelines.domain.residues import AMINO_ACIDS
from proteinx_pipelines.flags.base import (
    LONGEST_LABEL,
    ONE_OR_LIST_OR_NULL,
    PATHS_OR_NULL,
    FlagGroup,
    Label,
    PathText,
    from_list,
    from_names,
    from_numbers,
)

LIBRARIES = ("singles", "doubles", "recombine", "combinations", "unmeasured", "file")
IUPAC = "ACGTRYSWKMBDHVN"
"""Letters of degenerate nucleotides."""
ACQUISITIONS = ("greedy", "ucb", "ei", "pi", "thompson")

Position = Annotated[int, Field(ge=-100_000, le=10_000_000)]
MutantText = Annotated[str, Field(min_length=1, max_length=500)]
Residues = dict[Annotated[str, Field(max_length=12)], Annotated[str, Field(min_length=1, max_length=20)]]


def _one_or_all(paths: tuple[str, ...] | None) -> str | list[str] | None:
    """One path is written as a text: documents and keys of one file are the same as before lists were read."""
    return paths[0] if paths is not None and len(paths) == 1 else None if paths is None else list(paths)


class Bound(FlagGroup):
    """A constraint on a property: candidates that probably miss it are not chosen."""

    at_least: float | None = None
    """Smallest accepted value."""
    at_most: float | None = None
    """Largest accepted value."""


Goal = Literal["maximize", "minimize"] | float | tuple[float, float]
Goals = dict[Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL)], Goal | Bound]


class DesignFlags(FlagGroup):
    """Candidate variants and the choice among them."""

    library: Literal["singles", "doubles", "recombine", "combinations", "unmeasured", "file"] | None = None
    """Variants to choose from: all single mutants; doubles of the best singles; recombinations of the best measured
    mutations; every combination at `design.positions`; measured rows without a score; or those of `design.path`.
    """
    path: Annotated[
        Annotated[tuple[Annotated[PathText, Field(min_length=1)], ...], Field(min_length=1)] | None,
        from_list(100, or_text=True),
        PlainSerializer(_one_or_all),
        WithJsonSchema(PATHS_OR_NULL),
    ] = None
    """File of variants for `library` file, or a list of files, in any form that `proteinx db import` reads; no score is
    needed. A variant that several files have counts once.
    """
    source: Annotated[
        Annotated[tuple[Label, ...], Field(min_length=1)] | None,
        from_list(100, or_text=True),
        WithJsonSchema(ONE_OR_LIST_OR_NULL),
    ] = None
    """Source whose protein is designed; needed where the experiment has several sources. A list of sources of one
    protein and one scale counts as one: its best measured variant, hits and unmeasured rows are those of all, in the
    numbering of the first. What any source of the experiment has measured of the same protein is not proposed.
    """
    exclude_sources: Annotated[tuple[Label, ...], from_list(100, or_text=True)] = ()
    """Further sources of the catalog, of the same protein and any scale: the variants that they have measured are not
    proposed, and their values are not read.
    """
    positions: Annotated[tuple[Position, ...], from_numbers(2_000)] = ()
    """Positions that may change, in your numbering; all positions known to the models when empty."""
    fixed: Annotated[tuple[Position, ...], from_numbers(2_000)] = ()
    """Positions that must not change, in your numbering."""
    allowed: Residues = Field(default={})
    """Residues that may be introduced, by position in your numbering: `{"39": "ACDE"}`; `*` for every other position.
    """
    forbidden: Residues = Field(default={})
    """Residues that must not be introduced, in the same form: `{"*": "CM"}`."""
    must_have: Annotated[tuple[MutantText, ...], from_names(20)] = ()
    """Mutations that every proposed variant has, such as `V39L`."""
    must_not: Annotated[tuple[MutantText, ...], from_names(2_000)] = ()
    """Mutations that no proposed variant has, such as `V39P`."""
    cysteines: bool = True
    """False: no proposed variant gains or loses a cysteine."""
    exclude: Annotated[tuple[MutantText, ...], from_names(10_000)] = ()
    """Variants that are not proposed, in addition to the measured ones."""
    keep_measured: bool = False
    """Predict and propose measured variants and the wild type as well, when `library` is file."""
    max_mutations: int = Field(4, ge=1, le=40)
    """Largest number of substitutions in a variant, for `recombine` and every other library."""
    best: int = Field(200, ge=2, le=5_000)
    """Number of best predicted single mutants from which `doubles` are made, and of measured mutations for
    `recombine`.
    """
    coding_sequence: str | None = Field(None, max_length=9_999)
    """DNA of the template: only residues reachable by changing one nucleotide are introduced, and proposals include
    DNA.
    """
    codons: Annotated[str, Field(pattern=f"^[{IUPAC}]{{3}}$")] | None = None
    """Degenerate codon by which the variants are made at every mutated position, such as `NNK` or `NDT`: only residues
    that it encodes are introduced, and proposals say how many clones one of them takes on average.
    """
    most_clones: float | None = Field(None, ge=1, le=1e12)
    """Largest number of clones that a proposal may take on average; needs `codons`."""
    goal: Goal | Goals = "maximize"
    """Goal for the target: as high or as low as possible, near a value, or within an interval. For several properties a
    goal for each, by name, where `{"at_least": 0.5}` and `{"at_most": 2}` are constraints: `{"DMS_score": "maximize",
    "stability": {"at_least": 0.5}}`; those besides the target are named in `data.properties`.
    """
    combine: Literal["pareto", "weighted"] = "pareto"
    """Choice by several goals: the Pareto front first, then the next; or by the weighted sum."""
    weights: dict[Annotated[str, Field(max_length=LONGEST_LABEL)], Annotated[float, Field(ge=0, le=1e6)]] = (
        Field(default={})
    )
    """Weight of each property in a weighted sum of acquisition values, each divided by its deviation over the library;
    1 where none is given."""
    final: Literal["rows", "folds"] = "rows"
    """Model that predicts: trained on all labelled rows, or the mean of the cross-validated models."""
    acquisition: Literal["greedy", "ucb", "ei", "pi", "thompson"] = "greedy"
    """Ranking of the candidates: by the prediction; with `beta` deviations added; by expected improvement over the
    best measured; by the probability of improvement; or, for each variant, by a draw of its own of the whole library
    from the model's joint uncertainty (Thompson sampling).
    """
    beta: float = Field(1.0, ge=0, le=10)
    """Number of deviations that `ucb` adds."""
    n: int = Field(96, ge=1, le=10_000)
    """Number of variants to propose."""
    diversity: float = Field(0.2, ge=0, le=1)
    """Penalty for mutations shared with variants chosen earlier: 0 none; at 1, a full overlap costs one standard
    deviation of the library's values."""
    batching: Literal["penalties", "liar", "clusters"] = "penalties"
    """Way to keep a batch from repeating itself, beside `diversity`: nothing more; after each choice the model is told
    the mean of the measured values as its result (constant liar; for models with a covariance, otherwise
    `penalties`); or one variant from each of `n` clusters of the best. `thompson` draws anew instead.
    """
    explore: float = Field(0.0, ge=0, le=1)
    """Share of `n` chosen for the largest deviations, whatever their predictions."""
    most_per_position: int | None = Field(None, ge=1, le=10_000)
    """Largest number of proposals that change the same position."""
    controls: int = Field(0, ge=0, le=96)
    """Number of wells for controls: the wild type, then the best measured variants."""
    wells_each: int = Field(1, ge=1, le=96)
    """Number of wells for each proposal and each control."""
    plate: Literal[96, 384] = 96
    """Wells per plate; further plates are started when one is full."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of `thompson`."""

    @field_validator("allowed", "forbidden")
    @classmethod
    def _residues_are_known(cls, value: Residues) -> Residues:
        for position, letters in value.items():
            if position != "*" and not re.fullmatch(r"-?[0-9]{1,8}", position):
                raise ValueError(
                    f"found the position {position!r}; a number as in your file, or '*', is expected"
                )
            unknown = sorted(set(letters.upper()) - set(AMINO_ACIDS))
            if unknown or not letters:
                raise ValueError(
                    f"found {letters!r} at {position!r}; one-letter codes of the twenty residues are expected"
                )
        return {position: letters.upper() for position, letters in value.items()}

    @field_validator("goal")
    @classmethod
    def _interval_is_ordered(cls, value: object) -> object:
        for goal in value.values() if isinstance(value, dict) else (value,):
            if isinstance(goal, tuple) and goal[0] >= goal[1]:
                raise ValueError(
                    f"found the interval {list(goal)}; its first number must be below its second"
                )
            if isinstance(goal, Bound) and (goal.at_least is None) == (goal.at_most is None):
                raise ValueError(
                    "found a constraint without exactly one of `at_least` and `at_most`; give one of them"
                )
        if isinstance(value, dict) and all(isinstance(goal, Bound) for goal in value.values()):
            raise ValueError("found constraints alone; at least one property needs a goal such as 'maximize'")
        return value

    @model_validator(mode="after")
    def _library_has_what_it_needs(self) -> "DesignFlags":
        if self.library == "file" and self.path is None:
            raise ValueError("`library` is 'file' and `path` is not given; name the file of variants")
        if self.library == "combinations" and not self.positions:
            raise ValueError(
                "`library` is 'combinations' and `positions` is empty; name the positions to combine"
            )
        if self.path is not None and self.library != "file":
            raise ValueError(
                f"`path` is given and `library` is {self.library!r}; write library='file' to read it"
            )
        if self.most_clones is not None and self.codons is None:
            raise ValueError(
                "`most_clones` is given and `codons` is not; name the degenerate codon, such as NNK"
            )
        if (letters := self.coding_sequence) is not None:
            if set(letters.upper()) - set("ACGTU"):
                raise ValueError(
                    "`coding_sequence` has other letters than A, C, G, T; the DNA of the template is expected"
                )
            if len(letters) % 3:
                raise ValueError(
                    f"`coding_sequence` has {len(letters)} letters, which is no whole number of codons"
                )
        return self
