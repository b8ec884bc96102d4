"""The index of an experiment's files: every file of the directory with its size and SHA-256."""

from collections.abc import Iterator, Mapping
from typing import Any

from proteinx_pipelines.experiment_dir.files import file_sha256, read_json
from proteinx_pipelines.experiment_dir.layout import DOCUMENT, ExperimentDir

Index = dict[str, dict[str, Any]]
"""Name relative to the experiment's root -> `{size, sha256}`."""
_SETTLED_S = 2.0
"""Seconds a file must be older than the index for its time to prove it unchanged: some disks round times."""


def file_names(directory: ExperimentDir, folder: str = "") -> Iterator[str]:
    """Every file of an experiment, or of a folder in it, sorted, without hidden (partly written) files and links."""
    for path in sorted(directory.path(folder).rglob("*")):
        relative = path.relative_to(directory.root)
        if (
            not any(part.startswith(".") for part in relative.parts)
            and path.is_file()
            and not path.is_symlink()
        ):
            yield relative.as_posix()


def index_of(directory: ExperimentDir, recorded: Mapping[str, Mapping[str, Any]]) -> Index:
    """Every file but `experiment.json` itself, which holds the index.

    Args:
        directory: the experiment.
        recorded: files of which size and digest were recorded when a stage was published; not read again. Of the
            others, those that are as old as the index before keep the digest that they have there.
    """
    before, written_at = _index_before(directory)
    found: Index = {}
    for name in file_names(directory):
        if name == DOCUMENT:
            continue
        path = directory.path(name)
        try:
            stat = path.stat()
            known = recorded.get(name)
            if known is None and stat.st_mtime < written_at - _SETTLED_S:
                known = before.get(name)
            if known is None or known["size"] != stat.st_size:
                known = {"size": stat.st_size, "sha256": file_sha256(path)}
        except FileNotFoundError:  # replaced or removed meanwhile
            continue
        found[name] = dict(known)
    return found


def _index_before(directory: ExperimentDir) -> tuple[Index, float]:
    """The index in `experiment.json` and its time of writing; empty when there is none."""
    try:
        return dict(read_json(directory.document)["artifacts"]), directory.document.stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return {}, 0.0
