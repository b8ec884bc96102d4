"""`proteinx store`: list, check and clean the stages and vectors that experiments share on this node."""

import dataclasses
import json
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples
from proteinx_pipelines.cli.store_shared import collect_shared, pull, push, status

if TYPE_CHECKING:
    from proteinx_pipelines.execution.references import References
    from proteinx_pipelines.execution.repair import Repair
    from proteinx_pipelines.execution.store import StageStore

DEFAULT_HOURS = 24.0
"""`gc` keeps what was used within this time."""


@click.group("store")
def store() -> None:
    """Manage the store of this WORKDIR, shared by its experiments, and the one that machines share."""


for command in (status, push, pull):
    store.add_command(command)


@store.command("ls", epilog=examples("proteinx store ls", "proteinx store ls --entries --json"))
@click.option(
    "--entries", is_flag=True, help="Print one line per entry, with the experiments that refer to it."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_store(entries: bool, as_json: bool) -> None:
    """List the stored contents, their sizes, and how much no experiment refers to."""
    rows = [*_stage_rows(*_open()), *_vector_rows(*_open())]
    shown = rows if entries else _summed(rows)
    if as_json:
        click.echo(json.dumps(shown, indent=1, ensure_ascii=False))
        return
    _print(shown, entries=entries)


@store.command("verify", epilog=examples("proteinx store verify", "proteinx store verify --repair"))
@click.option(
    "--repair",
    "mend",
    is_flag=True,
    help="Move damaged contents to quarantine and replace them where possible.",
)
@json_option
def verify(mend: bool, as_json: bool) -> None:
    """Read every stored byte and list damage. Exit code 1 if damage is found and not repaired.

    With --repair, damaged contents are moved to <WORKDIR>/store/quarantine/. They are replaced from an experiment
    that has the stage intact, or computed again if none has. An experiment whose own files are damaged (links to the
    same bytes) recomputes that stage and the stages after it in its next generation. Safe while a node runs.
    """
    from proteinx_pipelines.execution.repair import repair
    from proteinx_pipelines.execution.store_contents import verify_store
    from proteinx_pipelines.settings import load_settings

    found = verify_store(*_open())
    if as_json:
        repairs = [repair(load_settings(), damage) for damage in found] if mend else []
        print_json(
            {"damaged": [dataclasses.asdict(damage) for damage in found],
             "repaired": [dataclasses.asdict(done) for done in repairs]}
        )  # fmt: skip
        raise SystemExit(any(done.busy for done in repairs) if mend else bool(found))
    if not found:
        click.echo("The store is intact.")
        return
    if mend:
        settings = load_settings()
        unfinished = [
            done.busy for done in (repair(settings, damage) for damage in found) if _say_repair(done)
        ]
        raise SystemExit(bool(unfinished))
    for damage in found:
        users = f"; {', '.join(damage.experiments)} has it too" if damage.experiments else ""
        click.echo(f"damaged: {damage.what}{users}")
    click.echo("Put it aside, so that it is computed again: proteinx store verify --repair")
    raise SystemExit(1)


def _say_repair(done: "Repair") -> bool:
    """Print the outcome of one repair; returns True if something is left to do."""
    after = (
        f"put back from {done.put_back_from}" if done.put_back_from else "computed again when it is wanted"
    )
    click.echo(f"{done.damage.what}: put aside in {done.quarantine}; {after}")
    for name in done.forgotten_by:
        click.echo(
            f"  {name} holds the same damaged bytes. Send it again with run.allow_duplicate=true: "
            f"{done.damage.stage} and what follows is computed again."
        )
    for name in done.busy:
        click.echo(f"  {name} holds the same damaged bytes and has not ended. Repair again when it has.")
    return bool(done.busy)


@store.command("gc", epilog=examples("proteinx store gc --dry-run", "proteinx store gc --unused-for 1"))
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
@click.option(
    "--unused-for", "hours", type=click.FloatRange(min=0), default=DEFAULT_HOURS, show_default=True,
    help="Keep entries added or taken within this many hours.",
)  # fmt: skip
@click.option("--shared", is_flag=True, help="Evict from the store that machines share, by time of last use.")
@click.option(
    "--max-gb", type=click.FloatRange(min=0), help="With --shared: size to keep; PROTEINX_STORE_MAX_GB."
)
@json_option
def collect(dry_run: bool, hours: float, shared: bool, max_gb: float | None, as_json: bool) -> None:
    """Remove what no experiment refers to. Safe while a node runs.

    Keeps whatever is referred to by any experiment, any of its earlier generations or the plan of a waiting one,
    whatever is linked from elsewhere, and whatever was used within the last hours. With --shared, stages and vectors
    of the store that machines share go instead, the least recently used first; experiments stay.
    """
    if shared:
        collect_shared(max_gb=max_gb, dry_run=dry_run, as_json=as_json)
        return
    _collect_here(dry_run=dry_run, hours=hours, as_json=as_json)


def _collect_here(*, dry_run: bool, hours: float, as_json: bool) -> None:
    from proteinx_pipelines.cli.sizes import size_text
    from proteinx_pipelines.execution.garbage import find_garbage, remove_garbage

    local, references = _open()
    found = find_garbage(local, references, unused_since=time.time() - hours * 3600)
    gone = found if dry_run else remove_garbage(local, found)
    if as_json:
        print_json({"removed": not dry_run, "entries": [dataclasses.asdict(garbage) for garbage in gone]})
        return
    for garbage in gone:
        click.echo(f"{size_text(garbage.n_bytes):>9}  {garbage.what}")
    verb = "would be removed" if dry_run else "removed"
    click.echo(f"{len(gone)} entries, {size_text(sum(garbage.n_bytes for garbage in gone))} {verb}.")


def _open() -> "tuple[StageStore, References]":
    from proteinx_pipelines.execution.references import find_references
    from proteinx_pipelines.execution.store import StageStore
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    return StageStore(settings.paths.store_dir), find_references(settings)


def _stage_rows(shared: "StageStore", references: "References") -> list[dict[str, Any]]:
    from proteinx_pipelines.execution.store_contents import stored_stages

    return [
        {
            "what": stored.stage, "key": stored.key, "entries": 1, "bytes": stored.n_bytes,
            "computed by": stored.entry.origin.get("experiment_id") if stored.entry else "cannot be read",
            "experiments": sorted(references.stages.get((stored.stage, stored.key), ())),
        }
        for stored in stored_stages(shared)
    ]  # fmt: skip


def _vector_rows(shared: "StageStore", references: "References") -> list[dict[str, Any]]:
    from proteinx_pipelines.execution.store_contents import stored_vectors

    return [
        {
            "what": _policy_text(stored.policy), "key": stored.folder.name, "entries": stored.n_rows,
            "bytes": stored.n_bytes, "computed by": "",
            "experiments": sorted(references.policies.get(stored.folder.name, ())),
        }
        for stored in stored_vectors(shared)
    ]  # fmt: skip


def _policy_text(policy: dict[str, Any]) -> str:
    if not policy:
        return "vectors of an unknown embedder"
    return f"vectors of {policy['name']}, layer {policy['layer']}, {policy['pooling']}, {policy['precision']}"


def _summed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sums: dict[str, dict[str, Any]] = defaultdict(lambda: {"entries": 0, "bytes": 0, "unreferenced bytes": 0})
    for row in rows:
        of_kind = sums[row["what"]]
        of_kind["entries"] += row["entries"]
        of_kind["bytes"] += row["bytes"]
        of_kind["unreferenced bytes"] += 0 if row["experiments"] else row["bytes"]
    return [{"what": what, **of_kind} for what, of_kind in sums.items()]


def _print(rows: list[dict[str, Any]], *, entries: bool) -> None:
    from proteinx_pipelines.cli.sizes import size_text
    from proteinx_pipelines.cli.terminal import console, table

    names = (
        ["what", "key", "size", "computed by", "experiments"]
        if entries
        else ["what", "entries", "size", "unreferenced"]
    )
    found = table(names)
    for row in rows:
        if entries:
            users = ", ".join(row["experiments"]) or "none"
            found.add_row(
                row["what"], row["key"][:12], size_text(row["bytes"]), str(row["computed by"]), users
            )
        else:
            found.add_row(
                row["what"],
                f"{row['entries']:,}",
                size_text(row["bytes"]),
                size_text(row["unreferenced bytes"]),
            )
    console().print(found)
