"""`proteinx dead`: experiments that ended as FAILED, and the path of each failure bundle."""

import json
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from proteinx_pipelines.ledger.generation import Generation
    from proteinx_pipelines.settings import Settings


@click.command(epilog=examples("proteinx dead", "proteinx dead --json", "proteinx replay gb1-001"))
@click.option(
    "--limit", type=click.IntRange(min=1), default=30, show_default=True, help="Largest number of rows."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per experiment.")
def dead(limit: int, as_json: bool) -> None:
    """List experiments whose newest generation FAILED: no attempts are left, and nothing is retried automatically.

    Each has a failure bundle: one JSON file with flags, versions, seeds, history, the trace and the last log lines.
    """
    from proteinx_pipelines.node.lifecycle.service_ports import open_lives
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    found = open_lives(settings).listing(limit, "FAILED")
    if as_json:
        rows = [_document(settings, current) for current in found]
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    elif not found:
        click.echo("No experiment was given up.")
    else:
        _print_table(settings, found)


def _document(settings: "Settings", current: "Generation") -> dict[str, Any]:
    from proteinx_pipelines.node.lifecycle.failure_bundle import bundle_path

    path = bundle_path(settings, current.experiment_id, current.generation)
    return {
        "experiment_id": current.experiment_id, "generation": current.generation, "attempts": current.attempt,
        "failures": current.failures, "losses": current.losses, "stage": current.stage,
        "error_code": current.error_code, "error_message": current.error_message,
        "finished_at": current.finished_at, "bundle": str(path) if path.is_file() else None,
    }  # fmt: skip


def _print_table(settings: "Settings", found: "list[Generation]") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import console, local_time, table

    rows = table(["experiment", "gen", "attempts", "stage", "error", "when", "what"])
    for current in found:
        first_line = (current.error_message or "").splitlines() or [""]
        when = local_time(current.finished_at) if current.finished_at else ""
        rows.add_row(
            current.experiment_id, str(current.generation), str(current.attempt), current.stage or "-",
            current.error_code or "", when, escape(first_line[0][:120]),
        )  # fmt: skip
    console().print(rows)
    click.echo(f"Failure bundles: {settings.paths.failures_dir}. Run one again with `proteinx replay ID`.")
