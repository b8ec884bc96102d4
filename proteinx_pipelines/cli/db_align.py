"""`proteinx db align`: an alignment of a source's template with homologues from a FASTA file."""

from pathlib import Path

import click

from proteinx_pipelines.cli.completing import source_names
from proteinx_pipelines.cli.db_attach import check_and_store
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.terminal import say
from proteinx_pipelines.settings import load_settings

_PATH = click.Path(path_type=Path, dir_okay=False)


@click.command("align")
@click.argument("name", shell_complete=source_names)
@click.argument("homologues", type=_PATH)
@click.option("--out", type=_PATH, help="Write the alignment to this file (a2m).")
@click.option("--evalue", type=click.FloatRange(min=0, min_open=True), default=1e-3, show_default=True,
              help="Largest E-value of a sequence that is taken.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1, 5), default=2, show_default=True, help="Number of searches.")
@click.option(
    "--attach/--no-attach", default=True, show_default=True, help="Attach the alignment to the source."
)
@json_option
@click.option("--database", type=_PATH, help="The catalog; database.db of the WORKDIR if omitted.")
def align(
    name: str,
    homologues: Path,
    out: Path | None,
    evalue: float,
    rounds: int,
    database: Path | None,
    *,
    attach: bool,
    as_json: bool,
) -> None:
    """Align HOMOLOGUES, a FASTA file of unaligned sequences, to the template of the source NAME.

    Sequences that do not match the template are left out. The alignment is attached to the source, or written to --out.
    """
    from proteinx_pipelines.catalog.listing import show_source
    from proteinx_pipelines.evidence.aligning import align_homologues
    from proteinx_pipelines.evidence.given import GivenFile, read_given

    if out is None and not attach:
        raise click.UsageError("--no-attach leaves nothing to do; name a file with --out.")
    path = database or load_settings().database_path
    template = show_source(path, name).template
    found = align_homologues(read_given("alignment", homologues), template, evalue=evalue, rounds=rounds)
    if out is not None:
        out.write_text(found.text, encoding="utf-8")
    file = GivenFile("alignment", f"{homologues.name.removesuffix('.gz')}.a2m", found.text.encode("utf-8"))
    info = check_and_store({("alignment", None): file} if attach else {}, path, name, template)
    if as_json:
        print_json(
            {"source": name, "sequences": found.sequences, "matched": found.matched, "attached": attach, "file": out,
             "warnings": list(info.get("warnings", []))}
        )  # fmt: skip
        return
    click.echo(
        f"{found.matched:,} of {found.sequences:,} sequences match the template of {name} and are aligned to it"
    )
    for sentence in info.get("warnings", ()):
        say(f"Warning: {sentence}", err=True)
    if out is not None:
        say(f"Wrote {out}")
    if attach:
        say(f"Attached to {name}")
