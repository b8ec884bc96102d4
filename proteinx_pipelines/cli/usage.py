"""`proteinx usage`: what became of experiments, by node and model, why they failed and what they cost."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ENDINGS = (".json", ".parquet", ".html")


@click.command(
    epilog=examples(
        "proteinx usage",
        "proteinx usage --since 7d --json",
        "proteinx usage --since 2026-03-01 --out usage.html",
        "proteinx usage --out usage.parquet",
        "proteinx usage --master http://master:8000",
    )
)
@click.option(
    "--since", metavar="TIME", help="Only what ended since: 7d, 12h, 2w, or a date such as 2026-03-01."
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write FILE: the report as .json or .html (a page), or its rows as .parquet.",
)  # fmt: skip
@master_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def usage(since: str | None, out: Path | None, master_url: str | None, as_json: bool) -> None:
    """Report what became of experiments: success rate by node and model, reasons of failure, seconds and joules.

    Of this WORKDIR's node, or of a Master's jobs with --master. Joules are known where the machine tells them.
    """
    from proteinx_pipelines.clock import now_utc
    from proteinx_pipelines.errors import InputError
    from proteinx_pipelines.services.usage import since_of

    if out is not None and out.suffix.lower() not in ENDINGS:
        raise InputError(
            f"{out} has the ending {out.suffix or '(none)'!r}; one of {', '.join(ENDINGS)} is expected."
        )
    begin = since_of(since, now_utc())
    document, content = _from_master(master_url, begin, out) if master_url else _from_here(begin, out)
    if out is not None:
        from proteinx_pipelines.experiment_dir.files import write_bytes

        write_bytes(out.absolute(), content)
        click.echo(f"{out} is written.", err=True)
    if as_json:
        click.echo(json.dumps(document, indent=1, ensure_ascii=False))
    elif out is None:
        _print(document)


def _from_here(since: str | None, out: Path | None) -> "tuple[Mapping[str, Any], bytes]":
    from proteinx_pipelines.clock import timestamp
    from proteinx_pipelines.node.lifecycle.service_ports import find_lives
    from proteinx_pipelines.node.lifecycle.used import uses_here
    from proteinx_pipelines.services.usage import usage_report
    from proteinx_pipelines.services.usage_files import report_file
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    lives = find_lives(settings)
    uses = [] if lives is None else uses_here(settings, lives, since)
    report = usage_report(uses, since, timestamp())
    kind = "" if out is None else out.suffix.lower()
    return report.document(), report_file(report, uses, kind, settings.node_name) if kind else b""


def _from_master(url: str, since: str | None, out: Path | None) -> "tuple[Mapping[str, Any], bytes]":
    from proteinx_pipelines.cli.at_master import client_of
    from proteinx_pipelines.services.usage import Use, usage_report
    from proteinx_pipelines.services.usage_files import report_file

    with client_of(url) as client:
        document = client.usage(since)
    uses = [Use(**row) for row in document.pop("rows")]
    report = usage_report(uses, since, document["until"])
    return document, report_file(report, uses, out.suffix.lower(), url) if out is not None else b""


def _print(document: "Mapping[str, Any]") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import console, duration, table

    rows = table(("node", "model", "ended", "failed", "success", "run", "waited", "kJ"))
    for share in (*document["by_node_and_model"], document["total"]):
        rate, joules = share["success_rate"], share["joules"]
        rows.add_row(
            escape(share["node"] or "all"), escape(share["model"] or "all"), str(share["ended"]),
            str(share["failed"]), "-" if rate is None else f"{rate:.1%}", duration(share["seconds"]),
            duration(share["waited_s"]), "-" if joules is None else f"{joules / 1000:,.3f}",
        )  # fmt: skip
    console().print(rows)
    for each in document["reasons"]:
        console().print(
            escape(f"{each['number']} {each['state']}: {each['reason']} on {', '.join(each['nodes'])}")
        )
