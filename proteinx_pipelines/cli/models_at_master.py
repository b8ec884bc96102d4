"""Commands that ask a model, at a Master: `predict` and `propose`."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from proteinx_pipelines.cli.at_master import client_of, job_of
from proteinx_pipelines.cli.variant_table import show, tell_shortfalls

if TYPE_CHECKING:
    import pyarrow as pa

    from proteinx_pipelines.client.client import Client
    from proteinx_pipelines.contract.job import JobDocument

_AT_ONCE_S = 90.0
"""Longest wait for predictions that a Master makes at once, in seconds: it gives up after 60, and makes a job."""
_PREDICTIONS, _PROPOSALS = "artifacts/design/predictions.parquet", "artifacts/design/proposals.parquet"


def predict(
    url: str,
    model: str | None,
    *,
    mutants: Sequence[str],
    file: Path | None,
    source: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Predict variants with a model of a Master, and print them as `proteinx predict` does.

    Many variants, and those of a model whose node is elsewhere, are predicted by a job, which is waited for.

    Args:
        url: of the Master.
        model: by its id, an alias (`champion`) or its experiment; None is the newest.
        mutants: mutants or sequences; or
        file: a file here, of mutants or sequences.
        source: source of the variants; needed where the model was trained on several.
        out: file to write.
        as_json: print JSON.
    """
    import pyarrow as pa

    asked = list(mutants) if file is None else _variants_in(file)
    with client_of(url) as client:
        name = model or _newest(client, "/api/models?size=1", "model_id")
        answer = _predicted(client, name, {"mutants": asked, "source": source})
        if answer["predictions"] is not None:
            show(pa.Table.from_pylist(answer["predictions"]), out, as_json=as_json)
            return
        click.echo(f"{answer['job_id']} predicts {len(asked):,} variants.", err=True)
        show(_table_of(client, answer["job_id"], _PREDICTIONS), out, as_json=as_json)


def propose(
    url: str, name: str | None, design: Mapping[str, Any], *, out: Path | None, as_json: bool
) -> None:
    """Propose variants from an experiment of a Master: a job makes them, since only nodes compute.

    Args:
        url: of the Master.
        name: of a job or an experiment; None is the newest that has succeeded.
        design: flags of `design.*`, by their names in it; those of the experiment's own design do not hold.
        out: file to write.
        as_json: print JSON.
    """
    from proteinx_pipelines.flags.parsing import parse_flags

    with client_of(url) as client:
        query = "/api/jobs?size=1&state=SUCCEEDED&kind=experiment"
        job = job_of(client, name or _newest(client, query, "job_id"))
        flags = parse_flags({**job.flags, "design": dict(design)})
        made = client.submit(
            flags.nested(),
            experiment_id=f"{job.experiment_id[:80]}-propose-{secrets.token_hex(3)}",
            payload_ref=None if job.dataset else job.payload_ref,
            dataset=job.dataset,
            priority=job.priority,
        )
        click.echo(f"{made.job_id} proposes from {job.experiment_id} ({made.experiment_id}).", err=True)
        table = _table_of(client, made.job_id, _PROPOSALS)
    show(table, out, as_json=as_json)
    proposed = len({rank for rank in table.column("rank").to_pylist() if rank})
    if proposed < flags.design.n:
        tell_shortfalls(
            [
                f"{proposed:,} of {flags.design.n:,} variants: the report of {made.job_id} says what was left out."
            ]
        )


def _predicted(client: "Client", model: str, body: Mapping[str, Any]) -> dict[str, Any]:
    from proteinx_pipelines.client.calls import Call

    given = {name: value for name, value in body.items() if value is not None}
    headers = {"Idempotency-Key": secrets.token_hex(16)}
    path = f"/api/models/{quote(model.removeprefix('@'), safe='')}/predict"
    return client.ask(Call("POST", path, dict, json=given, headers=headers, timeout_s=_AT_ONCE_S))


def _table_of(client: "Client", job_id: str, path: str) -> "pa.Table":
    """A table among the files of a job, once it has ended.

    Raises:
        ClickException: the job did not succeed.
    """
    from proteinx_pipelines.experiment_dir.files import read_parquet

    ended: JobDocument = client.wait(job_id)
    if ended.state != "SUCCEEDED":
        why = ended.error.message if ended.error is not None else ended.reason
        raise click.ClickException(f"{job_id} is {ended.state}: {why or 'its log says why'}")
    with TemporaryDirectory(prefix="proteinx-") as folder:
        return read_parquet(client.download(job_id, path, Path(folder)))


def _newest(client: "Client", query: str, field: str) -> str:
    items = client.ask_document(query)["items"]
    if not items:
        raise click.ClickException(f"The Master has no {'model' if 'models' in query else 'job'} yet.")
    click.echo(f"{items[0]['experiment_id']}, the newest that has succeeded", err=True)
    return str(items[0][field])


def _variants_in(file: Path) -> list[str]:
    """Mutants or sequences of a file, as they are written there.

    Raises:
        CatalogError: the file cannot be read as a table of variants.
        ClickException: a line has none.
    """
    from proteinx_pipelines.variant_files.columns import find_roles
    from proteinx_pipelines.variant_files.forms import read_table
    from proteinx_pipelines.variant_files.understood import ReadingOptions

    table = read_table(file)
    roles = find_roles(table, ReadingOptions(), file.name, needs_score=False)
    place = roles.mutant if roles.mutant is not None else roles.sequence
    found = [] if place is None else table.text(place).to_pylist()
    missing = [int(line) for line, text in zip(table.lines, found, strict=False) if not text]
    if not found or missing or table.broken:
        line = next(iter([*missing, *(line for line, _ in table.broken)]), None)
        where = "no column of mutants or sequences" if line is None else f"no variant in {table.unit} {line}"
        raise click.ClickException(f"{file} has {where}; a mutant or a sequence is expected in each.")
    return [str(text).strip() for text in found]
