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
_NO_OPTIONS = (
    "A round takes no options: correct the file, with columns `mutant` and `DMS_score` as in the plate and positions "
    "as in the campaign's data."
)


@dataclass(frozen=True)
class PlateFiles:
    """Plates and measured files of this WORKDIR, as `services.rounds.Proposer` and `Importer`."""

    settings: Settings
    score: str | None = None
    """`data.score` of the campaign: a further column to fill in."""

    @property
    def _scores(self) -> list[str]:
        return [SCORE, *([self.score] if self.score not in (None, SCORE) else [])]

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
        plate = rows
        for place, name in enumerate(self._scores, plate.column_names.index("mutant") + 1):
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
            replace=True, options=self._options(file), facts={"measured_like": like},
        )  # fmt: skip
        return report.rows, report.missing_scores

    def proposed(self, plate: Path, like: str) -> Mapping[str, str]:
        """Proposed mutants of a plate, without controls, in template positions -> as the plate has them."""
        source = show_source(self.settings.database_path, like)
        rows = read_plate(plate)
        names = [str(row["mutant"]) for row in rows if int(row["rank"]) > 0]
        return {_ordered(name): own for name, own in zip(in_template(names, source), names, strict=True)}

    def _options(self, file: Path) -> ReadingOptions:
        """The plate's own column of scores where the file has it; else the reader finds one."""
        names = read_table(file).names
        there = [name for name in self._scores if name in names]
        if SCORE not in there:
            return ReadingOptions()
        return ReadingOptions(mutant_column="mutant" if "mutant" in names else None, score_column=SCORE,
                              further_columns=tuple(name for name in there if name != SCORE))  # fmt: skip


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
