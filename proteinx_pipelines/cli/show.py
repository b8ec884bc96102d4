"""`proteinx show`: one experiment, from its state to its files."""

import json
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.lazy import examples
from proteinx_pipelines.visible import indented, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from proteinx_pipelines.ledger.generation import Generation
    from proteinx_pipelines.services.listing import Row
    from proteinx_pipelines.services.showing import Shown
    from proteinx_pipelines.settings import Settings


@click.command(
    epilog=examples(
        "proteinx show gb1-001",
        "proteinx show gb1-001 --generation 1",
        "proteinx show gb1-001 --trace",
        "proteinx show gb1-001 --attempts --trace",
    )
)
@click.argument("experiment_id", metavar="ID", shell_complete=experiment_ids)
@click.option(
    "--generation", type=click.IntRange(min=1), help="Number of a generation; the newest if omitted."
)
@click.option("--attempts", is_flag=True, help="Also print the end of each attempt, with its error.")
@click.option("--trace", is_flag=True, help="Also print the trace of each error that is shown.")
@master_option
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def show(
    experiment_id: str,
    generation: int | None,
    attempts: bool,
    trace: bool,
    master_url: str | None,
    as_json: bool,
) -> None:
    """Show one experiment: state, stages with the reason each ran, metrics, files, history."""
    from proteinx_pipelines.errors import UnknownExperiment
    from proteinx_pipelines.node.lifecycle.service_ports import (
        NodeDirectories,
        NodePlanner,
        NodeQueue,
        open_lives,
    )
    from proteinx_pipelines.node.talking.master_jobs import open_jobs_of
    from proteinx_pipelines.services.lookup import find_generation
    from proteinx_pipelines.services.showing import show_experiment
    from proteinx_pipelines.settings import load_settings

    if master_url is not None:
        from proteinx_pipelines.cli.at_master import show as show_there

        show_there(master_url, experiment_id, as_json=as_json)
        return
    settings = load_settings()
    try:
        lives = open_lives(settings, experiment_id)
        find_generation(lives, experiment_id, generation)
    except UnknownExperiment:
        job = next(iter(open_jobs_of(settings, experiment_id)), None)
        if job is None:
            raise
        _print_job(job, as_json=as_json)
        return
    queue, past = NodeQueue(settings), NodePlanner(settings).past_stages
    shown = show_experiment(lives, NodeDirectories(settings), queue, past, experiment_id, generation)
    if as_json:
        click.echo(json.dumps(shown.document(), indent=1, ensure_ascii=False, default=str))
    else:
        _print(settings, shown, attempts=attempts, trace=trace)


def _print_job(job: "Mapping[str, Any]", *, as_json: bool) -> None:
    """Print a job that waits at the Master: no node knows its experiment yet."""
    if as_json:
        click.echo(json.dumps(job, indent=1, ensure_ascii=False))
        return
    place = f", #{job['position']} in the line" if job["position"] else ""
    click.echo(f"{job['experiment_id']}: {job['state']} at the Master as {job['job_id']}{place}")
    if job["reason"]:
        click.echo(f"waits     {one_line(job['reason'])}")
    for name in ("source", "model", "priority"):
        click.echo(f"{name:<10}{one_line(str(job[name]))}")


def _print(settings: "Settings", shown: "Shown", *, attempts: bool, trace: bool) -> None:
    from proteinx_pipelines.cli.terminal import console, metric_table

    screen, current = console(), shown.generation
    _print_state(screen, settings, current)
    _print_facts(screen, shown.row)
    if shown.unread:
        screen.print(f"Note: {shown.unread}", markup=False)
    _print_stages(screen, current)
    for stage, matched in _rows_matched(settings, current.experiment_id) if shown.files else ():
        screen.print(f"{stage}: rows matched with the file: {one_line(matched)}", markup=False)
    if current.summary:
        screen.print(metric_table(current.summary))
    if current.error_code:
        screen.print(f"{current.error_code}: {indented(current.error_message or '')}", markup=False)
        if current.trace:
            screen.print(
                f"  {indented(current.trace)}" if trace else "(--trace prints where it came from)",
                markup=False,
            )
    if attempts:
        _print_attempts(screen, shown.attempts, trace=trace)
    _print_files(screen, shown.files)
    _print_history(screen, shown.history)


