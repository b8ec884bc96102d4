"""Simulated campaigns on a source of the catalog."""

from pathlib import Path

from proteinx_pipelines.campaign.defaults import with_defaults
from proteinx_pipelines.campaign.landscape import landscape_of
from proteinx_pipelines.campaign.pool import refuse_unsimulated
from proteinx_pipelines.campaign.runs import Progress
from proteinx_pipelines.campaign.simulation import Asked, Simulation, simulate_on
from proteinx_pipelines.execution.excluded_sources import excluded_variants
from proteinx_pipelines.execution.paths import allowed_path
from proteinx_pipelines.execution.shards.kept import cluster_spread
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.selection import select_variants


def simulate(
    settings: Settings,
    flags: ExperimentFlags,
    asked: Asked,
    *,
    database: Path | None = None,
    processes: int | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Simulation:
    """Simulate campaigns on the measured variants that `data.*` chooses.

    Args:
        settings: of this WORKDIR; finished campaigns are kept in its `simulations/`.
        flags: `data.*`, `transform.*`, and the rule: `embedding.*`, `model.*`, `train.*`, `design.*`, whose
            constraints restrict the variants of every plate.
        asked: protocol and comparisons.
        database: the catalog; that of the WORKDIR when None.
        processes: number of processes; that of the processor cores when None. With a cluster (setting `dask`), its
        workers run the campaigns.
        progress: called after each campaign.

    Raises:
        UnknownSource, EmptySelection, BadVariants, MissingWeights: as in an experiment.
        FlagError: several sources, more variants than there are, no deviations for the acquisition, or a flag without
            a meaning in a simulation.
    """
    rule = with_defaults(flags)
    refuse_unsimulated(rule.design, asked.sizes)
    catalog = database or settings.database_path
    selection = select_variants(catalog, rule.data, excluded=rule.design.exclude_sources)
    landscape = landscape_of(
        selection,
        rule,
        weights=allowed_path(settings, "embedding.weights", rule.embedding.weights, confined=False),
        file=allowed_path(settings, "embedding.path", rule.embedding.path, confined=False),
        excluded=excluded_variants(rule.design, lambda: catalog),
    )
    return simulate_on(
        landscape, rule, asked, folder=settings.paths.simulations_dir, processes=processes, progress=progress,
        spread=cluster_spread(settings, "campaign"),
    )  # fmt: skip
