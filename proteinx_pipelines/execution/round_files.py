"""Files of a round: the plate that is ordered and filled in, and the import of what was measured."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.catalog.incoming import read_incoming
from proteinx_pipelines.catalog.listing import SourceDetails, show_source
from proteinx_pipelines.catalog.refusing import DEFAULT_MOST_BAD, refusal
from proteinx_pipelines.catalog.scores import source_scores
from proteinx_pipelines.errors import CatalogError, MissingArtifact
from proteinx_pipelines.experiment_dir.codecs import design as codec
from proteinx_pipelines.experiment_dir.codecs.evaluate import csv_bytes
from proteinx_pipelines.experiment_dir.files import write_bytes
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.mutants import renumbered
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.variant_files.forms import read_table
from proteinx_pipelines.variant_files.understood import ReadingOptions

SCORE = "DMS_score"
_PREDICTED = ("prediction", "deviation", "reason", "low", "high", "acquisition", "stability")
"""Columns of a plate that are no measurements; the first three tell a plate from other files."""
_NO_OPTIONS = (
    "A round takes no options: correct the file, with columns `mutant` and `DMS_score` as in the plate and positions "
    "as in the campaign's data."
)


@dataclass(frozen=True)
class PlateFiles:
    """Plates and measured files of this WORKDIR, as `services.rounds.Proposer` and `Importer`."""

    settings: Settings
    first_source: str
    """Source that the campaign began with: it names the first score."""
    wanted: tuple[str, ...] = ()
    """`data.score` and `data.properties` of the campaign: columns to fill in, beside the first score."""

    @property
    def _first(self) -> str:
        """Name of the first score as it was imported; `data.score` may say it in place of `DMS_score`."""
        return source_scores(self.settings.database_path).get(self.first_source, [SCORE])[0]

    @property
    def to_fill(self) -> tuple[str, ...]:
        """Columns of the plate that the laboratory fills in."""
        return (SCORE, *self._further)

    @property
    def _further(self) -> list[str]:
        first = self._first
        return [name for name in dict.fromkeys(self.wanted) if name not in (SCORE, first)]

    def write_plate(self, experiment_id: str, target: Path) -> tuple[int, int]:
        """Write the proposals as CSV, with empty columns for what will be measured.

        Raises:
            MissingArtifact: the experiment has made no proposals.
        """
        directory = ExperimentDir(self.settings.experiments_dir, experiment_id)
        try:
            rows = codec.load(directory).proposals
        except MissingArtifact as error:
            raise MissingArtifact(f"{experiment_id} has no proposals: {error}") from error
        further = self._further
        names = [f"{name} of the proposal" if name in further else name for name in rows.column_names]
        plate = rows.rename_columns(names)
        for place, name in enumerate(self.to_fill, names.index("mutant") + 1):
            plate = plate.add_column(place, name, pa.nulls(plate.num_rows, pa.float64()))
        write_bytes(target, csv_bytes(plate))
        rank = rows.column("rank").to_numpy()
        return int((rank > 0).sum()), int((rank == 0).sum())

    def look(self, file: Path, like: str) -> Mapping[str, bool]:
        """Mutants of a file, in template positions -> whether one has a score.

        Raises:
            CatalogError: the file has bad rows; all causes are named.
        """
        source = show_source(self.settings.database_path, like)
        try:
            incoming = read_incoming(file, self._options(file), source.template, source.offset)
            if (refused := refusal(incoming, skip_bad=False, most_bad=DEFAULT_MOST_BAD)) is not None:
                raise refused
        except CatalogError as error:
            raise error.with_remedy(_NO_OPTIONS) from error
        found: dict[str, bool] = {}
        for mutant, score in zip(
            incoming.rows.mutants.to_pylist(), incoming.rows.scores.tolist(), strict=True
        ):
            name = _ordered(mutant)
            found[name] = found.get(name, False) or bool(np.isfinite(score))
        return found

    def take(self, file: Path, name: str, like: str) -> tuple[int, int]:
        """Import a file; a source of this name, left by an interrupted call, is replaced."""
        source = show_source(self.settings.database_path, like)
        report = import_file(
            self.settings.database_path, file, name=name, template=source.template, offset=source.offset,
            replace=True, options=self._options(file),
            facts={"measured_like": like, "columns": {"score": self._first}},
        )  # fmt: skip
        return report.rows, report.missing_scores

    def proposed(self, plate: Path, like: str) -> Mapping[str, str]:
        """Proposed mutants of a plate, without controls, in template positions -> as the plate has them."""
        source = show_source(self.settings.database_path, like)
        rows = read_plate(plate)
        names = [str(row["mutant"]) for row in rows if int(row["rank"]) > 0]
        return {_ordered(name): own for name, own in zip(in_template(names, source), names, strict=True)}

    def _options(self, file: Path) -> ReadingOptions:
        """The plate's own columns of scores where the file has them; else the reader finds one.

        What a filled plate predicts is not looked at: its `deviation` is the model's, not that of a measurement.

        Raises:
            CatalogError: the file has another property, and not the first score.
        """
        names, first = read_table(file).names, self._first
        further = tuple(name for name in self._further if name in names)
        score = next((name for name in (SCORE, first) if name in names), None)
        if further and score is None:
            found = f"{file.name} has {', '.join(further)} and no column {SCORE!r}"
            raise CatalogError(f"{found}. Add it, empty where nothing was measured.")
        predicted = _PREDICTED if {*_PREDICTED[:3]} <= {*names} else ()
        return ReadingOptions(
            mutant_column="mutant" if score is not None and "mutant" in names else None, score_column=score,
            further_columns=further, ignored_columns=tuple(name for name in predicted if name not in further),
        )  # fmt: skip


def read_plate(plate: Path) -> list[dict[str, str]]:
    """Rows of a plate's file."""
    with plate.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def in_template(names: list[str], source: SourceDetails) -> list[str]:
    """Names in the user's numbering as names in positions of the template."""
    return [str(name) for name in renumbered(pa.array(names, pa.string()), -source.offset).to_pylist()]


def _ordered(mutant: str) -> str:
    """One spelling of a variant: mutations by position."""
    if mutant == "WT":
        return mutant
    return ":".join(
        sorted(mutant.split(":"), key=lambda part: (int(part[1:-1]) if part[1:-1].isdigit() else 0, part))
    )
