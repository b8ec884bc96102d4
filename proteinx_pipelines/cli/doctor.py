"""`proteinx doctor`: checks this node and prints a remedy for each problem."""

import json

import click

from proteinx_pipelines.cli.lazy import examples
from proteinx_pipelines.visible import indented

_MARKS = {"ok": "[green]ok[/]     ", "warning": "[yellow]warning[/]", "wrong": "[red]wrong[/]  "}


@click.command(epilog=examples("proteinx doctor", "proteinx doctor --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per finding.")
def doctor(as_json: bool) -> None:
    """Check versions, WORKDIR, disk, databases, Redis, the clock, the node's parts and its web server.

    Changes nothing. The exit code is 0 when nothing is wrong (warnings do not count) and 1 otherwise.
    """
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import console
    from proteinx_pipelines.node.health.doctor import check_node
    from proteinx_pipelines.node.lifecycle.finding import WRONG
    from proteinx_pipelines.settings import load_settings

    found = list(check_node(load_settings()))
    if as_json:
        click.echo(json.dumps([vars(finding) for finding in found], indent=1, ensure_ascii=False))
    else:
        for finding in found:
            text = escape(indented(finding.text))  # names of nodes and keys are other people's
            console().print(f"{_MARKS[finding.level]}  {finding.topic:<9}  {text}", soft_wrap=True)
    raise SystemExit(any(finding.level == WRONG for finding in found))
