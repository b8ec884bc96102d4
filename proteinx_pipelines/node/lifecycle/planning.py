"""Plan of a generation: what its run will contain, given what the experiment and the store already have."""

import sys
from functools import lru_cache, partial
from pathlib import Path

from proteinx_pipelines.catalog.extent import exact_rows, rough_extent
from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.execution.excluded_sources import excluded_digests
from proteinx_pipelines.execution.memory import allowed_memory, needs, refuse_beyond_memory
from proteinx_pipelines.execution.node_bounds import Machine, refuse_beyond_machine, this_machine
from proteinx_pipelines.execution.outside_inputs import outside_inputs
from proteinx_pipelines.execution.paths import allowed_path, may_change
from proteinx_pipelines.execution.selection_memo import known_rows
from proteinx_pipelines.execution.stages import versions
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline, whole_stages
from proteinx_pipelines.flags.names import refuse_unknown_names
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.node.talking.usage import gpu_usage
from proteinx_pipelines.pipeline.plan import Plan, make_plan
from proteinx_pipelines.pipeline.stages import STAGES, paths_of
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.known_names import known_here

_LATER = "known when it has been fetched"
"""In a planned key, for a file behind an address: its stage is planned as computed, and decided when it runs."""
_OTHER_GPUS = Path("/dev/kfd")
"""Path that exists where a machine has GPUs that NVIDIA's library does not count."""


def plan_experiment(
    settings: Settings, experiment_id: str, flags: ExperimentFlags, payload_ref: str | None
) -> Plan:
    """Plan what these flags would do to an experiment now.

    Raises:
        FlagError: they name a metric, an embedder or a model that this node does not have (any more), or ask for more
            than its machine has.
        NotEnoughMemory: a stage would need more memory than the node allows.
    """
    refuse_unknown_names(flags, known_here())
    refuse_beyond_machine(flags, node_machine())
    payload = allowed_path(settings, "payload_ref", payload_ref)
    refuse_large_selection(settings, flags, payload)
    directory = ExperimentDir(settings.experiments_dir, experiment_id)
    store = StageStore(settings.paths.store_dir)

    def outside(stage: str) -> dict[str, str]:
        found = outside_inputs(stage, flags, partial(allowed_path, settings), store.root)
        for name in STAGES[stage].file_flags:
            changeable = [
                place for place, text in paths_of(flags, name).items() if may_change(settings, text)
            ]
            found |= dict.fromkeys((f"file:{place}" for place in changeable), _LATER)
        return found | excluded_digests(stage, flags, lambda: payload or settings.database_path)

    return make_plan(
        flags,
        whole_stages(read_pipeline(directory.pipeline), directory),
        versions=versions(),
        rows=None if may_change(settings, payload_ref) else known_rows(settings, flags, payload),
        lookup=store.lookup,
        outside=outside,
        resume=flags.run.resume,
    )


def refuse_large_selection(settings: Settings, flags: ExperimentFlags, payload: Path | None) -> None:
    """Refuse an experiment that cannot fit into the node's memory limit, if its rows can be counted now.

    A data file is imported by the first stage, so the stages check its rows themselves.

    Raises:
        NotEnoughMemory: the message names the stages, what they need and why.
    """
    database = settings.database_path if payload is None else payload
    allowed = allowed_memory(settings)
    try:
        extent = rough_extent(database, flags.data)
        if all(need.bytes <= allowed for need in needs(flags, extent.rows, extent.residues)):
            return
        rows = exact_rows(database, flags.data)
    except CatalogError:
        return  # a data file, or a selection that the stage refuses with its own message
    refuse_beyond_memory(flags, rows=rows, residues=extent.residues, allowed=allowed)


@lru_cache(maxsize=1)
def node_machine() -> Machine:
    """Resources of this node's machine; its GPUs are counted once per process."""
    unknown = sys.platform == "darwin" or _OTHER_GPUS.exists()
    return this_machine(None if unknown else len(gpu_usage()))


def plan_generation(settings: Settings, current: Generation) -> Plan:
    """Plan the next execution of an accepted generation."""
    return plan_experiment(settings, current.experiment_id, current.tree, current.payload_ref)
