"""`proteinx prior`: a prior learned from the measurements of other proteins, and what a prior holds."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from proteinx_pipelines.cli.completing import source_names
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples
from proteinx_pipelines.settings import load_settings

if TYPE_CHECKING:
    from proteinx_pipelines.stages.train.prior import Prior
    from proteinx_pipelines.stages.train.prior_learning import Assay, Learned
    from proteinx_pipelines.stages.train.structure_effects import ProteinSites

_PATH = click.Path(path_type=Path, dir_okay=False)


@click.group()
def prior() -> None:
    """Learn what substitutions do from other proteins' assays, for `model.prior`."""


@prior.command(
    "learn",
    epilog=examples(
        "proteinx prior learn --out our.prior",
        "proteinx prior learn --out stability.prior --source GB1 --source TEM1 --lower-is-better TEM1",
        "proteinx prior learn --out public.prior --data cv_folds",
    ),
)
@click.option("--out", type=_PATH, required=True, help="File to write.")
@click.option("--source", "sources", multiple=True, shell_complete=source_names,
              help="Only this source of the catalog; repeatable. All sources if omitted.")  # fmt: skip
@click.option(
    "--exclude", multiple=True, shell_complete=source_names, help="Leave out this source; repeatable."
)
@click.option("--lower-is-better", "reversed_", multiple=True, metavar="SOURCE",
              help="A source whose lower scores are better; repeatable.")  # fmt: skip
@click.option(
    "--data", type=click.Path(path_type=Path), help="A folder of assays (as for `bench proteingym`) instead."
)
@click.option(
    "--structures",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="With --data: structures, each named like its assay or the beginning of it.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the draw of rows."
)
@click.option("--database", type=_PATH, help="The catalog; database.db of the WORKDIR if omitted.")
@json_option
def learn(
    out: Path,
    sources: tuple[str, ...],
    exclude: tuple[str, ...],
    reversed_: tuple[str, ...],
    data: Path | None,
    structures: Path | None,
    seed: int,
    database: Path | None,
    *,
    as_json: bool,
) -> None:
    """Learn a prior from single substitutions of the catalog's sources and write it to a file.

    Scores count by their ranks within a source, the higher the better. Related proteins form families, and the file
    has weights without each group of families, so that no protein is predicted by what its relatives taught. With ten
    families or more it also has models of new and of known positions, and with ten that have a structure (attached to
    their sources) one of effects by structure. Printed: the Spearman of each source with effects that were learned
    without its family, from its sequence, and by its structure.
    """
    from proteinx_pipelines.bench.prior_assays import assays_of_folder
    from proteinx_pipelines.stages.train.prior import write_prior
    from proteinx_pipelines.stages.train.prior_learning import learn as learn_prior

    if structures is not None and data is None:
        raise click.UsageError("--structures goes with --data; attach structures to sources of the catalog.")
    assays = (
        assays_of_folder(data, sources, structures) if data is not None else _of_catalog(database, sources)
    )
    kept = [each for each in assays if each.name not in exclude]
    unknown = sorted({*exclude, *reversed_} - {each.name for each in assays})
    if unknown:
        raise click.UsageError(f"{', '.join(unknown)}: not among the {len(assays)} sources.")
    found = learn_prior(
        [_turned(each) if each.name in reversed_ else each for each in kept],
        seed=seed,
        facts={"seed": seed, "reversed": sorted(reversed_)},
        progress=lambda name: click.echo(name, err=True),
    )
    write_prior(found.prior, out)
    _print_learned(found, out, as_json=as_json)


