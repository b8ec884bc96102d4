"""Published values, from a table of `DMS_id,scheme,model,metric,value`."""

from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.bench.plain_csv import read_csv
from proteinx_pipelines.errors import CatalogError, MissingFile

ONE_HOT = "One-Hot Encodings"
"""Default reference: the only published model without pretrained weights."""
_COLUMNS = ("DMS_id", "scheme", "model", "metric", "value")
WHERE_TO_GET = (
    "A CSV with the columns DMS_id, scheme, model, metric, value is expected: ProteinGym's "
    "`benchmarks/DMS_supervised/substitutions` tables of release 1.3, brought into long form."
)


@dataclass(frozen=True)
class Published:
    """Published values by (assay, scheme, model), of one metric."""

    values: dict[tuple[str, str, str], float]

    def value(self, assay: str, scheme: str, model: str) -> float | None:
        """Published value; None if there is none."""
        return self.values.get((assay, scheme, model))

    @property
    def models(self) -> tuple[str, ...]:
        """Sorted names of the published models."""
        return tuple(sorted({model for _, _, model in self.values}))

    def mean(self, assays: list[str], scheme: str, model: str) -> float | None:
        """Mean over the assays that have a value; None if none has."""
        found = [value for name in assays if (value := self.value(name, scheme, model)) is not None]
        return sum(found) / len(found) if found else None


def read_published(file: Path, *, metric: str = "Spearman") -> Published:
    """Read the values of one metric.

    Raises:
        MissingFile: the file is not there. CatalogError: it has other columns.
    """
    if not file.is_file():
        raise MissingFile(f"{file} is not a file. {WHERE_TO_GET}")
    table = read_csv(file)
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise CatalogError(f"{file} has no column {', '.join(missing)}. {WHERE_TO_GET}")
    columns = (table.column(name).to_pylist() for name in _COLUMNS)
    return Published(
        {
            (assay, scheme, model): float(value)
            for assay, scheme, model, kind, value in zip(*columns, strict=True)
            if kind == metric and value is not None
        }
    )
