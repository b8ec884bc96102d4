"""`proteinx db attach`: a structure or an alignment for a source, checked against its template first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.completing import source_names
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.terminal import say
from proteinx_pipelines.settings import load_settings

if TYPE_CHECKING:
    from proteinx_pipelines.catalog.attachments import Attachment
    from proteinx_pipelines.evidence.given import GivenFile

KINDS = ("structure", "alignment")
_PATH = click.Path(path_type=Path, dir_okay=False)


@click.command("attach")
@click.argument("name", shell_complete=source_names)
@click.option(
    "--structure", type=_PATH, help="PDB, mmCIF or BinaryCIF file of the template, measured or predicted."
)
@click.option("--chain", help="Chain of the structure; the one that fits the template best if omitted.")
@click.option(
    "--alignment", type=_PATH, help="a2m, a3m, Stockholm or aligned FASTA of the template's homologues."
)
@click.option(
    "--remove", multiple=True, type=click.Choice(["structure", "alignment"]), help="Remove what is attached."
)
@click.option("--force", is_flag=True, help="Attach a file that does not fit the template.")
@json_option
@click.option("--database", type=_PATH, help="The catalog; database.db of the WORKDIR if omitted.")
def attach(
    name: str,
    structure: Path | None,
    chain: str | None,
    alignment: Path | None,
    remove: tuple[str, ...],
    database: Path | None,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Attach a structure or an alignment to the source NAME, for every experiment on it.

    The file is read and matched to the template first: chain, coverage, identity and offset are printed, and a file of
    another protein is refused. Its content goes into the catalog; `data.structure` and `data.alignment` override it.
    """
    from proteinx_pipelines.catalog.attachments import attachments_of, detach
    from proteinx_pipelines.catalog.listing import show_source
    from proteinx_pipelines.evidence.given import read_given

    if chain is not None and structure is None:
        raise click.UsageError("--chain names a chain of --structure, which is missing.")
    path = database or load_settings().database_path
    details = show_source(path, name)
    given: dict[tuple[str, str | None], GivenFile] = {}
    if structure is not None:
        given["structure", None] = read_given("structure", structure, chain)
    if alignment is not None:
        given["alignment", None] = read_given("alignment", alignment)
    info = check_and_store(given, path, name, details.template, force=force)
    removed = detach(path, name, remove) if remove else []
    now = attachments_of(path, [name])
    if as_json:
        checked = {kind: info[kind][name] for kind in KINDS if name in info.get(kind, {})}
        attached = [{"kind": one.kind, **_stored(one)} for one in now]
        warnings = info.get("warnings", [])
        print_json(
            {
                "source": name,
                "checked": checked,
                "warnings": warnings,
                "removed": removed,
                "attached": attached,
            }
        )
        return
    _print(name, info, removed, now)


def check_and_store(
    given: "Mapping[tuple[str, str | None], GivenFile]",
    path: Path,
    name: str,
    template: str,
    *,
    force: bool = False,
) -> Mapping[str, Any]:
    """Check files against the template of a source, attach them, and return the facts about them.

    Raises:
        BadEvidence: a file cannot be read, or is of another protein and `force` is not set; nothing is attached.
    """
    from proteinx_pipelines.catalog.attachments import attach as store
    from proteinx_pipelines.errors import BadEvidence
    from proteinx_pipelines.evidence.gather import GivenEvidence, gather

    evidence = gather(GivenEvidence(given), {name: template})
    if evidence is None:
        return {}
    unfit = [kind for kind in KINDS if not evidence.info[kind].get(name, {"used": True})["used"]]
    if unfit and not force:
        sentences = [*evidence.info["warnings"], "Nothing was attached; `--force` attaches it all the same."]
        raise BadEvidence("\n  ".join(sentences))
    for file in given.values():
        digest, content = file.sha256, file.content
        store(path, name, file.kind, name=file.name, chain=file.chain, sha256=digest, content=content)
    return evidence.info


def _stored(one: "Attachment") -> dict[str, Any]:
    return {"file": one.name, "chain": one.chain, "sha256": one.sha256, "size": one.size}


def _print(name: str, info: Mapping[str, Any], removed: Sequence[str], now: "Sequence[Attachment]") -> None:
    for kind in KINDS:
        if facts := info.get(kind, {}).get(name):
            click.echo(_line(kind, facts))
    for sentence in info.get("warnings", ()):
        say(f"Warning: {sentence}", err=True)
    for kind in removed:
        say(f"Removed the {kind} of {name}")
    if not now:
        say(f"Nothing is attached to {name}.")
    for one in now:
        say(f"{name} has the {one.kind} {one.name} ({one.size:,} bytes, SHA-256 {one.sha256[:12]}...)")


def _line(kind: str, facts: Mapping[str, Any]) -> str:
    """What was found in a file, in one line."""
    share = f"{100 * facts['coverage']:.0f} % of the template, {100 * facts['identity']:.1f} % identical"
    shift = f", offset {facts['offset']:+d}" if facts["offset"] else ""
    if kind == "structure":
        confidence = f", confidence {facts['confidence']:.0f}" if "confidence" in facts else ""
        return f"Structure, chain {facts['chain']} ({facts['kind']}{confidence}): {share}{shift}"
    return (
        f"Alignment, target {facts['target']}: {share}{shift}; {facts['rows']:,} rows, "
        f"{facts['effective_rows']:,.0f} effective"
    )
