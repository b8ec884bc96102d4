"""Folder of ProteinGym assays, each read as a selection.

Two forms are read: `<DMS_id>.csv` or `.csv.gz` with `mutant`, `DMS_score` and fold columns, and the template in
`index.json`; or ProteinGym's own files of folds, which have `mutated_sequence` instead, from which the template
is rebuilt.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.bench.plain_csv import read_csv
from proteinx_pipelines.errors import CatalogError, MissingFile
from proteinx_pipelines.mutants import parse_mutants
from proteinx_pipelines.nearest import nearest
from proteinx_pipelines.records import Selection

INDEX = "index.json"
SEQUENCE = "mutated_sequence"
_ENDINGS = (".csv.gz", ".csv")
WHERE_TO_GET = (
    "Download `cv_folds_singles_substitutions.zip` of ProteinGym's release 1.3 (proteingym.org, Download), unpack "
    "it, and give the folder with `--data`. Each file has `mutant`, `DMS_score`, `mutated_sequence` (or the "
    "folder an index.json with each template) and the columns fold_random_5, fold_modulo_5, fold_contiguous_5."
)
"""Advice if there are no data."""
CI_SET = (
    "DNJA1_HUMAN_Tsuboyama_2023_2LO1", "EPHB2_HUMAN_Tsuboyama_2023_1F0M", "TCRG1_MOUSE_Tsuboyama_2023_1E0L",
    "BBC1_YEAST_Tsuboyama_2023_1TG0", "BLAT_ECOLX_Stiffler_2015", "A0A1I9GEU1_NEIME_Kennouche_2019",
    "PIN1_HUMAN_Tsuboyama_2023_1I6C", "RL40A_YEAST_Mavor_2016", "SQSTM_MOUSE_Tsuboyama_2023_2RRU",
    "IF1_ECOLI_Kelsic_2016", "PABP_YEAST_Melamed_2013", "SPG1_STRSG_Olson_2014",
)  # fmt: skip
"""Twelve assays of 600 to 5,000 variants on which an exact ridge equals the published one-hot model."""


def assay_files(folder: Path) -> dict[str, Path]:
    """List the files of assays in the folder, by DMS_id, in alphabetical order.

    Raises:
        MissingFile: the folder does not exist or has no assay; the message names a source of the data.
    """
    files = {
        path.name.removesuffix(ending): path
        for ending in _ENDINGS
        for path in (folder.glob(f"*{ending}") if folder.is_dir() else ())
    }
    if not files:
        raise MissingFile(f"No assays (`<DMS_id>.csv.gz` or `.csv`) are in {folder}. {WHERE_TO_GET}")
    return dict(sorted(files.items()))


def choose(files: Mapping[str, Path], names: Sequence[str]) -> dict[str, Path]:
    """Pick assays by name, in that order.

    Raises:
        MissingFile: some do not exist; the message names all of them and the nearest names.
    """
    missing = [name for name in names if name not in files]
    if missing:
        named = [
            repr(name) + "".join(f" (did you mean {near!r}?)" for near in nearest(name, files, n=1))
            for name in missing
        ]
        raise MissingFile(f"{', '.join(named)}: not among the {len(files)} assays of the folder.")
    return {name: files[name] for name in dict.fromkeys(names)}


def read_assay(name: str, file: Path) -> Selection:
    """Read all rows of one assay as a selection.

    Raises:
        CatalogError: a column is missing, or the template is not given.
    """
    table = read_csv(file)
    missing = [column for column in ("mutant", "DMS_score") if column not in table.column_names]
    if missing:
        raise CatalogError(f"{file} has no column {', '.join(missing)}; it has {table.column_names}.")
    return selection_of(name, table, _template(name, file, table), file.name)


def selection_of(name: str, table: pa.Table, template: str, file: str) -> Selection:
    """Build a selection from a table with `mutant` and `DMS_score`."""
    rows = pa.table(
        {
            "source": pa.array([name] * table.num_rows, pa.string()),
            "mutant": table.column("mutant").cast(pa.string()),
            "DMS_score": table.column("DMS_score").cast(pa.float64()),
            "DMS_score_bin": pa.nulls(table.num_rows, pa.string()),
            "mut_num": pc.add(pc.count_substring(table.column("mutant"), ":"), 1).cast(pa.int32()),
        }
    )
    return Selection(rows, {name: template}, {"file": file, "rows": table.num_rows})


def _template(name: str, file: Path, table: pa.Table) -> str:
    known = _templates(file.parent / INDEX)
    if name in known:
        return known[name]
    if SEQUENCE not in table.column_names:
        raise CatalogError(
            f"{file}: no template in {INDEX} beside it, and no column {SEQUENCE}. {WHERE_TO_GET}"
        )
    first = parse_mutants(table.column("mutant").slice(0, 1))
    letters = list(table.column(SEQUENCE)[0].as_py())
    for position, letter in zip(first.position, first.wild_type, strict=True):
        letters[position - 1] = chr(letter)
    return "".join(letters)


@cache
def _templates(index: Path) -> dict[str, str]:
    if not index.is_file():
        return {}
    entries = json.loads(index.read_text(encoding="utf-8"))
    return {name: str(entry["template"]) for name, entry in entries.items()}
