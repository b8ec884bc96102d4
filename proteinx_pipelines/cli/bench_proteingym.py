"""`proteinx bench proteingym`: one table per scheme, and a CSV of every assay."""

import csv
import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.bench.schemes import SCHEMES
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import PlainErrors, examples
from proteinx_pipelines.csv_cells import safe_cell

if TYPE_CHECKING:
    from proteinx_pipelines.bench.proteingym import AssayScore
    from proteinx_pipelines.bench.verdict import Average, Comparison

_COLUMNS = ("DMS_id", "n", "scheme", "pooled_spearman", "fold_mean_spearman", "mse")


@click.command(
    cls=PlainErrors,
    epilog=examples(
        "proteinx bench proteingym --data cv_folds --published supervised.csv --set ci",
        "proteinx bench proteingym --data cv_folds --published supervised.csv --scheme all --model auto",
        "proteinx bench proteingym --data cv_folds --scheme all --model auto --structures folder",
    ),
)
@click.argument("words", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of assays with fold columns.")
@click.option(
    "--published",
    type=click.Path(path_type=Path),
    help="CSV of published values: DMS_id,scheme,model,metric,value.",
)
@click.option("--assays", multiple=True, metavar="NAME", help="Only these assays (DMS_id).")
@click.option("--set", "chosen", type=click.Choice(["ci", "all"]), default="all", show_default=True,
              help="The twelve assays of the quick check, or all of the folder.")  # fmt: skip
@click.option("--scheme", type=click.Choice([*SCHEMES, "all"]), default="random", show_default=True)
@click.option("--model", default="ridge", show_default=True, help="A model of `proteinx models`.")
@click.option("--against", help="Published model to compare with.  [default: One-Hot Encodings]")
@click.option("--structures", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Structures and alignments, each named like its assay or the beginning of its name; only assays "
              "that have one are run.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help=f"Write {','.join(_COLUMNS)}.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Assays run in parallel, without a cluster (setting `dask`).  [default: one per core]",
)
@json_option
def proteingym(
    words: tuple[str, ...],
    data: Path | None,
    published: Path | None,
    assays: tuple[str, ...],
    chosen: str,
    scheme: str,
    model: str,
    against: str | None,
    structures: Path | None,
    out: Path | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Run ProteinGym's supervised protocol: stored folds, standardised targets, pooled Spearman.

    NAME=VALUE sets a flag, such as model.alpha=10 or embedding.name=esm2_t6_8M_UR50D. The exit code is 1 when our
    value is more than 0.02 below the published one, for any assay named by --assays, otherwise for the mean; with
    --set ci, when ridge on one-hot differs by more than 0.02 either way on any of the twelve assays.
    """
    from proteinx_pipelines.bench.assays import WHERE_TO_GET, assay_files
    from proteinx_pipelines.bench.evidence_files import evidence_pairs
    from proteinx_pipelines.bench.proteingym import score_assays
    from proteinx_pipelines.bench.published import ONE_HOT, Published, read_published
    from proteinx_pipelines.bench.verdict import averages, compare, passes
    from proteinx_pipelines.execution.shards.kept import cluster_spread
    from proteinx_pipelines.settings import load_settings

    if data is None:
        raise click.UsageError(f"--data is missing. {WHERE_TO_GET}")
    # `--assays A B C`: further arguments that set no flag are assay names too.
    pairs = tuple(word for word in words if "=" in word)
    names = [*assays, *(word for word in words if "=" not in word)]
    if names and not assays:
        raise click.UsageError(f"{names[0]!r} sets no flag (NAME=VALUE). Assays are named with --assays.")
    files = _chosen(assay_files(data), names, chosen)
    own: Mapping[str, Sequence[str]] = {}
    if structures is not None:
        own = evidence_pairs(structures, files)
        files = {name: path for name, path in files.items() if name in own}
        if not files:
            raise click.UsageError(
                f"No structure or alignment in {structures} is named like one of the assays."
            )
    known = Published({}) if published is None else read_published(published)
    reference = against or ONE_HOT
    if known.values and reference not in known.models:
        raise click.UsageError(
            f"--against {reference!r}: the published models are {', '.join(known.models)}."
        )
    flags = (f"model.name={model}", *pairs)
    schemes = SCHEMES if scheme == "all" else (scheme,)
    # Only the exact counterpart of the published model can fail by scoring too high.
    either_way = chosen == "ci" and reference == ONE_HOT and model == "ridge" and not pairs
    scores, spread = [], cluster_spread(load_settings(), "bench proteingym")
    for score in score_assays(
        files, schemes, flags, jobs=jobs or os.cpu_count() or 1, own=own, spread=spread
    ):
        scores.append(score)
        _tell(len(scores), len(files) * len(schemes), score)
    passed, documents = True, list[dict[str, Any]]()
    ranked = sorted(scores, key=lambda score: score.name)
    for one in schemes:
        found = [
            compare(score, known, against=reference, model=model, either_way=either_way)
            for score in ranked if score.scheme == one
        ]  # fmt: skip
        documents += [_document(comparison) for comparison in found]
        if not as_json:
            _print_scheme(one, found, model, reference)
        passed &= passes(found, each=bool(names) or either_way)
    means = averages(scores, known, schemes, model=model)
    if as_json:
        print_json({"assays": documents, "averages": [dataclasses.asdict(mean) for mean in means]})
    else:
        _print_averages(means, schemes)
    if out is not None:
        _write(out, scores)
    if not passed:
        click.echo("More than 0.02 away from the published value: see the reasons above.", err=True)
        raise SystemExit(1)


def _document(found: "Comparison") -> dict[str, Any]:
    score = found.score
    return {
        "assay": score.name, "scheme": score.scheme, "n": score.n, "pooled": score.pooled,
        "published": found.published, "difference": found.difference, "fold_mean": score.fold_mean,
        "mse": score.mse, "coverage": score.coverage, "seconds": score.seconds, "within": found.within,
        "reasons": list(found.reasons),
    }  # fmt: skip


def _chosen(files: dict[str, Path], assays: Sequence[str], chosen: str) -> dict[str, Path]:
    from proteinx_pipelines.bench.assays import CI_SET, choose

    names = [name for text in assays for name in text.split(",") if name]
    if names:
        return choose(files, names)
    return choose(files, CI_SET) if chosen == "ci" else files


def _tell(done: int, total: int, score: "AssayScore") -> None:
    from proteinx_pipelines.cli.terminal import duration

    line = f"{done}/{total} {score.name} {score.scheme} {score.pooled:.3f} ({duration(score.seconds)})"
    click.echo(line, err=True)


def _print_scheme(scheme: str, found: "list[Comparison]", model: str, against: str) -> None:
    from rich.markup import escape

    from proteinx_pipelines.bench.verdict import TOLERANCE, why_different
    from proteinx_pipelines.cli.terminal import console, table

    rows = table(["assay", "n", "pooled", "published", "difference", "fold mean", "mse", "95 % covers", "why"],
                 title=f"{scheme} folds: {model} beside {against}")  # fmt: skip
    for one in found:
        score = one.score
        cells = (score.pooled, one.published, one.difference, score.fold_mean, score.mse, score.coverage)
        mark = "" if one.within else "! "
        rows.add_row(score.name, str(score.n), *map(_number, cells), escape(mark + "; ".join(one.reasons)))
    console().print(rows)
    kinds = {kind: count for kind, count in why_different(found).items() if count}
    compared = sum(one.published is not None for one in found)
    if compared:
        because = "; what differs: " + ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        click.echo(f"{sum(kinds.values())} of {compared} assays are more than {TOLERANCE} away from the published "
                   f"value{because if kinds else ''}.")  # fmt: skip


def _print_averages(rows: "Sequence[Average]", schemes: Sequence[str]) -> None:
    from proteinx_pipelines.cli.terminal import console, table

    columns = [*schemes, *(["mean"] if len(schemes) > 1 else [])]
    found = table(["mean pooled Spearman", *columns, "assays", ""])
    for row in rows:
        values = row.by_scheme if len(schemes) == 1 else (*row.by_scheme, row.mean)
        cells = ("-" if value is None or not math.isfinite(value) else f"{value:.4f}" for value in values)
        found.add_row(row.model, *cells, str(row.assays), "ours" if row.is_ours else "published")
    console().print(found)


def _number(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"


def _write(out: Path, scores: "Sequence[AssayScore]") -> None:
    """One row for each assay and scheme; an undefined number is an empty field."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for score in sorted(scores, key=lambda score: (SCHEMES.index(score.scheme), score.name)):
            numbers = (score.pooled, score.fold_mean, score.mse)
            cells = (repr(value) if math.isfinite(value) else "" for value in numbers)
            writer.writerow((safe_cell(score.name), score.n, score.scheme, *cells))
