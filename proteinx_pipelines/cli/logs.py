"""`proteinx logs`: the events and the log of an experiment in one stream, sorted by time."""

import time
from pathlib import Path

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.json_output import json_option, print_json_line
from proteinx_pipelines.cli.lazy import examples

_LOOK_S = 0.3


@click.command(epilog=examples("proteinx logs gb1-001", "proteinx logs gb1-001 -f"))
@click.argument("experiment_id", metavar="ID", shell_complete=experiment_ids)
@click.option("--follow", "-f", is_flag=True, help="Follow the log until the experiment ends.")
@master_option
@json_option
def logs(experiment_id: str, follow: bool, master_url: str | None, as_json: bool) -> None:
    """Print the stage events and train.log lines of an experiment, sorted by time."""
    from proteinx_pipelines.errors import UnknownExperiment
    from proteinx_pipelines.experiment_dir.layout import ExperimentDir
    from proteinx_pipelines.experiment_dir.log_lines import LogReader, as_line
    from proteinx_pipelines.settings import load_settings

    if master_url is not None:
        from proteinx_pipelines.cli.at_master import logs as logs_there

        logs_there(master_url, experiment_id, follow=follow, as_json=as_json)
        return
    settings = load_settings()
    directory = ExperimentDir(settings.experiments_dir, experiment_id)
    if not directory.root.is_dir() and not (follow and _is_open(settings.state_path, experiment_id)):
        raise UnknownExperiment(
            f"{directory.root} is not there. `proteinx list` shows the experiments of the queue."
        )
    reader = LogReader(directory.train_logs, directory.events_dir)
    try:
        while True:
            # Checked before reading, so that everything written before the end is printed before the loop stops.
            goes_on = follow and _is_open(settings.state_path, experiment_id)
            for entry in reader.new_entries(complete=not goes_on):
                if as_json:
                    print_json_line(
                        {"time": entry.time.isoformat(timespec="milliseconds"), "text": entry.text}
                    )
                else:
                    click.echo(as_line(entry.time, entry.text))
            if not goes_on:
                return
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        return


def _is_open(state_path: Path, experiment_id: str) -> bool:
    """True while the experiment waits or runs."""
    from proteinx_pipelines.ledger.ledger import Ledger

    if not state_path.is_file():
        return False
    current = Ledger(state_path).latest(experiment_id)
    return current is not None and not current.is_terminal
