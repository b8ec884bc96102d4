"""`proteinx backup` and `proteinx restore`: a copy of a WORKDIR and its Master, and back."""

from pathlib import Path

import click

from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples


@click.command(
    epilog=examples("proteinx backup /mnt/backup/node-1", "proteinx backup /mnt/backup/node-1 --experiments")
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--experiments/--no-experiments", default=None,
    help="Copy experiments and archives, too; by default unless a shared store (PROTEINX_STORE) has them.",
)  # fmt: skip
@json_option
def backup(folder: Path, experiments: bool | None, as_json: bool) -> None:
    """Copy the history, the catalog, the experiments and the Master's database and files into FOLDER.

    Node and Master go on meanwhile. A second backup into the same folder copies what has changed. A Master's PostgreSQL
    is saved by `pg_dump`.
    """
    from proteinx_pipelines.node.lifecycle.backups import back_up
    from proteinx_pipelines.settings import load_settings

    made = back_up(load_settings(), folder.absolute(), experiments=experiments)
    if as_json:
        print_json(made.document())
    else:
        click.echo(
            f"{', '.join(made.databases)} and {made.n_files} files are in {folder}; {made.n_copied} were copied."
        )


@click.command(epilog=examples("proteinx restore /mnt/backup/node-1"))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
def restore(folder: Path, as_json: bool) -> None:
    """Put the backup in FOLDER into the WORKDIR of the settings, which must have no databases.

    A Master's PostgreSQL must have no tables. What ran when the backup was made is started again by the node.
    """
    from proteinx_pipelines.node.lifecycle.backups import restore as put_back
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    found = put_back(settings, folder.absolute())
    if as_json:
        print_json(found.document())
    else:
        names = ", ".join(found.databases)
        click.echo(f"The backup of {found.made_at} is in {settings.workdir}: {names}, {found.n_files} files.")
