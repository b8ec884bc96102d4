"""`proteinx db import --master`: uploads files of measured variants, which the Master checks and keeps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from proteinx_pipelines.cli.at_master import client_of
from proteinx_pipelines.cli.db_import import print_notes
from proteinx_pipelines.cli.terminal import say
from proteinx_pipelines.variant_files.forms import stem_of
from proteinx_pipelines.variant_files.template import given_template, offset_beside, template_beside


def import_there(
    url: str, files: tuple[Path, ...], name: str | None, options: Mapping[str, Any], *, quiet: bool
) -> list[dict[str, Any]]:
    """Upload files, each as a data set of its own.

    Args:
        url: of the Master.
        files: of measured variants.
        name: of the data set; that of the file without its suffix when None.
        options: about reading the files, by the names of the command's options.
        quiet: print nothing.

    Returns:
        What was done with each file, as `proteinx db import --json` prints it, with `dataset_id` and `version`.

    Raises:
        MasterRefused: a file cannot be used; all problems are named. Those before it were uploaded.
    """
    wishes = _wishes(options)
    done = []
    with client_of(url) as client:
        for file in files:
            said = {**_beside(file), **wishes}
            found = client.upload(file, name or stem_of(file.name), **said)
            done.append(_document(file, found, f"{url.rstrip('/')}/api/datasets/{found['dataset_id']}"))
            if not quiet:
                _print(done[-1])
    return done


def refuse_options_of_a_catalog(asked: list[str]) -> None:
    """Refuse options that mean nothing at a Master.

    Raises:
        click.UsageError: there are some; it names them.
    """
    if asked:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise click.UsageError(
            f"{named}: not asked of a Master, which keeps every version of a data set and answers with all that is "
            "wrong with a file. Leave it out, or import without --master."
        )


def _wishes(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as the query of an upload."""
    wishes = dict(options)
    named = [part.strip() for part in (wishes.pop("scores") or "").split(",") if part.strip()]
    if named and wishes["score_column"] is None:
        wishes["score_column"] = named[0]
    further = dict.fromkeys([*named, *wishes.pop("further_column")])
    further.pop(wishes["score_column"], None)
    if wishes["positions"]:
        wishes["positions"] = ",".join(map(str, wishes["positions"]))
    if wishes["template"]:
        wishes["template"] = given_template(wishes["template"]).sequence
    kept = {name: value for name, value in wishes.items() if value not in (None, False, "", ())}
    return {**kept, **({"further_column": list(further)} if further else {})}


def _beside(file: Path) -> dict[str, Any]:
    """What the files beside a file say of it, which stay here."""
    found = template_beside(file, stem_of(file.name))
    offset = offset_beside(file, stem_of(file.name))
    return {**({"template": found.sequence} if found else {}), **({"offset": offset} if offset else {})}


def _document(file: Path, found: Mapping[str, Any], address: str) -> dict[str, Any]:
    return {
        "file": file, "imported": True, "database": address, "source": found["source"], "template": found["template"],
        "rows": found["rows"], "missing_scores": found["missing_scores"], "problems": found["skipped"],
        "replaced": found["version"] > 1, "offset": found["offset"], "causes": [], "odd": found["problems"],
        "understood": found["understood"], "dataset_id": found["dataset_id"], "version": found["version"],
    }  # fmt: skip


def _print(done: Mapping[str, Any]) -> None:
    missing = f", {done['missing_scores']:,} without a score" if done["missing_scores"] else ""
    version = f", version {done['version']}" if done["replaced"] else ""
    say(f"Imported {done['source']}: {done['rows']:,} rows{missing}{version} -> {done['database']}")
    print_notes({**done["understood"], "odd": done["odd"]})
    if done["problems"]:
        click.echo(f"Skipped {len(done['problems']):,} bad rows:", err=True)
        for sentence in done["problems"]:
            say(f"  {sentence}", err=True)
