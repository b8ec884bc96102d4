"""`proteinx docs`: opens the documentation that came with the package, offline."""

import sys

import click

from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import PlainErrors, examples


@click.command(
    cls=PlainErrors,
    epilog=examples("proteinx docs", "proteinx docs troubleshooting", "proteinx docs tutorials/first_plate"),
)
@click.argument("page", required=False)
@click.option("--no-open", is_flag=True, help="Print the address, open no browser.")
@json_option
def docs(page: str | None, no_open: bool, as_json: bool) -> None:
    """Open the documentation in a browser; no network is needed.

    PAGE is a page's name, such as `flags` or `howto/split`. The site with its search is opened where it was built
    (`make site` in a clone, or in the wheel); otherwise the same pages are drawn from their Markdown into a temporary
    folder. Without a terminal the address is printed only.
    """
    from proteinx_pipelines.documents import page_address

    name, address = page_address(page)
    if as_json:
        print_json({"page": name, "address": address})
        return
    click.echo(address)
    if not no_open and sys.stdout.isatty():
        click.launch(address)
