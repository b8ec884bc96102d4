"""Drift of the database since a selection: rows that a repeated selection would add, drop or score anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.catalog.payload import open_payload
from proteinx_pipelines.errors import MissingArtifact
from proteinx_pipelines.execution.opened_generation import OpenedGeneration
from proteinx_pipelines.execution.paths import fetched_path
from proteinx_pipelines.experiment_dir.files import read_json, read_parquet
from proteinx_pipelines.experiment_dir.layout import QUERY, SELECTED
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.numbering import TEMPLATE_MUTANT, for_people
from proteinx_pipelines.records import STANDARD_ERROR
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.selection import select_variants

SHOWN = 10


@dataclass(frozen=True)
class Drift:
    """Difference between a past selection and the same flags now. Counts are of mutants; replicates count once."""

    database: Path
    rows_before: int
    rows_now: int
    added: tuple[str, ...]
    dropped: tuple[str, ...]
    rescored: tuple[str, ...]
    """Mutants in both selections with other scores or standard errors, or with other replicates."""

    @property
    def is_none(self) -> bool:
        """True if a repeated selection would choose the same rows."""
        return not (self.added or self.dropped or self.rescored)


def selection_drift(settings: Settings, opened: OpenedGeneration) -> Drift:
    """Repeat a finished selection against the database as it is now; the experiment is not changed.

    Raises:
        MissingArtifact: the experiment has no selection, or the rows of that generation are nowhere any more.
        InputError: the database or the payload cannot be read for a selection now.
    """
    path = opened.file("selection", SELECTED)
    if path is None:
        raise MissingArtifact(f"The rows that {opened.name} selected are not there; run it again.")
    database = _database(settings, opened)
    selected = select_variants(database, parse_flags(dict(opened.flags)).data)
    now, before = for_people(selected.rows, selected.offsets), read_parquet(path)
    scores_before, scores_now = _scores(before), _scores(now)
    names = _names(before) | _names(now)
    both = scores_before.keys() & scores_now.keys()
    return Drift(
        database=database,
        rows_before=before.num_rows,
        rows_now=now.num_rows,
        added=tuple(sorted(names[row] for row in scores_now.keys() - both)),
        dropped=tuple(sorted(names[row] for row in scores_before.keys() - both)),
        rescored=tuple(sorted(names[row] for row in both if scores_before[row] != scores_now[row])),
    )


def _database(settings: Settings, opened: OpenedGeneration) -> Path:
    """Database of the experiment's selection: the payload of its message, the catalog, or a file given by hand."""
    known = Ledger(settings.state_path).generation(opened.directory.experiment_id, opened.generation)
    if known is not None:
        payload = fetched_path(settings, "payload_ref", known.payload_ref)
        return (
            open_payload(payload, settings.paths.payloads_dir, settings.most_data_bytes)
            if payload
            else settings.database_path
        )
    query = opened.file("selection", QUERY)
    written = Path(str(read_json(query)["database"])) if query is not None else settings.database_path
    return written if written.is_file() else settings.database_path


def _scores(rows: pa.Table) -> Mapping[str, list[Any]]:
    """Id -> its scores with their standard errors, ascending, missing ones last."""
    known = STANDARD_ERROR in rows.column_names
    errors = rows.column(STANDARD_ERROR) if known else pa.nulls(rows.num_rows, pa.float64())
    columns = {"id": _ids(rows), "score": rows.column("DMS_score"), "error": errors}
    table = pa.table(columns).sort_by([(name, "ascending") for name in columns])
    found: dict[str, list[Any]] = {}
    for name, *measured in zip(*(column.to_pylist() for column in table.columns), strict=True):
        found.setdefault(name, []).append(measured)
    return found


def _ids(rows: pa.Table) -> pa.ChunkedArray:
    mutant = rows.column(TEMPLATE_MUTANT if TEMPLATE_MUTANT in rows.column_names else "mutant")
    return pc.binary_join_element_wise(rows.column("source"), mutant, "/")


def _names(rows: pa.Table) -> dict[str, str]:
    """Id -> `<source>/<mutant>` as people write it."""
    written = pc.binary_join_element_wise(rows.column("source"), rows.column("mutant"), "/")
    return dict(zip(_ids(rows).to_pylist(), written.to_pylist(), strict=True))