def _print_facts(screen: "Console", row: "Row") -> None:
    """Data, model, split, flags; the place of a waiting experiment; the location of an archived one."""
    from proteinx_pipelines.cli.terminal import duration, value_text

    facts = [("source", row.source), ("model", row.model), ("embedding", row.embedding), ("split", row.split)]
    if row.priority:
        facts.append(("priority", str(row.priority)))
    if row.waits_for:
        facts.append(("waits", f"#{row.position} in the line: {row.waits_for}"))
    if row.eta_s is not None:
        facts.append(("ends in", f"about {duration(row.eta_s)}"))
    if row.whereabouts != "here":
        facts.append(("files", row.whereabouts))
    facts += [("flag", f"{name}={value_text(value)}") for name, value in row.changed_flags.items()]
    for name, text in facts:
        screen.print(f"{name:<10}{one_line(text)}", markup=False, soft_wrap=True)


def _rows_matched(settings: "Settings", experiment_id: str) -> "Iterator[tuple[str, str]]":
    """Stages that match a user's file to rows, and how many rows found a match."""
    from proteinx_pipelines.experiment_dir.layout import ExperimentDir
    from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline

    directory = ExperimentDir(settings.experiments_dir, experiment_id)
    for name, entry in read_pipeline(directory.pipeline).stages.items():
        if "rows_matched" in entry.details:
            yield name, str(entry.details["rows_matched"])


def _print_state(screen: "Console", settings: "Settings", current: "Generation") -> None:
    from proteinx_pipelines.cli.terminal import duration, local_time, seconds_between, state_text

    took = duration(seconds_between(current.started_at, current.finished_at))
    screen.print(
        f"{current.experiment_id}  {state_text(current.state)}  generation {current.generation}, "
        f"attempt {current.attempt}, received {local_time(current.received_at)}, took {took}"
        + ("  [magenta](cancel requested)[/]" if current.cancel_requested and not current.is_terminal else "")
    )
    screen.print(f"{settings.experiments_dir / current.experiment_id}", soft_wrap=True, markup=False)


def _print_stages(screen: "Console", current: "Generation") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import table
    from proteinx_pipelines.services.stage_view import RUNNING, stage_views

    rows = table(["stage", "status", "why / what"])
    for view in stage_views(current):
        status = f"{view.status} {view.fraction:.0%}" if view.status == RUNNING else view.status
        rows.add_row(view.stage, status, escape(view.reason))
    screen.print(rows)


def _print_attempts(screen: "Console", attempts: list[dict[str, Any]], *, trace: bool) -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import duration, local_time, seconds_between, state_text, table

    rows = table(["attempt", "began", "took", "state", "stage", "error"])
    for entry in attempts:
        began, ended = entry["started_at"], entry["ended_at"]
        took = duration(seconds_between(began, ended)) if began and ended else "-"
        error = ": ".join(filter(None, (entry["error_code"], entry["error_message"])))
        rows.add_row(
            str(entry["attempt"]), local_time(began) if began else "-", took, state_text(entry["state"]),
            entry["stage"] or "-", escape(error),
        )  # fmt: skip
    screen.print(rows)
    for entry in attempts if trace else ():
        if entry["trace"]:
            screen.print(indented(f"Attempt {entry['attempt']}:\n{entry['trace']}"), markup=False)


def _print_files(screen: "Console", files: "Mapping[str, Any]") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import table

    if not files:
        return
    rows = table(["file", "bytes"])
    rows.columns[1].justify = "right"
    for name, fact in files.items():
        rows.add_row(escape(name), f"{fact['size']:,}")
    screen.print(rows)


def _print_history(screen: "Console", history: "list[dict[str, Any]]") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import local_time, state_text, table

    rows = table(["time", "gen", "attempt", "state", "reason"])
    for entry in history:
        rows.add_row(
            local_time(entry["at"]), str(entry["generation"]), str(entry["attempt"]), state_text(entry["state"]),
            escape(entry["reason"] or ""),
        )  # fmt: skip
    screen.print(rows)
