"""`proteinx cancel`: the same request as the Master's, on the list `experiments:cancel`."""

import time

import click

from proteinx_pipelines.cli.lazy import examples

_WAIT_S = 15.0
"""How long the answer is waited for, in seconds: a stage has 10 s to stop by itself."""


@click.command(epilog=examples("proteinx cancel gb1-001"))
@click.argument("experiment_id", metavar="ID")
def cancel(experiment_id: str) -> None:
    """Cancel an experiment that waits or runs; its result says CANCELLED."""
    from proteinx_pipelines.cli.experiments import find_generation, open_state
    from proteinx_pipelines.errors import QueueUnavailable
    from proteinx_pipelines.node.line import master_line
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    state = open_state(settings, experiment_id)
    current = find_generation(state, experiment_id)
    if current.is_terminal:
        raise click.ClickException(f"{current.experiment_id} has ended already: it is {current.state}.")
    try:
        master_line(settings).ask_to_cancel(current.experiment_id)
    except QueueUnavailable:
        # The node cannot be told now: it finds the wish in its own database when it runs again.
        state.request_cancel(current.experiment_id)
    end = time.monotonic() + _WAIT_S
    while not current.is_terminal and time.monotonic() < end:
        time.sleep(0.1)
        current = find_generation(state, experiment_id, current.generation)
    if current.is_terminal:
        click.echo(f"{current.experiment_id} is {current.state}.")
    else:
        click.echo(f"{current.experiment_id} will be cancelled as soon as the node stops it.")
