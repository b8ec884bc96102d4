"""What a WORKDIR needs before anything runs: its folders, and `dagster.yaml` in DAGSTER_HOME.

Dagster refuses a home that does not exist, and ignores the yaml of the project's root once there is a home.
"""

from importlib import resources

from proteinx_pipelines.experiment_dir.files import write_text
from proteinx_pipelines.settings import Settings


def prepare_workdir(settings: Settings) -> None:
    """Create what is missing; `dagster.yaml` is written anew when the packaged one has changed."""
    for folder in (
        settings.workdir,
        settings.experiments_dir,
        settings.run_dir,
        settings.logs_dir,
        settings.dagster_home,
    ):
        folder.mkdir(parents=True, exist_ok=True)
    packaged = resources.files("proteinx_pipelines.node").joinpath("dagster.yaml").read_text(encoding="utf-8")
    target = settings.dagster_home / "dagster.yaml"
    if not target.is_file() or target.read_text(encoding="utf-8") != packaged:
        write_text(target, packaged)
