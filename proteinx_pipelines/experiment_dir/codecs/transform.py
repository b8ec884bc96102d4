"""`VariantTable` on disk: `data/transform/variants.parquet`, and `summary.json` with templates and counts.

If the users' numbering differs from the template's, `mutant` is in the users' numbering and `template_mutant` follows
it.
"""

import pyarrow as pa

from proteinx_pipelines.errors import CorruptArtifact, MissingArtifact
from proteinx_pipelines.experiment_dir.files import read_json, read_parquet, write_json, write_parquet
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.numbering import for_people, from_people
from proteinx_pipelines.records import VARIANT_COLUMNS, VariantTable

SUMMARY_FILE = "data/transform/summary.json"


def save(record: VariantTable, directory: ExperimentDir) -> list[str]:
    """Write the table and its summary; the same record gives the same bytes.

    Returns:
        The names of both files relative to the experiment's root, sorted.
    """
    summary = {
        "variants": record.n_variants,
        "dropped": dict(record.dropped),
        "templates": dict(sorted(record.templates.items())),
        **({"offsets": dict(sorted(record.offsets.items()))} if record.offsets else {}),
    }
    # One chunk per column: chunk boundaries would change the bytes.
    rows = for_people(record.rows, record.offsets).combine_chunks().replace_schema_metadata(None)
    written = [write_parquet(directory.variants, rows), write_json(directory.path(SUMMARY_FILE), summary)]
    return sorted(path.relative_to(directory.root).as_posix() for path in written)


def load(directory: ExperimentDir) -> VariantTable:
    """Read the variant table back, equal to what was saved.

    Raises:
        MissingArtifact: a file is not there; run the transform stage again.
        CorruptArtifact: a file cannot be read as what it is, or the two do not belong together; run the
            transform stage again.
    """
    advice = f"Run the transform stage of {directory.experiment_id} again, or restore the file."
    for path in (directory.variants, directory.path(SUMMARY_FILE)):
        if not path.is_file():
            raise MissingArtifact(f"{path} is not there. {advice}")
    try:
        rows = from_people(read_parquet(directory.variants))
        summary = read_json(directory.path(SUMMARY_FILE))
        n_variants, templates, dropped = (summary[name] for name in ("variants", "templates", "dropped"))
        offsets = dict(summary.get("offsets", {}))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptArtifact(
            f"The variants in {directory.root} cannot be read: {error!r}. {advice}"
        ) from error
    if tuple(rows.column_names[: len(VARIANT_COLUMNS)]) != VARIANT_COLUMNS or rows.num_rows != n_variants:
        raise CorruptArtifact(
            f"{directory.variants} has {rows.num_rows} rows with the columns {', '.join(rows.column_names)}; "
            f"{n_variants} rows and first the columns {', '.join(VARIANT_COLUMNS)} are expected. {advice}"
        )
    return VariantTable(rows, templates, dropped, offsets)
