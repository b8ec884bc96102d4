"""`proteinx result`: the result document that was sent to the Master."""

import json

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.lazy import examples


@click.command(epilog=examples("proteinx result gb1-001", "proteinx result gb1-001 --json > result.json"))
@click.argument("experiment_id", metavar="ID", shell_complete=experiment_ids)
@click.option(
    "--generation", type=click.IntRange(min=1), help="Number of a generation; the newest if omitted."
)
@master_option
@click.option("--json", "as_json", is_flag=True, help="Print the document as it was sent.")
def result(experiment_id: str, generation: int | None, master_url: str | None, as_json: bool) -> None:
    """Print the result of an experiment that has ended.

    The exit code is 0 when it SUCCEEDED and 1 otherwise.
    """
    from proteinx_pipelines.cli.outcome import show_result
    from proteinx_pipelines.node.lifecycle.service_ports import open_lives
    from proteinx_pipelines.services.results import result_of
    from proteinx_pipelines.settings import load_settings

    if master_url is not None:
        from proteinx_pipelines.cli.at_master import result as result_there

        raise SystemExit(result_there(master_url, experiment_id, as_json=as_json))
    settings = load_settings()
    document = result_of(open_lives(settings, experiment_id), experiment_id, generation)
    if as_json:
        click.echo(json.dumps(document, indent=1, ensure_ascii=False))
        raise SystemExit(0 if document["status"] == "SUCCEEDED" else 1)
    raise SystemExit(show_result(settings, document))
