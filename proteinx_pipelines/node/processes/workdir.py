"""Prepares a WORKDIR before anything runs: its folders, and `dagster.yaml` in DAGSTER_HOME.

Dagster refuses a home that does not exist, and ignores the yaml of the project's root once there is a home.
"""

from importlib import resources

from proteinx_pipelines.experiment_dir.files import write_text
from proteinx_pipelines.settings import Settings, SettingsError


def prepare_workdir(settings: Settings) -> None:
    """Create what is missing; `dagster.yaml` is written anew when the packaged one has changed.

    Raises:
        SettingsError: DAGSTER_HOME has a `dagster.yaml` that is not ours. Unset it, or name an empty folder.
    """
    packaged = (
        resources.files("proteinx_pipelines.node.processes")
        .joinpath("dagster.yaml")
        .read_text(encoding="utf-8")
    )
    target = settings.dagster_home / "dagster.yaml"
    found = target.read_bytes().decode("utf-8", errors="replace") if target.is_file() else None
    # An edited copy of ours, or one of an older version, still begins with our first line.
    if found is not None and found.splitlines()[:1] != packaged.splitlines()[:1]:
        raise SettingsError(
            f"DAGSTER_HOME is another project's home: {target} was not written by proteinx and stays as it is. "
            "Unset DAGSTER_HOME (`dagster_home` in proteinx.toml), or name an empty folder."
        )
    for folder in (
        settings.workdir,
        settings.experiments_dir,
        settings.run_dir,
        settings.logs_dir,
        settings.dagster_home,
    ):
        folder.mkdir(parents=True, exist_ok=True)
    if found != packaged:
        write_text(target, packaged)
