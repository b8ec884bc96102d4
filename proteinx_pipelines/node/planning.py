"""The plan of a generation: what its run will contain, from what the experiment and the store already have."""

from functools import partial

from proteinx_pipelines.execution.external import outside_inputs
from proteinx_pipelines.execution.paths import allowed_path
from proteinx_pipelines.execution.pipeline_file import read_pipeline, whole_stages
from proteinx_pipelines.execution.rows import known_rows
from proteinx_pipelines.execution.stages import versions
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.names import refuse_unknown_names
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.pipeline.plan import Plan, make_plan
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.known_names import known_here
from proteinx_pipelines.state.generation import Generation


def plan_experiment(
    settings: Settings, experiment_id: str, flags: ExperimentFlags, payload_ref: str | None
) -> Plan:
    """Plan what these flags would do to an experiment now.

    Raises:
        FlagError: they name a metric, an embedder or a model that this node does not have (any more).
    """
    refuse_unknown_names(flags, known_here())
    directory = ExperimentDir(settings.experiments_dir, experiment_id)
    store = StageStore(settings.paths.store_dir)

    def outside(stage: str) -> dict[str, str]:
        return outside_inputs(stage, flags, partial(allowed_path, settings), store.root)

    return make_plan(
        flags,
        whole_stages(read_pipeline(directory.pipeline), directory),
        versions=versions(),
        rows=known_rows(settings, flags, allowed_path(settings, "payload_ref", payload_ref)),
        lookup=store.lookup,
        outside=outside,
        resume=flags.run.resume,
    )


def plan_generation(settings: Settings, current: Generation) -> Plan:
    """Plan the next execution of an accepted generation."""
    return plan_experiment(
        settings, current.experiment_id, parse_flags(dict(current.flags)), current.payload_ref
    )
