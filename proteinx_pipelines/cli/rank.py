"""`proteinx rank`: lends this machine to distributed trainings of another node."""

import click

from proteinx_pipelines.cli.lazy import PlainErrors, examples


@click.command(cls=PlainErrors, epilog=examples("proteinx rank --address 10.0.0.7:29500"))
@click.option(
    "--address",
    required=True,
    metavar="HOST:PORT",
    help="MASTER_ADDR and MASTER_PORT of the node that trains.",
)
@click.option("--once", is_flag=True, help="End after one training.")
def rank(address: str, once: bool) -> None:
    """Train ranks of another node's experiments with `trainer.num_nodes` above 1, until Ctrl-C.

    The machine needs the same versions, and neither WORKDIR nor data: the job comes over the network. A training that
    lost a rank begins again from its last checkpoint, and asks for this machine again.
    """
    from proteinx_pipelines.stages.train.lending import lend
    from proteinx_pipelines.stages.train.meeting import Place

    try:
        place = Place.of(address)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--address") from error
    click.echo(f"Asking at {place.host}:{place.port} for trainings.")
    lend(place, click.echo, once=once)
