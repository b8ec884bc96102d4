"""Rows and digests of the sources whose measured variants are not proposed (`design.exclude_sources`)."""

from collections.abc import Callable
from pathlib import Path

from proteinx_pipelines.errors import CatalogError, MissingFile
from proteinx_pipelines.flags.data import DataFlags
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.transform import TransformFlags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.pipeline.stages import STAGES
from proteinx_pipelines.records import VariantTable

Database = Callable[[], Path]


def excluded_variants(flags: DesignFlags, database: Database) -> VariantTable | None:
    """Measured variants of the excluded sources; None where the flags name none.

    Raises:
        UnknownSource: one is not in the catalog. BadVariants: its rows contradict its template, or none has a score.
        CatalogError: the file is not a catalog.
    """
    from proteinx_pipelines.stages.selection import select_variants
    from proteinx_pipelines.stages.transform.transform import transform_variants

    if not flags.exclude_sources:
        return None
    named = DataFlags(source=flags.exclude_sources)
    selection = select_variants(database(), named, named_by="design.exclude_sources")
    return transform_variants(selection, TransformFlags(unknown="drop"))


def excluded_digests(stage: str, flags: ExperimentFlags, database: Database) -> dict[str, str]:
    """`source:<name>` -> digest of a source's rows, for the key of the stage that reads `design.*`."""
    names = flags.design.exclude_sources if "design" in STAGES[stage].flag_groups else ()
    if not names:
        return {}
    from proteinx_pipelines.catalog.source_digest import source_digest  # imports SQLAlchemy

    try:
        found = {name: source_digest(database(), name) for name in names}
    except (CatalogError, MissingFile):  # the stage reports it
        return {}
    return {f"source:{name}": content[1] for name, content in found.items() if content is not None}
