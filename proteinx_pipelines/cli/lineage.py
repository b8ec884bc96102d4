"""`proteinx lineage`: trace a metric back to the measured rows."""

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from proteinx_pipelines.services.lineage import Ancestor, Lineage

_SHORT = 12


@click.command("lineage",
    epilog=examples(
        "proteinx lineage gb1-001", "proteinx lineage gb1-001@1 --files",
        "proteinx lineage gb1-001 --master http://master:8000",
    ),
)  # fmt: skip
@click.argument("experiment", metavar="ID[@GENERATION]", shell_complete=experiment_ids)
@click.option("--files", is_flag=True, help="Also print the files of each stage with their digests.")
@master_option
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, digests in full.")
def lineage(experiment: str, files: bool, master_url: str | None, as_json: bool) -> None:
    """Trace an experiment's metrics back to the rows they came from.

    For each stage: its key and code version, who computed it and when, and the digests of its inputs; at the end the
    query that selected the rows, as executed. Exit code 1 when the chain is broken.
    """
    found = _found(experiment, master_url)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), indent=1, ensure_ascii=False, default=str))
    else:
        _print(found, files=files)
    if found.broken:
        raise SystemExit(1)


def _found(experiment: str, master_url: str | None) -> "Lineage":
    if master_url is not None:
        from proteinx_pipelines.cli.files_at_master import lineage_of as lineage_there

        return lineage_there(master_url, experiment)
    from proteinx_pipelines.execution.opened_generation import open_named_generation
    from proteinx_pipelines.experiment_dir.campaign_dir import campaigns_of
    from proteinx_pipelines.services.lineage import lineage as lineage_of
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    return lineage_of(open_named_generation(settings, experiment), campaigns_of(settings.paths.campaigns_dir))


def _print(found: "Lineage", *, files: bool) -> None:
    from proteinx_pipelines.cli.terminal import number

    for name, value in found.metrics.items():
        click.echo(f"{name} {number(value)}")
    if not found.metrics:
        click.echo("no metrics yet")
    for ancestor in found.ancestors:
        _print_ancestor(ancestor, files=files)
    if found.query is not None:
        click.echo(f"query of {found.query.get('database')}")
        for line in str(found.query.get("sql")).splitlines():
            click.echo(f"    {line}")
        click.echo(f"    parameters: {json.dumps(found.query.get('parameters'), ensure_ascii=False)}")
    for each in found.rounds:
        click.echo(
            f"^ round {each.round} of {each.campaign_id}  plate {each.plate_sha256[:_SHORT]} by {each.experiment_id} "
            f"from {each.source}; {each.n_measured} measured: {each.measured_as}, file {each.measured_sha256[:_SHORT]}"
        )
    for sentence in found.broken:
        click.echo(f"BROKEN: {sentence}.")


def _print_ancestor(ancestor: "Ancestor", *, files: bool) -> None:
    facts = ", ".join(f"{name.replace('_', ' ')} {_fact(value)}" for name, value in ancestor.facts.items())
    click.echo(f"^ {ancestor.stage}  {ancestor.key[:_SHORT]}  version {ancestor.version}  {facts}".rstrip())
    click.echo(f"    {ancestor.action}; computed by {ancestor.computed_by}, {ancestor.computed_at}")
    read = ", ".join(f"{name} {digest[:_SHORT]}" for name, digest in ancestor.inputs.items())
    click.echo(f"    from {read or 'nothing'}")
    for name, digest in ancestor.files.items() if files else ():
        click.echo(f"    {digest[:_SHORT]}  {name}")


def _fact(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    return text if " " in text else text[:_SHORT]  # a digest
