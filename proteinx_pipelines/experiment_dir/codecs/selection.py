"""`Selection` on disk: `data/selected.parquet` with the templates in its header, `config/data_query.json`.

The next stage reads only the Parquet file, so its bytes represent the selection: they depend on the rows, the
templates and the numbering alone, never on the catalog's location or the form of the query. If the users' numbering
differs from the template's, `mutant` is in the users' numbering and `template_mutant` follows it.
"""

import json

import pyarrow as pa
import pyarrow.csv

from proteinx_pipelines.csv_cells import safe_table
from proteinx_pipelines.errors import CorruptArtifact, MissingArtifact
from proteinx_pipelines.experiment_dir.files import (
    read_json,
    read_parquet,
    write_atomic,
    write_json,
    write_parquet,
)
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.numbering import for_people, from_people
from proteinx_pipelines.records import PROPERTY, SELECTION_COLUMNS, STANDARD_ERROR, Selection

_TEMPLATES, _OFFSETS = b"proteinx.templates", b"proteinx.offsets"


def save(record: Selection, directory: ExperimentDir, *, csv: bool = False) -> list[str]:
    """Write the rows and the query; `csv` adds `data/selected.csv`. Returns the files' names, sorted."""
    templates = json.dumps(dict(sorted(record.templates.items())), ensure_ascii=False)
    header = {_TEMPLATES: templates.encode("utf-8")}
    if record.offsets:
        offsets = json.dumps(dict(sorted(record.offsets.items())), ensure_ascii=False)
        header[_OFFSETS] = offsets.encode("utf-8")
    further = [name for name in record.rows.column_names if _is_further(name)]
    rows = for_people(record.rows.select([*SELECTION_COLUMNS, *further]), record.offsets).combine_chunks()
    rows = rows.replace_schema_metadata(header)
    written = [
        write_parquet(directory.selected, rows, dictionaries=False),
        write_json(directory.query, dict(record.query)),
    ]
    csv_path = directory.selected.with_suffix(".csv")
    if csv:
        written.append(
            write_atomic(csv_path, lambda partial: pyarrow.csv.write_csv(safe_table(rows), partial))
        )
    else:
        csv_path.unlink(missing_ok=True)  # of an earlier generation with other rows
    return sorted(path.relative_to(directory.root).as_posix() for path in written)


def load(directory: ExperimentDir) -> Selection:
    """Read the selection back, equal to what was saved.

    Raises:
        MissingArtifact: a file is not there; run the selection stage again.
        CorruptArtifact: a file cannot be read as what it is; run the selection stage again.
    """
    advice = f"Run the selection stage of {directory.experiment_id} again, or restore the file."
    for path in (directory.selected, directory.query):
        if not path.is_file():
            raise MissingArtifact(f"{path} is not there. {advice}")
    try:
        rows = read_parquet(directory.selected)
        header = rows.schema.metadata or {}
        templates, offsets = json.loads(header[_TEMPLATES]), json.loads(header.get(_OFFSETS, b"{}"))
        query = read_json(directory.query)
    except (pa.ArrowInvalid, OSError, ValueError, KeyError) as error:
        raise CorruptArtifact(
            f"The selection in {directory.root} cannot be read: {error!r}. {advice}"
        ) from error
    rows = from_people(rows)
    own = tuple(name for name in rows.column_names if not _is_further(name))
    if own != SELECTION_COLUMNS:
        found = f"{directory.selected} has the columns {', '.join(rows.column_names)}"
        raise CorruptArtifact(f"{found}; {', '.join(SELECTION_COLUMNS)} are expected. {advice}")
    return Selection(rows.replace_schema_metadata(None), templates, query, offsets)


def _is_further(name: str) -> bool:
    """True for a column behind `SELECTION_COLUMNS`."""
    return name == STANDARD_ERROR or name.startswith(PROPERTY)
