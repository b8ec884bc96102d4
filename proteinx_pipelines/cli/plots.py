"""`proteinx plots`: writes the pictures of an experiment's report to files."""

import json
from pathlib import Path

import click

from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.lazy import examples


@click.command(
    "plots", epilog=examples("proteinx plots gb1-001", "proteinx plots gb1-001 --png --out figures")
)
@click.argument("experiment_id", metavar="ID", shell_complete=experiment_ids)
@click.option("--png", is_flag=True, help="Write PNG files (needs the extra `png`); SVG otherwise.")
@click.option(
    "--scale",
    type=click.FloatRange(1, 8),
    default=2.0,
    show_default=True,
    help="PNG pixels per drawing unit.",
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for copies; created if missing."
)
@click.option("--json", "as_json", is_flag=True, help="Print names, titles and files as JSON.")
def plots(experiment_id: str, png: bool, scale: float, out: Path | None, as_json: bool) -> None:
    """List the pictures of an experiment's report, and write them to a folder if requested.

    With --png and without --out, PNG files are written beside the SVG files of the experiment.
    """
    from proteinx_pipelines.experiment import open_experiment
    from proteinx_pipelines.experiment_dir.files import write_bytes
    from proteinx_pipelines.pages.figures.files import png_files

    experiment = open_experiment(experiment_id)
    figures = experiment.figures
    folder = out if out is not None else experiment.directory.artifacts_dir / "plots"
    if png:
        contents = {Path(name).name: content for name, content in png_files(figures, scale).items()}
    else:
        contents = {f"{figure.name}.svg": figure.svg_file() for figure in figures}
    if png or out is not None:
        for name, content in contents.items():
            write_bytes(folder / name, content)
    rows = [
        {"name": figure.name, "title": figure.title, "file": str(folder / name)}
        for figure, name in zip(figures, contents, strict=True)
    ]
    if as_json:
        click.echo(json.dumps({"experiment_id": experiment.id, "plots": rows}, indent=1, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row['title']}: {row['file']}")
