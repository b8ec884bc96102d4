"""ProteinGym's supervised protocol for insertions and deletions: five random folds, one Spearman over all of them.

Assays are read as by an import. Variants and template differ in length, so representations are alignment-free. Folds
come from the column `fold_random_5` of the file if it has one, else they are drawn here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from proteinx_pipelines.bench.protocol import OutOfFold, run_protocol
from proteinx_pipelines.catalog.importing import look_at_file
from proteinx_pipelines.errors import CatalogError, MissingFile
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.records import Selection
from proteinx_pipelines.stages.known_names import known_here
from proteinx_pipelines.variant_files.forms import read_table, stem_of

REFERENCE = "DMS_indels.csv"
FOLDS = "fold_random_5"
_ENDINGS = (".csv", ".csv.gz")
WHERE_TO_GET = (
    "CSV files of ProteinGym's DMS_ProteinGym_indels.zip are expected (`mutated_sequence`, `DMS_score`), and "
    f"{REFERENCE} with `DMS_id` and `target_seq` beside them (proteingym.org, Download)."
)


@dataclass(frozen=True)
class Row:
    """One assay."""

    name: str
    n: int
    """Number of tested variants."""
    n_indels: int
    """Number of them whose length differs from the template's."""
    own_folds: bool
    """True if the file's own folds were used."""
    found: OutOfFold


def assay_files(data: Path) -> list[Path]:
    """List the assays in a folder, by name; a file is its own list.

    Raises:
        MissingFile: there is none; the message names a source.
    """
    if data.is_file():
        return [data]
    found = sorted(file for file in data.glob("*") if file.name.endswith(_ENDINGS) and file.name != REFERENCE)
    if not found:
        raise MissingFile(f"{data} has no assays. {WHERE_TO_GET}")
    return found


def score_assay(file: Path, model: str, embedding: str, pairs: Sequence[str]) -> Row:
    """Train on four folds and predict the fifth, five times.

    Args:
        file: an assay.
        model: a name of `model.name`.
        embedding: an alignment-free representation.
        pairs: flags as `name=value`.

    Raises:
        InputError: the file is no assay, its template is not known, or a stage refuses it.
    """
    name, template = stem_of(file.name), _template(file)
    incoming = look_at_file(file, template=template)
    if incoming.bad:
        raise CatalogError(f"{file} has {len(incoming.bad):,} rows that cannot be used, the first in {incoming.unit} "
                           f"{incoming.bad[0].line}: {incoming.bad[0].text}")  # fmt: skip
    rows = incoming.rows
    own_folds = FOLDS in read_table(file).names
    split = (
        {"method": "file", "path": str(file), "column": FOLDS}
        if own_folds
        else {"method": "random", "folds": 5}
    )
    document = {
        "data": {"source": name}, "split": split, "model": {"name": model}, "embedding": {"name": embedding},
    }  # fmt: skip
    flags = parse_flags(document, list(pairs), known=known_here())
    table = pa.table(
        {
            "source": pa.array([name] * len(rows.scores), pa.string()),
            "mutant": rows.mutants,
            "DMS_score": pa.array(rows.scores, from_pandas=True),
            "DMS_score_bin": pa.nulls(len(rows.scores), pa.string()),
            "mut_num": pa.array(rows.mut_num.astype(np.int32)),
        }
    )
    selection = Selection(table, {name: incoming.template}, {"file": file.name, "rows": table.num_rows})
    found = run_protocol(selection, flags, split_file=file if own_folds else None)
    indels = sum("del" in mutant or "ins" in mutant for mutant in rows.mutants.to_pylist())
    return Row(name, len(found.target), indels, own_folds, found)


def _template(file: Path) -> str | None:
    """Template of the assay in the table of references; None without a table (the import then searches elsewhere)."""
    reference = file.with_name(REFERENCE)
    if not reference.is_file():
        return None
    table = read_table(reference)
    if not {"DMS_id", "target_seq"} <= set(table.names):
        raise CatalogError(f"{reference} has no columns DMS_id and target_seq. {WHERE_TO_GET}")
    ids, sequences = (
        table.text(table.names.index(column)).to_pylist() for column in ("DMS_id", "target_seq")
    )
    return dict(zip(ids, sequences, strict=True)).get(stem_of(file.name))
