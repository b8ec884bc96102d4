"""Prepares a WORKDIR before anything runs: its folders, and `dagster.yaml` in DAGSTER_HOME.

Dagster refuses a home that does not exist, and ignores the yaml of the project's root once there is a home.
"""

import os
from pathlib import Path

from proteinx_pipelines.node.processes.dagster_home import refuse_another_projects, write_dagster_yaml
from proteinx_pipelines.settings import Settings


def prepare_workdir(settings: Settings) -> None:
    """Create what is missing; `dagster.yaml` is written anew when the packaged one has changed, unless it was edited.

    Raises:
        SettingsError: DAGSTER_HOME has a `dagster.yaml` that is not ours. Unset it, or name an empty folder.
    """
    refuse_another_projects(settings)
    for folder in (
        settings.workdir,
        settings.experiments_dir,
        settings.run_dir,
        settings.logs_dir,
        settings.dagster_home,
    ):
        folder.mkdir(parents=True, exist_ok=True)
    write_dagster_yaml(settings)


def never_make_again(workdir: Path) -> None:
    """Let this process make no second WORKDIR where its own one has been renamed or removed.

    Every file of a node is written below folders that are made on the way, so that a renamed WORKDIR would come into
    being again, empty: with a state.db that knows nothing, while the node still works in both. Nothing is made there
    from now on, by whatever function; what is written fails until the folder is back.
    """
    if not _KEPT:
        os.mkdir = _mkdir  # type: ignore[assignment]  # pathlib, shutil and tempfile all call this name
    _KEPT.add(str(workdir))


_KEPT: set[str] = set()
"""The WORKDIR of this process, once it must not be made again."""
_make = os.mkdir


def _mkdir(path: "os.PathLike[str] | str", mode: int = 0o777, **more: int | None) -> None:
    if os.fspath(path) in _KEPT and not Path(path).is_dir():
        raise FileNotFoundError(
            f"{os.fspath(path)} was renamed or removed while its node was running. Put it back, or stop the node."
        )
    _make(path, mode, **more)
