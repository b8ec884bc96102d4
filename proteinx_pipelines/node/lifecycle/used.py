"""Rows of the usage report: the ended experiments of this WORKDIR's node."""

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.services.usage import Cost, Use, cost_of, use_of
from proteinx_pipelines.settings import Settings


def uses_here(settings: Settings, lives: Ledger, since: str | None) -> list[Use]:
    """Every generation that has ended since a time (None: ever), first ended first, and refused messages."""
    found = [
        use_of(current, settings.node_name, _cost(settings, current)) for current in lives.ended_since(since)
    ]
    refused = [_refused(each, settings.node_name) for each in lives.rejections(limit=100_000)]
    return sorted(
        (*found, *(use for use in refused if since is None or use.finished_at >= since)),
        key=lambda use: use.finished_at,
    )


def _cost(settings: Settings, current: Generation) -> Cost:
    """What its own stages have used, as long as the experiment directory has their entries."""
    try:
        stages = read_pipeline(ExperimentDir(settings.experiments_dir, current.experiment_id).pipeline).stages
    except (OSError, ValueError):  # removed meanwhile, or damaged: `proteinx doctor` is for that
        return Cost()
    mine = (
        each for each in stages.values() if each.was_computed_by(current.experiment_id, current.generation)
    )
    return cost_of(entry.resources for entry in mine if entry.resources)


def _refused(found: dict[str, object], node: str) -> Use:
    result = found["result"]
    error = result.get("error") if isinstance(result, dict) else None
    return Use(
        experiment_id=str(found["experiment_id"] or "-"), generation=None, node=node, model="-", embedding="-",
        state="REJECTED", reason=error.get("code") if isinstance(error, dict) else None, attempts=0, waited_s=None,
        seconds=None, cpu_seconds=None, joules=None, finished_at=str(found["received_at"]),
    )  # fmt: skip
