"""`proteinx store status|push|pull`, and `gc --shared`: the store that machines share."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from proteinx_pipelines.files.shared.store import SharedStore
    from proteinx_pipelines.settings import Settings


@click.command("status", epilog=examples("proteinx store status", "proteinx store status --json"))
@json_option
def status(as_json: bool) -> None:
    """Print whether the shared store answers, what waits to be sent, and what is in it. Exit code 1 if it does not."""
    from proteinx_pipelines.errors import BackendError, CorruptArtifact
    from proteinx_pipelines.execution.shared_garbage import shared_contents
    from proteinx_pipelines.files.fetching.registry import fetched_files
    from proteinx_pipelines.files.shared.outgoing import Outgoing
    from proteinx_pipelines.files.shared.probing import probe
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    found: dict[str, Any] = {
        "store": settings.store, "answers": None, "seconds": None, "error": None,
        "waiting": Outgoing(settings.paths.outgoing_dir).counts(), "fetched_bytes": fetched_files(settings).n_bytes(),
        "bytes": {}, "stages": 0, "limit_bytes": settings.store_max_gb and int(settings.store_max_gb * 1e9),
    }  # fmt: skip
    if settings.store is not None:
        try:
            blobs = _opened(settings).blobs
            found["seconds"] = round(probe(blobs), 4)
            contents = shared_contents(blobs)
            found |= {"answers": True, "bytes": contents.summary(), "stages": len(contents.evictable)}
        except (BackendError, CorruptArtifact) as error:
            found |= {"answers": False, "error": str(error)}
    if as_json:
        print_json(found)
    else:
        _print_status(found)
    raise SystemExit(found["answers"] is False)


def _print_status(found: dict[str, Any]) -> None:
    from proteinx_pipelines.cli.sizes import size_text

    if found["store"] is None:
        click.echo("There is no shared store: PROTEINX_STORE is not set.")
    elif not found["answers"]:
        click.echo(f"{found['store']} does not answer: {found['error']}")
    else:
        click.echo(f"{found['store']} answered in {1000 * found['seconds']:.0f} ms.")
        for name, n_bytes in found["bytes"].items():
            click.echo(f"{size_text(n_bytes):>9}  {name}")
    waiting = ", ".join(f"{count:,} {what}" for what, count in found["waiting"].items() if count)
    click.echo(f"Waiting to be sent: {waiting or 'nothing'}.")
    click.echo(f"Fetched by reference: {size_text(found['fetched_bytes'])}.")


@click.command(
    "push", epilog=examples("proteinx store push", "proteinx store push gb1.csv", "proteinx store push --all")
)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Offer all stages, vectors and ended experiments of this WORKDIR.",
)
@json_option
def push(files: tuple[Path, ...], everything: bool, as_json: bool) -> None:
    """Send what waits, now; or put FILES into the shared store and print their references.

    A node sends what waits in the background by itself; what `proteinx train` left waits for this command or a node.
    """
    from proteinx_pipelines.files.shared.pushing import push_file
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    store = _opened(settings, patient=True)
    if files:
        references = {str(path): push_file(store.blobs, path) for path in files}
        if as_json:
            print_json({"references": references, "sent": len(references), "bytes": None})
            return
        for reference in references.values():
            click.echo(reference)
        return
    sent, n_bytes = _send(settings, store, everything=everything)
    if as_json:
        print_json({"references": {}, "sent": sent, "bytes": n_bytes})
        return
    from proteinx_pipelines.cli.sizes import size_text

    click.echo(f"{sent:,} sent, {size_text(n_bytes)}.")


def _send(settings: "Settings", store: "SharedStore", *, everything: bool) -> tuple[int, int]:
    from proteinx_pipelines.execution.ended_experiments import offer_experiment
    from proteinx_pipelines.execution.pulling import offer_everything
    from proteinx_pipelines.execution.sending import Sender, offer_contents
    from proteinx_pipelines.execution.store import StageStore
    from proteinx_pipelines.files.shared.outgoing import Outgoing

    local, outgoing = StageStore(settings.paths.store_dir), Outgoing(settings.paths.outgoing_dir)
    if everything:
        offer_contents(local, outgoing)
        offer_everything(
            settings, lambda directory, generation: offer_experiment(settings, directory, generation)
        )
    sender = Sender(store.blobs, local, outgoing)
    sent = sender.send_all()
    store.away.clear()
    return sent, sender.bytes_sent


@click.command(
    "pull", epilog=examples("proteinx store pull gb1-001", "proteinx store pull gb1-001 --generation 1")
)
@click.argument("experiment_id", shell_complete=experiment_ids)
@click.option("--generation", type=click.IntRange(min=1), help="The newest when left out.")
@json_option
def pull(experiment_id: str, generation: int | None, as_json: bool) -> None:
    """Fetch an ended experiment of any machine into this WORKDIR, every byte checked; a broken one continues."""
    from proteinx_pipelines.execution.pulling import pull_experiment
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    names: list[str] = []
    directory = pull_experiment(
        settings, _opened(settings, patient=True).blobs, experiment_id, generation, said=names.append
    )
    if as_json:
        print_json({"experiment_id": directory.experiment_id, "directory": directory.root, "files": names})
        return
    click.echo(f"{len(names):,} files of {directory.experiment_id} are in {directory.root}.")


def collect_shared(*, max_gb: float | None, dry_run: bool, as_json: bool) -> None:
    """`gc --shared`: evict the least recently used stages and vectors beyond a size."""
    from proteinx_pipelines.cli.sizes import size_text
    from proteinx_pipelines.execution.shared_garbage import evict, shared_contents, to_evict
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    limit = max_gb if max_gb is not None else settings.store_max_gb
    if limit is None:
        raise click.UsageError("Name the size to keep: --max-gb, or PROTEINX_STORE_MAX_GB.")
    blobs = _opened(settings, patient=True).blobs
    contents = shared_contents(blobs)
    gone = to_evict(contents, int(limit * 1e9))
    sizes = dict(contents.sizes)
    if not dry_run:
        evict(blobs, contents, gone)
    rows = [
        {"path": each.names[0], "what": each.what, "n_bytes": sum(sizes.get(name, 0) for name in each.names),
         "used_at": each.used_at} for each in gone
    ]  # fmt: skip
    if as_json:
        print_json({"removed": not dry_run, "entries": rows})
        return
    for row in rows:
        click.echo(row["what"])
    verb = "would be removed from" if dry_run else "removed from"
    click.echo(
        f"{len(rows)} stages and shards {verb} {settings.store}; {size_text(contents.reusable_bytes)} were there."
    )


def _opened(settings: "Settings", *, patient: bool = False) -> "SharedStore":
    """The shared store.

    Raises:
        SettingsError: there is none.
    """
    from proteinx_pipelines.errors import SettingsError
    from proteinx_pipelines.files.shared.store import PATIENCE_S, shared_store

    store = shared_store(settings, silence_s=PATIENCE_S if patient else None)
    if store is None:
        raise SettingsError(
            "There is no shared store. Set PROTEINX_STORE to its address, such as s3://bucket/prefix."
        )
    return store
