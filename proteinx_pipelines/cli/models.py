"""`proteinx models`: the values of `model.name`."""

import click

from proteinx_pipelines.cli.json_output import json_option, print_json


@click.command()
@json_option
def models(as_json: bool) -> None:
    """List the models, with a description and the flags that each reads."""
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import console, table
    from proteinx_pipelines.stages.train.registry import known_models

    entries = known_models()
    if as_json:
        print_json([{"name": each.name, "summary": each.summary, "flags": each.flags} for each in entries])
        return
    rows = table(["model", "what it is", "its flags"])
    for entry in entries:
        own = [name for name in entry.flags if name.startswith(("model.", "ext.model."))]
        rows.add_row(entry.name, escape(entry.summary), ", ".join(own) or "-")
    console().print(rows)
