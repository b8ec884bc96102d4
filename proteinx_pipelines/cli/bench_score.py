"""`proteinx bench score`: judges predictions that anybody made."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import PlainErrors, examples

if TYPE_CHECKING:
    from proteinx_pipelines.bench.score import Against, Score

_TABLE = "proteingym_supervised.csv"


@click.command(
    "score",
    cls=PlainErrors,
    epilog=examples(
        "proteinx bench score BLAT_ECOLX_Stiffler_2015.csv --scheme random",
        "proteinx bench score predictions/ --scheme contiguous --published published --reference index.json",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--scheme", type=click.Choice(["random", "modulo", "contiguous"]), help="Scheme that the folds follow."
)
@click.option(
    "--published", type=click.Path(path_type=Path), help=f"{_TABLE}, or its folder: paired differences."
)
@click.option("--reference", type=click.Path(path_type=Path),
              help="index.json with the selection type of each assay, for ProteinGym's mean.")  # fmt: skip
@json_option
def score(
    file: Path, scheme: str | None, published: Path | None, reference: Path | None, as_json: bool
) -> None:
    """Judge predictions: columns mutant, y, y_pred and fold, one file an assay (or a column DMS_id).

    Spearman as ProteinGym publishes it, with 95 % intervals over variants and over positions, the squared error beside
    it, paired differences to published models, and an audit of the folds: the same sequence in several folds, repeated
    rows, and whether the folds are what the scheme says. The exit code is 1 when the audit finds something.
    """
    from proteinx_pipelines.bench.published import read_published
    from proteinx_pipelines.bench.score import against, aggregate, read_predictions
    from proteinx_pipelines.bench.score import score as judged

    if published is not None and scheme is None:
        raise click.UsageError("--published has values for each scheme; name it with --scheme.")
    found = [judged(each, scheme) for each in read_predictions(file)]
    kinds = _kinds(reference)
    mean = aggregate({each.assay: each.spearman for each in found}, kinds)
    rows = []
    if published is not None and scheme is not None:
        path = published / _TABLE if published.is_dir() else published
        tables = {name: read_published(path, metric=name) for name in ("Spearman", "MSE")}
        rows = against(found, tables, scheme)
    if as_json:
        print_json(_document(found, rows, mean, kinds))
    else:
        _print(found, rows, mean, kinds)
    if any(each.audit is not None and not each.audit.is_clean for each in found):
        raise SystemExit(1)


def _kinds(reference: Path | None) -> dict[str, str]:
    """DMS_id -> selection type."""
    if reference is None:
        return {}
    file = reference / "index.json" if reference.is_dir() else reference
    wanted = 'an object {"DMS_ID": {"selection_type": "Activity"}} is expected'
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"--reference {file} cannot be read: {error.strerror}; {wanted}.") from error
    except ValueError as error:
        raise click.UsageError(f"--reference {file} is not JSON: {error}; {wanted}.") from error
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise click.UsageError(f"--reference {file} has another form; {wanted}.")
    return {
        name: str(entry["selection_type"]) for name, entry in entries.items() if "selection_type" in entry
    }


def _document(
    found: "list[Score]", rows: "list[Against]", mean: float, kinds: dict[str, str]
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "assays": [
            {**each.document(), "is_clean": each.audit.is_clean if each.audit else None} for each in found
        ],
        "aggregate": mean, "aggregate_is_official": bool(kinds), "against": [asdict(row) for row in rows],
    }  # fmt: skip


def _print(found: "list[Score]", rows: "list[Against]", mean: float, kinds: dict[str, str]) -> None:
    from proteinx_pipelines.cli.terminal import console
    from proteinx_pipelines.cli.terminal import table as rows_of

    shown = rows_of(
        [
            "assay",
            "n",
            "Spearman",
            "over variants",
            "over positions",
            "fold mean",
            "MSE",
            "variance of y",
            "folds",
        ]
    )
    for each in found:
        shown.add_row(
            each.assay, f"{each.n:,}", f"{each.spearman:.3f}", _ends(each.by_variant), _ends(each.by_position),
            "-" if each.fold_mean is None else f"{each.fold_mean:.3f}", f"{each.mse:.4g}", f"{each.variance:.4g}",
            "not given" if each.audit is None else "clean" if each.audit.is_clean else "see below",
        )  # fmt: skip
    console().print(shown)
    what = (
        "ProteinGym's mean over proteins and kinds of assays"
        if kinds
        else "Mean over proteins (no --reference)"
    )
    click.echo(f"{what}: {mean:.3f} over {len(found)} assays.")
    for each in found:
        for sentence in audit_words(each):
            click.echo(f"{each.assay}: {sentence}", err=True)
    if rows:
        paired = rows_of(["less the published", "assays", "Spearman", "95 % over assays", "higher in", "MSE"])
        for row in rows:
            paired.add_row(
                row.model, str(row.n), f"{row.spearman:+.3f}", _ends((row.low, row.high)), f"{row.better} of {row.n}",
                "-" if row.mse is None else f"{row.mse:+.4f}",
            )  # fmt: skip
        console().print(paired)


def _ends(found: tuple[float, float]) -> str:
    low, high = found
    return "-" if low != low else f"{low:.3f} to {high:.3f}"  # NaN


def audit_words(found: "Score") -> list[str]:
    """What the audit found, one sentence each; empty where the folds are clean."""
    audit, words = found.audit, []
    if found.spearman != found.spearman:  # NaN
        words.append(
            "Spearman is undefined: there are fewer than two variants, or all y or all y_pred are equal."
        )
    if audit is None:
        return [*words, "no column `fold`: leakage cannot be judged."]
    if audit.leaked:
        shown = "; ".join(audit.examples)
        words.append(
            f"{audit.leaked} rows spell sequences that are in several folds ({shown}): the answer was seen."
        )
    if audit.repeated > audit.leaked:
        words.append(f"{audit.repeated} rows repeat a sequence of the file; each counts again in the score.")
    if audit.wild_types:
        words.append(f"{audit.wild_types} rows are the wild type itself.")
    if audit.declared is not None and not audit.declared.holds:
        words.append(
            f"the folds are not {audit.declared.name}: {audit.declared.rule}; found {audit.declared.found}."
        )
    return words
