"""Export a source to a file in ProteinGym's form and the user's numbering, with the template beside it."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.further import further_values
from proteinx_pipelines.catalog.listing import source_id_of
from proteinx_pipelines.catalog.numbering import offsets_of, source_understood
from proteinx_pipelines.csv_cells import safe_table
from proteinx_pipelines.edits import edited_sequence, parse_edits
from proteinx_pipelines.errors import BadVariants, CatalogError
from proteinx_pipelines.mutants import renumbered

FORMS = (".csv", ".csv.gz", ".tsv", ".parquet", ".feather", ".json")
_KEPT = ("licence", "citation", "address", "sha256", "fetched_as")


def export_source(database: Path, name: str, target: Path) -> int:
    """Write a source to `target` in the form of its ending, and its template to `<stem>.json`; return the row count.

    `mutant` is in the user's numbering; if that is not the template's, there is a column `template_mutant` too.

    Raises:
        UnknownSource: there is no source of this name. CatalogError: the ending says no form, or a mutant of a user's
            own catalog does not fit its template.
    """
    if not target.name.lower().endswith(FORMS):
        raise CatalogError(
            f"{target.name!r} says no form that can be written; {', '.join(FORMS)} are expected."
        )
    if not target.absolute().parent.is_dir():
        raise CatalogError(f"The folder {str(target.parent)!r} is not there. Make it, or name another file.")
    with open_for_reading(database) as connection:
        source_id = source_id_of(connection, database, name)
        (template,) = connection.execute("SELECT template FROM sources WHERE id = ?", (source_id,)).fetchone()
        offset = offsets_of(connection)[name]
        rows = connection.execute(
            "SELECT id, mutant, DMS_score, DMS_score_bin FROM mutations WHERE source = ? ORDER BY id",
            (source_id,),
        ).fetchall()
        further = further_values(connection, source_id)
    ids, mutants, scores, bins = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns: dict[str, Any] = {"mutant": renumbered([*mutants], offset).to_pylist()}
    if offset:
        columns["template_mutant"] = [*mutants]
    columns["mutated_sequence"] = [_sequence(mutant, template) for mutant in mutants]
    columns["DMS_score"] = [*scores]
    if any(value is not None for value in bins):
        columns["DMS_score_bin"] = [*bins]
    columns |= {label: [values.get(row) for row in ids] for label, values in further.items()}
    _write(pd.DataFrame(columns), target)
    _write_template(target, template, offset, source_understood(database, name) or {})
    return len(rows)


def _sequence(mutant: str, template: str) -> str:
    try:
        return edited_sequence(parse_edits(mutant), template)
    except BadVariants as error:
        raise CatalogError(f"A row of the source cannot be written: {error}") from error


def _write(frame: pd.DataFrame, target: Path) -> None:
    name = target.name.lower()
    if name.endswith(".parquet"):
        frame.to_parquet(target, index=False)
    elif name.endswith(".feather"):
        frame.to_feather(target)
    elif name.endswith(".json"):
        target.write_text(frame.to_json(orient="records", indent=1), encoding="utf-8")
    else:
        # Names of further columns come from files of other people.
        safe = safe_table(pa.Table.from_pandas(frame, preserve_index=False)).to_pandas()
        safe.to_csv(target, index=False, sep="\t" if name.endswith(".tsv") else ",")


def _write_template(target: Path, template: str, offset: int, understood: dict[str, Any]) -> None:
    """Beside the file under its stem, where an import looks for it; records of JSON would be that file itself."""
    suffix = next(form for form in FORMS[::-1] if target.name.lower().endswith(form))
    suffix = ".csv.gz" if target.name.lower().endswith(".csv.gz") else suffix
    stem = target.name[: -len(suffix)]
    beside = target.with_name(f"{stem}.template.json" if suffix == ".json" else f"{stem}.json")
    kept = {key: understood[key] for key in _KEPT if key in understood}
    document = {"template": template, "offset": offset, **kept}
    beside.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