@prior.command("show")
@click.argument("file", type=_PATH, required=False)
@click.option("--template", help="A protein's sequence: names the members that are left out for it.")
@json_option
def show(file: Path | None, template: str | None, *, as_json: bool) -> None:
    """Print what a prior was learned from; the package's own without FILE."""
    from proteinx_pipelines.stages.train.prior import default_prior, read_prior

    found = default_prior() if file is None else read_prior(file)
    related = [each.name for each in found.related(template)] if template else None
    if as_json:
        print_json(_document(found, related))
        return
    models = [
        ("new positions", found.new_positions),
        ("new positions in a structure", found.new_positions_by_structure),
        ("known positions", found.known_positions),
        ("effects by structure", found.structure_effects),
    ]
    kinds = ", ".join(kind for kind, model in models if model is not None)
    also = f"; with models of {kinds}" if kinds else ""
    click.echo(
        f"{len(found.members)} assays in {len(found.weights) - 1} groups of families{also}; sha256 {found.sha256}"
    )
    for member in found.members:
        mark = " (related: left out)" if related is not None and member.name in related else ""
        click.echo(f"  {member.name}, {len(member.sequence):,} residues, group {member.group}{mark}")


def _document(found: "Prior", related: Sequence[str] | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "sha256": found.sha256,
        "groups": len(found.weights) - 1,
        **{name: each is not None for name, each in found.models.items()},
        "members": [
            {"name": each.name, "residues": len(each.sequence), "group": each.group} for each in found.members
        ],
        "facts": dict(found.facts or {}),
    }
    return document if related is None else {**document, "related_source": list(related)}


def _print_learned(found: "Learned", out: Path, *, as_json: bool) -> None:
    values = np.array(list(found.spearman.values()))
    mean = float(np.nanmean(values))
    if as_json:
        print_json(
            {
                "file": str(out),
                "mean_spearman": mean,
                "spearman": dict(found.spearman),
                "spearman_by_structure": dict(found.spearman_by_structure),
                "skipped": dict(found.skipped),
            }
        )
        return
    for name, value in found.spearman.items():
        mark = "  negative: are lower scores better? (--lower-is-better)" if value < -0.1 else ""
        by = found.spearman_by_structure.get(name)
        told = "" if by is None else f" ({by:.3f} by its structure)"
        click.echo(f"{name}: {value:.3f}{told}{mark}")
    for name, why in found.skipped.items():
        click.echo(f"{name}: left out, {why}")
    click.echo(
        f"{out}: {len(found.prior.members)} assays; Spearman without the own family {mean:.3f} on average"
    )


def _turned(assay: "Assay") -> "Assay":
    return replace(assay, score=-assay.score)


def _of_catalog(database: Path | None, sources: Sequence[str]) -> "list[Assay]":
    from proteinx_pipelines.catalog.reading import read_rows
    from proteinx_pipelines.catalog.reading import source_names as all_names
    from proteinx_pipelines.errors import UnknownSource
    from proteinx_pipelines.flags.data import DataFlags
    from proteinx_pipelines.nearest import did_you_mean
    from proteinx_pipelines.stages.train.prior_learning import assay_of

    path = database or load_settings().database_path
    known = all_names(path)
    if unknown := [name for name in sources if name not in known]:
        raise UnknownSource(
            f"--source {', '.join(unknown)}: not in {path}, which has {', '.join(known[:20])}."
            f"{did_you_mean(unknown[0], known)}"
        )

    def each() -> "Iterator[Assay]":
        for name in sources or known:
            found = read_rows(path, DataFlags(source=(name,)))
            scores = found.rows.column("DMS_score").to_numpy(zero_copy_only=False).astype(np.float64)
            assay = assay_of(name, found.templates[name], found.rows.column("mutant").to_pylist(), scores)
            yield replace(assay, sites=_sites_of_source(path, name, found.templates[name]))

    return list(each())


def _sites_of_source(path: Path, name: str, template: str) -> "ProteinSites | None":
    """Sites of the structure that is attached to a source; None without one."""
    from proteinx_pipelines.catalog.attachments import attached_content, attachments_of
    from proteinx_pipelines.evidence.gather import GivenEvidence
    from proteinx_pipelines.evidence.given import GivenFile
    from proteinx_pipelines.stages.train.structure_effects_learning import sites_of_structure

    files = dict[tuple[str, str | None], GivenFile]()
    for one in attachments_of(path, [name]):
        if one.kind == "structure":
            files["structure", None] = GivenFile(
                "structure", one.name, attached_content(path, one), one.chain
            )
    return sites_of_structure(GivenEvidence(files), name, template)
