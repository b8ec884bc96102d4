"""Download and import a named data set; its address, checksum, licence and citation are stored with the source."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from proteinx_pipelines.catalog.downloading import Download, download, is_address
from proteinx_pipelines.catalog.importing import ImportReport, import_file
from proteinx_pipelines.catalog.named_data import NamedData, NamedFile, find_named
from proteinx_pipelines.errors import CatalogError, MissingFile
from proteinx_pipelines.variant_files.forms import read_table
from proteinx_pipelines.variant_files.sense import translated
from proteinx_pipelines.variant_files.understood import ReadingOptions


def fetch_named(
    database: Path,
    name: str,
    *,
    mirror: str | None = None,
    source: str | None = None,
    template: str | None = None,
    replace: bool = False,
    skip_bad: bool = False,
) -> ImportReport:
    """Download a data set and import it.

    Args:
        database: the catalog.
        name: as `named_data` lists them.
        mirror: a folder, or the address of one, used instead of the published addresses.
        source: name of the source; the data set's own when None.
        template: the sequence, for data sets without one.
        replace: replace the source of this name.
        skip_bad: leave out unsupported rows, such as frame shifts.

    Raises:
        UnknownSource: nothing has this name. MissingFile: it cannot be had; the message says from where.
        CatalogError: what came is no table of variants.
    """
    wanted = find_named(name)
    with tempfile.TemporaryDirectory() as folder:
        got = _get(wanted.table, mirror, Path(folder) / "table", wanted)
        facts: dict[str, Any] = {
            "fetched_as": name, "address": got.address, "sha256": got.sha256, "licence": wanted.licence,
            "citation": wanted.citation,
        }  # fmt: skip
        if template is None and wanted.template is not None:
            described = _get(wanted.template, mirror, Path(folder) / "template", wanted)
            template, more = _template(wanted, described.path)
            facts |= more
        is_archive = got.path.open("rb").read(2) == b"PK"
        options = ReadingOptions(sheet=wanted.table.member if is_archive else None)
        named = got.path.with_name(f"{wanted.source}.csv")
        got.path.rename(named)
        return import_file(
            database, named, name=source or wanted.source, template=template, options=options, replace=replace,
            skip_bad=skip_bad, facts=facts,
        )  # fmt: skip


def _get(file: NamedFile, mirror: str | None, target: Path, wanted: NamedData) -> Download:
    if mirror is None:
        if file.address is None:
            raise MissingFile(
                f"{wanted.name} has no address of its own. Put its files into a folder and name it with --from FOLDER: "
                f"{' or '.join(file.mirror)} is looked for there."
            )
        return download(file.address, target)
    missing: list[MissingFile] = []
    for path in file.mirror:
        place = f"{mirror.rstrip('/')}/{path}" if is_address(mirror) else str(Path(mirror) / path)
        try:
            return download(place, target)
        except MissingFile as error:
            missing.append(error)
    tried = ", ".join(file.mirror)
    raise MissingFile(f"{mirror} has nothing of {wanted.name}: {tried} were looked for. {missing[-1]}")


def _template(wanted: NamedData, path: Path) -> tuple[str, dict[str, Any]]:
    """Template of a data set, and further facts of its description."""
    if wanted.name.startswith("urn:mavedb:"):
        return _of_mavedb(wanted, path)
    if wanted.name.startswith("proteingym"):
        return _of_reference(wanted, path), {}
    return str(path.rename(path.with_suffix(".fasta"))), {}


def _of_reference(wanted: NamedData, path: Path) -> str:
    """Row of a data set in ProteinGym's table of references."""
    table = read_table(path)
    columns = {name.lower(): place for place, name in enumerate(table.names)}
    if "dms_id" not in columns or "target_seq" not in columns:
        raise CatalogError(f"{path.name}: the table of references has no columns DMS_id and target_seq.")
    ids: pa.Array = table.text(columns["dms_id"])
    sequences = table.text(columns["target_seq"])
    found = [sequences[row].as_py() for row, name in enumerate(ids.to_pylist()) if name == wanted.source]
    if not found:
        raise CatalogError(f"The table of references does not know {wanted.source!r}.")
    return str(found[0])


def _of_mavedb(wanted: NamedData, path: Path) -> tuple[str, dict[str, Any]]:
    """Target, licence and publications of a score set; a target of DNA is translated."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        target = document["targetGenes"][0]["targetSequence"]
        sequence, kind = str(target["sequence"]), str(target.get("sequenceType", "protein")).lower()
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise CatalogError(
            f"The description of {wanted.name} names no target sequence ({error!r}). Give it with --template."
        ) from error
    licence = document.get("license") or {}
    publications = document.get("primaryPublicationIdentifiers") or []
    cited = "; ".join(str(entry.get("referenceHtml") or entry.get("identifier")) for entry in publications)
    facts = {
        "title": document.get("title"),
        "licence": licence.get("shortName") or licence.get("longName") or wanted.licence,
        "citation": f"{cited}. {wanted.citation}" if cited else wanted.citation,
    }
    protein = translated(sequence).removesuffix("*") if kind == "dna" else sequence
    return protein, facts
