"""`proteinx bench leakage`: one row per file of folds."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import PlainErrors, examples

if TYPE_CHECKING:
    from proteinx_pipelines.bench.declared import Rule
    from proteinx_pipelines.bench.leakage import Verdict


@click.command(cls=PlainErrors, epilog=examples("proteinx bench leakage --data leaky_folds"))
@click.option("--data", type=click.Path(path_type=Path), help="Folder of fold files, or of such folders.")
@json_option
def leakage(data: Path | None, as_json: bool) -> None:
    """Run the leakage checks on published folds: leaky folds must be blocked, clean folds must pass.

    The expected leaking rows are counted from each file's text, and the checks must find exactly those rows. A leaky
    file is checked again with one line per sequence, which must pass. The exit code is 1 when a leaky file passes, a
    clean one is blocked, or the numbers differ.

    A column whose name declares a rule (`fold_contiguous_5`, `two_vs_rest`, `low_vs_high`) is checked against the
    mutants too; the exit code is 1 when it is not what its name says.
    """
    from proteinx_pipelines.bench.leakage import WHERE_TO_GET, fold_columns, judge
    from proteinx_pipelines.cli.terminal import console, table

    if data is None:
        raise click.UsageError(f"--data is missing. {WHERE_TO_GET}")
    rules = _rules(data)
    verdicts = [judge(folds) for folds in fold_columns(data)] if not rules or _has_folds(data) else []
    kept = all(rule.holds for rule in rules.values())
    if as_json:
        print_json(_documents(verdicts, rules))
        raise SystemExit(not (kept and all(verdict.is_right for verdict in verdicts)))
    _print_rules(rules)
    if not verdicts:
        raise SystemExit(not kept)
    rows = table(["file", "folds", "rows", "in several folds", "found by the checks", "verdict", ""])
    for _, group in groupby(verdicts, key=lambda verdict: verdict.folds.file):
        for several in _alike(list(group)):
            rows.add_row(*_cells(several))
    console().print(rows)
    leaky = [verdict for verdict in verdicts if verdict.expected.is_leaky]
    blocked = sum(verdict.is_blocked and verdict.is_blocked_merged for verdict in leaky)
    passed = sum(
        not (verdict.is_blocked or verdict.is_blocked_merged)
        for verdict in verdicts
        if not verdict.expected.is_leaky
    )
    click.echo(f"{blocked} of {len(leaky)} leaky columns blocked, {passed} of {len(verdicts) - len(leaky)} "
               "clean ones passed.")  # fmt: skip
    if not all(verdict.is_right for verdict in verdicts):
        click.echo("The checks give a wrong answer for the files marked `!`.", err=True)
        raise SystemExit(1)
    if not kept:
        raise SystemExit(1)


def _rules(data: Path) -> "dict[tuple[Path, str], Rule]":
    """Declared rules by file and column; also of files without folds, such as FLIP's."""
    from proteinx_pipelines.bench.declared import rules_in

    files = (
        sorted(path for pattern in ("*", "*/*") for path in data.glob(pattern)) if data.is_dir() else [data]
    )
    return {
        (path, rule.name): rule
        for path in files
        if path.name.endswith((".csv", ".csv.gz")) and path.is_file()
        for rule in rules_in(path)
    }


def _has_folds(data: Path) -> bool:
    from proteinx_pipelines.bench.leakage import fold_columns
    from proteinx_pipelines.errors import MissingFile

    try:
        return bool(fold_columns(data))
    except MissingFile:
        return False


def _print_rules(rules: "dict[tuple[Path, str], Rule]") -> None:
    """Print the columns that are not what their names say, and the number of those that are."""
    for (path, name), rule in rules.items():
        if not rule.holds:
            click.echo(f"{path.name}, {name}: its name says {rule.rule!r}, but {rule.found}.", err=True)
    held = sum(rule.holds for rule in rules.values())
    if rules:
        click.echo(f"{held} of {len(rules)} columns whose name declares a rule are what they say.")


def _documents(verdicts: "Sequence[Verdict]", rules: "dict[tuple[Path, str], Rule]") -> list[dict[str, Any]]:
    from dataclasses import asdict

    left, found = dict(rules), []
    for verdict in verdicts:
        rule = left.pop((verdict.folds.file, verdict.folds.column), None)
        found.append({**_document(verdict), "declared": None if rule is None else asdict(rule)})
    nothing = dict.fromkeys(_document(verdicts[0])) if verdicts else {}
    for (path, name), rule in left.items():
        found.append({**nothing, "file": path, "column": name, "declared": asdict(rule)})
    return found


def _document(verdict: "Verdict") -> dict[str, Any]:
    return {
        "file": verdict.folds.file, "column": verdict.folds.column, "is_leaky": verdict.expected.is_leaky,
        "found": dict(verdict.found), "is_blocked": verdict.is_blocked,
        "is_blocked_merged": verdict.is_blocked_merged, "mended_passes": verdict.mended_passes,
        "is_right": verdict.is_right,
    }  # fmt: skip


def _alike(verdicts: "Sequence[Verdict]") -> "list[list[Verdict]]":
    """Columns of one file: clean and correctly passed checks are joined, the others are listed one by one."""
    clean = [verdict for verdict in verdicts if verdict.is_right and not verdict.expected.is_leaky]
    others = [[verdict] for verdict in verdicts if not verdict.is_right or verdict.expected.is_leaky]
    return [clean, *others] if clean else others


def _cells(verdicts: "Sequence[Verdict]") -> tuple[str, ...]:
    first, expected = verdicts[0], verdicts[0].expected
    counted = [f"{expected.leaked} rows of {expected.sequences} sequences"] if expected.leaked else []
    counted += [f"{expected.wild_types} of the wild type"] if expected.wild_types else []
    return (
        first.folds.file.name,
        ", ".join(verdict.folds.column for verdict in verdicts),
        str(expected.rows),
        "; ".join(counted) or "none",
        ", ".join(f"{check}: {count} rows" for check, count in first.found.items()) or "none",
        _says(first),
        "" if first.is_right else "!",
    )


def _says(verdict: "Verdict") -> str:
    if not verdict.expected.is_leaky:
        return "blocked" if verdict.is_blocked or verdict.is_blocked_merged else "passes"
    return ", ".join(
        (
            "blocked" if verdict.is_blocked else "passes",
            f"merged: {'blocked' if verdict.is_blocked_merged else 'passes'}",
            f"mended: {'passes' if verdict.mended_passes else 'blocked'}",
        )
    )
