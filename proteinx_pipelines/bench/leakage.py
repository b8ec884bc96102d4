"""Benchmark of the leakage checks on leaky and clean files of folds.

The expected result is counted from the text of a file, independently of the checks: lines that spell one sequence
(`D28A` and `D28A:N41N`), and their folds. The checks run as in an experiment, with the rows unmerged and merged; and
once more on each leaky file reduced to one line per sequence, which must pass. `cli.bench_leakage` prints the result.

Source: OATML-Markslab/ProteinGym, issue 13, on the folds of multiple mutants in its first release.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.csv

from proteinx_pipelines.bench.assays import selection_of
from proteinx_pipelines.bench.plain_csv import column_names, read_csv
from proteinx_pipelines.errors import LeakageFound, MissingFile
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.flags.transform import TransformFlags
from proteinx_pipelines.mutants import Mutation, parse_mutant

_ENDINGS = (".csv.gz", ".csv")
_FOLD = "fold"
_NEEDED = ("mutant", "DMS_score")
_FILLER = "A"
"""Residue of a rebuilt template at positions without a mutant: equal in every sequence."""
WHERE_TO_GET = (
    "Files of folds are expected: CSV or CSV.gz with `mutant`, `DMS_score` and columns whose names begin with "
    "`fold`. Leaky ones: `cv_folds_multiples_substitutions.zip` of ProteinGym's first release. Clean ones: "
    "`cv_folds_singles_substitutions.zip` of its release 1.3 (proteingym.org, Download)."
)


@dataclass(frozen=True)
class Folds:
    """One column of folds in one file."""

    file: Path
    column: str


@dataclass(frozen=True)
class Expected:
    """Expected result, from the text of a file."""

    rows: int
    """Lines with a score and a fold."""
    leaked: int
    """Lines of sequences that occur in several folds."""
    sequences: int
    """Number of those sequences."""
    wild_types: int
    """Lines of the template itself that would be tested."""
    first_lines: tuple[int, ...]
    """One line of each sequence except the template: a file of these has no leak."""

    @property
    def is_leaky(self) -> bool:
        """True if the checks must refuse the file."""
        return bool(self.leaked or self.wild_types)


@dataclass(frozen=True)
class Verdict:
    """Result of the checks on one column of folds."""

    folds: Folds
    expected: Expected
    found: Mapping[str, int]
    """Leaked test rows by name of the check, for unmerged rows."""
    is_blocked: bool
    is_blocked_merged: bool
    """True if the split is refused with synonymous mutants merged, the default of an experiment."""
    mended_passes: bool
    """True if the file with one line per sequence passes; only for leaky files."""

    @property
    def is_right(self) -> bool:
        """True if leaky and refused with every leaked row found, or clean and not refused."""
        if not self.expected.is_leaky:
            return not (self.is_blocked or self.is_blocked_merged or self.found)
        wanted = {
            "synonymous_mutants": self.expected.leaked,
            "wild_type_in_test": self.expected.wild_types,
        }
        all_found = dict(self.found) == {name: count for name, count in wanted.items() if count}
        return all_found and self.is_blocked and self.is_blocked_merged and self.mended_passes


def fold_columns(folder: Path) -> list[Folds]:
    """List every column of folds in the files of a folder and its subfolders.

    Raises:
        MissingFile: there is none; the message names a source.
    """
    files = [path for pattern in ("*", "*/*") for path in sorted(folder.glob(pattern))]
    found = [
        Folds(file, column)
        for file in files
        if file.name.endswith(_ENDINGS)
        for names in [column_names(file)]
        if set(_NEEDED) <= set(names)
        for column in names
        if column.startswith(_FOLD)
    ]
    if not found:
        raise MissingFile(f"No folds are in {folder}. {WHERE_TO_GET}")
    return found


def judge(folds: Folds) -> Verdict:
    """Run the checks on one column of folds.

    Raises:
        InputError: the file cannot be used at all, or contradicts itself.
    """
    table = read_csv(folds.file).select([*_NEEDED, folds.column])
    expected = count_leaks(table, folds.column)
    found, is_blocked = _ask(table, folds, folds.file, synonymous="keep")
    _, is_blocked_merged = _ask(table, folds, folds.file, synonymous="merge")
    return Verdict(
        folds,
        expected,
        found,
        is_blocked,
        is_blocked_merged,
        not expected.is_leaky or _mended_passes(table.take(expected.first_lines), folds),
    )


def count_leaks(table: pa.Table, column: str) -> Expected:
    """Count sequences in several folds, from the text of the lines."""
    places: dict[frozenset[tuple[int, str]], list[tuple[int, object]]] = {}
    for line, (mutant, score, fold) in enumerate(
        zip(*(table.column(name).to_pylist() for name in (*_NEEDED, column)), strict=True)
    ):
        if score is not None and fold not in (None, ""):
            places.setdefault(_changes(parse_mutant(mutant)), []).append((line, fold))
    wild_types = places.pop(frozenset(), [])
    leaky = [lines for lines in places.values() if len({fold for _, fold in lines}) > 1]
    return Expected(
        rows=sum(map(len, places.values())) + len(wild_types),
        leaked=sum(map(len, leaky)),
        sequences=len(leaky),
        wild_types=len(wild_types),
        first_lines=tuple(lines[0][0] for lines in places.values()),
    )


def _changes(mutations: Iterable[Mutation]) -> frozenset[tuple[int, str]]:
    """Mutations of a mutant that change its sequence."""
    return frozenset((one.position, one.residue) for one in mutations if one.residue != one.wild_type)


def _ask(
    table: pa.Table, folds: Folds, file: Path, *, synonymous: Literal["keep", "merge"]
) -> tuple[dict[str, int], bool]:
    """Leaked rows by check, and True if training is refused."""
    from proteinx_pipelines.stages.split.assign import draw_split
    from proteinx_pipelines.stages.split.leakage import refuse_leaks
    from proteinx_pipelines.stages.transform.transform import transform_variants

    name = file.name.split(".")[0]
    selection = selection_of(name, table, rebuilt_template(table), file.name)
    variants = transform_variants(selection, TransformFlags(synonymous=synonymous))
    flags = SplitFlags(method="file", path=str(file), column=folds.column)
    split = draw_split(variants, flags, file=file)
    found = {entry["check"]: int(entry["test_rows"]) for entry in split.info["leakage"]}
    try:
        refuse_leaks(split)
    except LeakageFound:
        return found, True
    return found, False


def _mended_passes(table: pa.Table, folds: Folds) -> bool:
    with tempfile.TemporaryDirectory(prefix="proteinx-bench-", ignore_cleanup_errors=True) as scratch:
        file = Path(scratch) / f"{folds.file.name.split('.')[0]}.csv"
        pyarrow.csv.write_csv(table, str(file))
        return not _ask(table, folds, file, synonymous="keep")[1]


def rebuilt_template(table: pa.Table) -> str:
    """Rebuild the template from the mutants; checks never read positions that no mutant changes."""
    letters: dict[int, str] = {
        one.position: one.wild_type for one in _mutations(table.column("mutant").to_pylist())
    }
    return "".join(letters.get(position, _FILLER) for position in range(1, max(letters, default=0) + 1))


def _mutations(mutants: Iterable[str]) -> Iterator[Mutation]:
    for mutant in mutants:
        yield from parse_mutant(mutant)
