"""Find the roles of a file's columns from their names, or from their cells if the names are unknown.

A role without a fitting column stays empty; if two columns fit equally, none is chosen.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.nearest import nearest
from proteinx_pipelines.variant_files.column_names import NAMES, ROLE_OF, plain_name
from proteinx_pipelines.variant_files.error_columns import DEVIATION, NUMBERS_OF_VALUES, errors_of
from proteinx_pipelines.variant_files.notation import looks_like_mutant
from proteinx_pipelines.variant_files.text_table import TextTable
from proteinx_pipelines.variant_files.understood import ReadingOptions

_REPLICATE = re.compile(
    r"(?P<base>.*?)[\s_.\-]*(?:r|rep|replicate|repl|exp|experiment|biorep|trial|run)?[\s_.\-]*\(?(?P<number>\d{1,2})\)?",
    re.IGNORECASE,
)
_LONGEST_NAME = 200  # characters of a column's name that are read
_REPLICATE_WORDS = ("", "r", "rep", "replicate", "repl", "exp", "experiment", "biorep", "trial", "run")
_ROWS_LOOKED_AT = 500
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_UNIT = rf"^({_NUMBER})\s*(?:[%°µμA-Za-z][^0-9]{{0,15}}|±.*)$"


@dataclass
class Roles:
    """Index of the column of each role; None if there is none."""

    mutant: int | None = None
    score: int | None = None
    bin: int | None = None
    sequence: int | None = None
    source: int | None = None
    nucleotides: int | None = None
    deviation: int | None = None
    error: int | None = None
    template: int | None = None
    values: int | None = None
    """Number of measurements of each row; read only beside a deviation."""
    named_errors: list[tuple[int, str]] = field(default_factory=list)
    """Further columns of errors and their kinds, each named after a score."""
    replicates: list[int] = field(default_factory=list)
    """Columns whose mean is the score, or that accompany it."""
    further: list[int] = field(default_factory=list)
    """Scores of other properties, which the user named."""

    def used(self) -> set[int]:
        """Indices of columns with a role."""
        singles = (self.mutant, self.score, self.bin, self.sequence, self.source, self.nucleotides,
                   self.deviation, self.error, self.template, self.values)  # fmt: skip
        errors = [place for place, _ in self.named_errors]
        return {place for place in (*singles, *errors, *self.replicates, *self.further) if place is not None}


def find_roles(
    table: TextTable,
    options: ReadingOptions,
    where: str,
    *,
    needs_score: bool = True,
    needs_mutant: bool = True,
) -> Roles:
    """Find the role of each column.

    Args:
        table: the file.
        options: names given by the user take precedence, and must exist.
        where: the file, for messages.
        needs_score: refuse a table without scores.
        needs_mutant: refuse a table without mutants and sequences.

    Raises:
        CatalogError: a column is missing or ambiguous; all such problems are listed.
    """
    problems: list[str] = []
    roles = Roles()
    said = {
        "mutant": options.mutant_column, "score": options.score_column, "bin": options.bin_column,
        "sequence": options.sequence_column,
    }  # fmt: skip
    for role, name in said.items():
        if name is not None:
            setattr(roles, role, _named(table, name, problems))
    for role in (
        "mutant",
        "score",
        "bin",
        "sequence",
        "source",
        "nucleotides",
        "deviation",
        "error",
        "template",
    ):
        if getattr(roles, role) is None and said.get(role) is None:
            setattr(roles, role, _by_name(table, role, problems))
    further = [_named(table, name, problems) for name in options.further_columns]
    roles.further = [place for place in further if place is not None]
    _look_at_cells(table, roles, said)
    roles.replicates = _replicates(table, roles)
    _find_errors(table, roles)
    if said["score"] is None:
        _tell_other_scores(table, roles)
    has_mutant = roles.mutant is not None or roles.sequence is not None or said["mutant"] is not None
    if needs_mutant and not has_mutant and not problems:
        problems.append(_without_mutants(table, roles))
    if needs_score and roles.score is None and said["score"] is None and not roles.replicates:
        problems.append(_without_score(table, roles))
    if problems:
        listed = ", ".join(map(repr, table.names)) or "none"
        raise CatalogError(
            f"{where} has the columns {listed}. Say which to use (--mutant-column, --score-column, ...):",
            problems,
        )
    return roles


def _named(table: TextTable, name: str, problems: list[str]) -> int | None:
    """Index of a column named by the user: exact match, else without regard to case."""
    found = [place for place, other in enumerate(table.names) if other == name]
    found = found or [
        place for place, other in enumerate(table.names) if other.strip().lower() == name.strip().lower()
    ]
    if not found:
        near = nearest(name, table.names)
        problems.append(f"there is no column {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return None
    return _one_of(table, found, problems)


def _by_name(table: TextTable, role: str, problems: list[str]) -> int | None:
    """Column whose name fits the role best; names are ordered by certainty."""
    order = NAMES[role]
    found = [place for place, name in enumerate(table.names) if plain_name(name) in order]
    if not found:
        return None
    best = min(order.index(plain_name(table.names[place])) for place in found)
    names = [place for place in found if order.index(plain_name(table.names[place])) == best]
    return _one_of(table, names, problems)


def _one_of(table: TextTable, places: list[int], problems: list[str]) -> int | None:
    """First of several equal columns; differing columns of the same name are a problem."""
    first = table.text(places[0])
    if all(table.text(place).equals(first) for place in places[1:]):
        if len(places) > 1:
            table.understood.notes.append(f"there are {len(places)} equal columns {table.names[places[0]]!r}")
        return places[0]
    problems.append(f"there are {len(places)} columns {table.names[places[0]]!r}")
    return None


def _look_at_cells(table: TextTable, roles: Roles, said: dict[str, str | None]) -> None:
    """Identify mutants and sequences under unknown names by their cells, if exactly one column fits."""
    free = [place for place in range(len(table.names)) if place not in roles.used()]
    if roles.mutant is None and said["mutant"] is None:
        found = [place for place in free if _share(table.text(place), looks_like_mutant) > 0.6]
        if len(found) == 1:
            roles.mutant = found[0]
    if roles.sequence is None and said["sequence"] is None and roles.mutant is None:
        found = [place for place in free if _share(table.text(place), looks_like_sequence) > 0.9]
        if len(found) == 1:
            roles.sequence = found[0]
    if roles.score is None and said["score"] is None:
        found = [p for p in free if p not in roles.used() and _is_measurement(table, p)]
        if len(found) == 1:
            roles.score = found[0]
            table.understood.notes.append(
                f"{table.names[found[0]]!r} is taken for the score: no other column could be one"
            )


def _tell_other_scores(table: TextTable, roles: Roles) -> None:
    """Note which column was taken if several are named like scores."""
    others = [
        repr(name) for place, name in enumerate(table.names)
        if place not in roles.used() and ROLE_OF.get(plain_name(name)) == "score" and _has_numbers(table, place)
    ]  # fmt: skip
    if roles.score is not None and others:
        table.understood.notes.append(
            f"the score is {table.names[roles.score]!r}; {', '.join(others)} could be scores too (--score-column, "
            "--further-column)"
        )


def looks_like_sequence(text: str) -> bool:
    """True if a cell is a protein sequence."""
    return bool(re.fullmatch(r"[A-Za-z*\-]{15,}", text.strip()))


def _share(column: pa.Array, test: object) -> float:
    cells = [cell for cell in column[:_ROWS_LOOKED_AT].to_pylist() if cell and cell.strip()]
    return sum(map(test, cells)) / len(cells) if cells else 0.0  # type: ignore[call-overload]


def _is_measurement(table: TextTable, place: int) -> bool:
    """True if the numbers could be measurements: not an index, a class or a fold number."""
    name = plain_name(table.names[place])
    if name in ("", "index", "unnamed0", "id", "pos", "position", "site") or ROLE_OF.get(name) in (
        "part",
        "count",
    ):
        return False
    numbers = _numbers(table, place)
    found = numbers[~np.isnan(numbers)]
    if len(found) < 0.5 * len(numbers) or not len(found):
        return False
    return not (np.array_equal(found, np.rint(found)) and len(np.unique(found)) <= 20)


def _numbers(table: TextTable, place: int) -> np.ndarray:
    column = table.columns[place]
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    text = pc.utf8_trim_whitespace(table.text(place)[:_ROWS_LOOKED_AT])
    text = pc.replace_substring(text, ",", ".")
    text = pc.replace_substring_regex(text, _UNIT, r"\1")
    is_number = pc.match_substring_regex(text, f"^{_NUMBER}$").fill_null(False)
    cleaned = pc.utf8_ltrim(pc.if_else(is_number, text, pa.scalar(None, pa.string())), "+")
    return np.asarray(cleaned.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _replicates(table: TextTable, roles: Roles) -> list[int]:
    """Find replicate columns `rep1`, `rep2`, or `score_1`, `score_2`, beside the score or in its place."""
    score = None if roles.score is None else table.names[roles.score]
    groups: dict[str, list[int]] = {}
    for place, base in named_like_replicates(table.names, score):
        if place not in roles.used() and _has_numbers(table, place):
            groups.setdefault(base, []).append(place)
    found = [places for places in groups.values() if len(places) > 1]
    return found[0] if len(found) == 1 else []


def named_like_replicates(names: Sequence[str], score: str | None) -> Iterator[tuple[int, str]]:
    """Yield the place of each column that is named like a replicate of the score, and its name without the number."""
    for place, name in enumerate(names):
        match = _REPLICATE.fullmatch(name.strip()[:_LONGEST_NAME])
        if not match or name.strip().isdigit():
            continue
        base = plain_name(match["base"])
        known = ROLE_OF.get(base) == "score" or base in _REPLICATE_WORDS
        if known or (score is not None and base == plain_name(score)):
            yield place, base


def has_more_than_scores(names: Sequence[str], score: str) -> bool:
    """True if a file with these columns has more than variants and scores: errors, replicates, sources or templates."""
    beside = [name for name in names if name != score]
    kinds = {ROLE_OF.get(plain_name(name)) for name in beside}
    replicates = Counter(base for _, base in named_like_replicates(beside, score))
    return bool(
        kinds & {"deviation", "error", "source", "template"}
        or any(errors_of(score, beside))
        or max(replicates.values(), default=0) > 1
    )


def _find_errors(table: TextTable, roles: Roles) -> None:
    """Find columns of errors named after a score, and the number of values behind deviations."""
    scores = [place for place in (roles.score, *roles.further) if place is not None]
    for score in scores:
        for place, kind in errors_of(table.names[score], table.names):
            if place not in roles.used() and _has_numbers(table, place):
                roles.named_errors.append((place, kind))
    has_deviation = roles.deviation is not None or any(kind == DEVIATION for _, kind in roles.named_errors)
    if has_deviation:
        free = [place for place in range(len(table.names)) if place not in roles.used()]
        named = {
            plain_name(table.names[place]): place for place in reversed(free) if _has_numbers(table, place)
        }
        roles.values = next((named[name] for name in NUMBERS_OF_VALUES if name in named), None)


def _has_numbers(table: TextTable, place: int) -> bool:
    return bool((~np.isnan(_numbers(table, place))).any())


def _without_mutants(table: TextTable, roles: Roles) -> str:
    if roles.nucleotides is not None:
        name = table.names[roles.nucleotides]
        return (
            f"there is no column of protein variants; {name!r} has changes of nucleotides, which have to be translated "
            "first (MaveDB's column hgvs_pro has them)"
        )
    places = range(len(table.names))
    found = [p for p in places if _share(table.text(p), looks_like_mutant) > 0.6]
    found = found or [p for p in places if _share(table.text(p), looks_like_sequence) > 0.9]
    if len(found) > 1:
        listed = ", ".join(repr(table.names[place]) for place in found[:8])
        return f"there is no column 'mutant'; it could be {listed}: name it with --mutant-column or --sequence-column"
    return "there is no column 'mutant', and none whose cells are mutants such as A24C or sequences"


def _without_score(table: TextTable, roles: Roles) -> str:
    free = [
        table.names[p] for p in range(len(table.names)) if p not in roles.used() and _has_numbers(table, p)
    ]
    if free:
        listed = ", ".join(map(repr, free[:8]))
        return f"there is no column 'DMS_score'; it could be {listed}: name it with --score-column"
    return "there is no column 'DMS_score', and none with numbers"
