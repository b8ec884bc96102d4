"""`dagster.yaml` in DAGSTER_HOME: written by the node, and the operator's once it has been edited.

A file is edited when it differs from what was written last, whose digest is kept beside it. An edited one stays as it
is in every later start and release; the packaged one then lies beside it, to be compared. Removed, it is written anew.
"""

import hashlib
from importlib import resources
from pathlib import Path

from proteinx_pipelines.errors import SettingsError
from proteinx_pipelines.experiment_dir.files import write_text
from proteinx_pipelines.settings import Settings

FILE, PACKAGED = "dagster.yaml", "dagster.packaged.yaml"
LAUNCHER = "class: NodeRunLauncher"
"""What an edited file needs as well: the run host takes the runs that it sends."""
_WRITTEN = ".dagster.yaml.sha256"
_REPLACED = "# Written into DAGSTER_HOME by proteinx; your changes there are replaced."
"""Beginning of the files of release 0.1.0, which said so."""


def packaged_yaml() -> str:
    """The file as this release writes it."""
    folder = resources.files("proteinx_pipelines.node.processes")
    return folder.joinpath(FILE).read_text(encoding="utf-8")


def refuse_another_projects(settings: Settings) -> None:
    """Refuse a home with a `dagster.yaml` that proteinx has not written.

    Raises:
        SettingsError: it is another project's. Unset DAGSTER_HOME, or name an empty folder.
    """
    found, home = _found(settings), settings.dagster_home
    ours = packaged_yaml().splitlines()[0]
    if found is None or (home / _WRITTEN).is_file() or found.startswith((ours, _REPLACED)):
        return
    raise SettingsError(
        f"DAGSTER_HOME is another project's home: {home / FILE} was not written by proteinx and stays as it is. "
        "Unset DAGSTER_HOME (`dagster_home` in proteinx.toml), or name an empty folder."
    )


def is_edited(settings: Settings) -> bool:
    """True if the file is the operator's."""
    found = _found(settings)
    if found is None or found == packaged_yaml() or found.startswith(_REPLACED):
        return False
    return _digest(found) != _read(settings.dagster_home / _WRITTEN)


def write_dagster_yaml(settings: Settings) -> None:
    """Write the packaged file where there is none, or one that an earlier release has written."""
    home, packaged = settings.dagster_home, packaged_yaml()
    is_theirs = is_edited(settings)
    if _read(target := home / (PACKAGED if is_theirs else FILE)) != packaged:
        write_text(target, packaged)
    if not is_theirs and _read(home / _WRITTEN) != _digest(packaged):
        write_text(home / _WRITTEN, _digest(packaged))


def _found(settings: Settings) -> str | None:
    return _read(settings.dagster_home / FILE)


def _read(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8", errors="replace") if path.is_file() else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
