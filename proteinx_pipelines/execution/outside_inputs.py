"""Inputs of a stage's key besides its flags and the stages it reads: files named by flags, and the report's flags.

A split file that was edited, or weights that were replaced under the same name, are another input. Weights have
gigabytes, so a digest is remembered for the file as it is (path, inode, size, times). The report of `evaluate` prints
every flag of the experiment: it must not be reused where another flag led to the same rows.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proteinx_pipelines import metrics, representations, user_models, user_splits
from proteinx_pipelines.domain.embedders import EMBEDDERS
from proteinx_pipelines.domain.models import MODELS
from proteinx_pipelines.errors import InputChanged
from proteinx_pipelines.experiment_dir.files import file_sha256, read_json, write_json
from proteinx_pipelines.files.fetched import digest_of_fetched
from proteinx_pipelines.flags.reading import effective
from proteinx_pipelines.flags.split import SPLIT_METHODS
from proteinx_pipelines.flags.tree import ExperimentFlags, sha256_of, without_silent
from proteinx_pipelines.pipeline.stages import STAGES, always_made, paths_of, value_of
from proteinx_pipelines.stages.embedding.model_folder import files_of, is_model_folder
from proteinx_pipelines.stages.train.prior_default import default_sha256
from proteinx_pipelines.stages.train.resume import LAST_CHECKPOINT
from proteinx_pipelines.workdir import Workdir

_FOLDER_FLAGS = ("train.ckpt_path",)
"""Flags that may name a folder: one checkpoint for each fold."""
_UNREADABLE = (OSError, ValueError, KeyError, TypeError)
"""Errors of reading a memo that was never written, is damaged, or was collected a moment ago."""

_DIGESTS = "digests"


@dataclass(frozen=True)
class _Registry:
    """Registry of plugins for the names in a group of flags."""

    find: Callable[[str], Any]
    """name -> the plugin's registration, with its `version`; None where no plugin registered it."""
    built_in: Collection[str]
    """Names whose code belongs to the stage: its version covers them."""


_REGISTRIES = {
    "embedding": _Registry(representations.find, EMBEDDERS),
    "split": _Registry(user_splits.find, SPLIT_METHODS),
    "model": _Registry(user_models.find, MODELS),
    "evaluate": _Registry(metrics.find, metrics.BUILT_IN),
}
"""Group of flags -> the registry for the names in its `plugin_flags`."""

Resolve = Callable[[str, str | None], Path | None]
"""(flag, value) -> the file, confined where it must be."""


def named_files(stage: str, flags: ExperimentFlags, resolve: Resolve, memory: Path) -> dict[str, Path]:
    """Existing files, or folders of checkpoints, that a stage's flags name: `split.path` -> path.

    A file that its reference names by digest counts as existing before it was fetched.
    """
    named = {
        place: resolve(place, text)
        for name in STAGES[stage].file_flags
        for place, text in paths_of(flags, name).items()
    }
    # The stage refuses a missing file with its own message.
    return {
        place: path for place, path in named.items() if path is not None and _is_there(place, path, memory)
    }


def _is_there(place: str, path: Path, memory: Path) -> bool:
    known = path.is_file() or _named_digest(path, memory) is not None
    return known or is_model_folder(path) or (place in _FOLDER_FLAGS and path.is_dir())


def outside_inputs(stage: str, flags: ExperimentFlags, resolve: Resolve, memory: Path) -> dict[str, str]:
    """Digests that enter the stage's key: of files (`file:split.path`), plugins' versions, the flags of the report."""
    files = named_files(stage, flags, resolve, memory)
    found = {f"file:{name}": content_sha256(path, memory) for name, path in files.items()}
    if STAGES[stage].prints_flags:
        found["flags"] = reported_flags_sha256(flags)
    if value_of(effective(flags), "model.prior") == "default" and "model.prior" in STAGES[stage].file_flags:
        found["prior:default"] = default_sha256()
    for name in STAGES[stage].plugin_flags:
        found |= _plugin_versions(name, value_of(flags, name))
    return found


def refuse_changed(stage: str, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Check that a stage's inputs did not change between its beginning and its end.

    Raises:
        InputChanged: an input changed; the message names the flags. Try again.
    """
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        names = ", ".join(f"`{name.removeprefix('file:')}`" for name in changed)
        raise InputChanged(
            f"{names} changed while the {stage} stage read it, so the result belongs to neither content. Leave the "
            "file as it is and try again."
        )


def stale_digests(memory: Path) -> Iterator[Path]:
    """Remembered digests that are no longer usable: their files are gone or have changed."""
    for memo in (memory / _DIGESTS).glob("*.json"):
        try:
            stamp = read_json(memo)["stamp"]
            asked_for = _stamp(Path(stamp[0])) == stamp
        except (*_UNREADABLE, IndexError):
            asked_for = False
        if not asked_for:
            yield memo


def reported_flags_sha256(flags: ExperimentFlags) -> str:
    """Digest of the flags printed in the report: those that define the experiment, not its handling by the node."""
    printed = {group for name in always_made() for group in STAGES[name].flag_groups}
    read = without_silent(effective(flags).nested())  # flags that nothing reads are not printed
    return sha256_of({group: value for group, value in read.items() if group in printed})


def _plugin_versions(flag: str, value: str | Sequence[str]) -> dict[str, str]:
    """Versions of the plugins named by a flag: other code is another input."""
    registry = _REGISTRIES[flag.split(".")[0]]
    names = (value,) if isinstance(value, str) else value
    found = {name: registry.find(name) for name in names if name not in registry.built_in}
    return {f"plugin:{name}": plugin.version for name, plugin in found.items() if plugin is not None}


def content_sha256(path: Path, memory: Path) -> str:
    """Digest of a file, of a language model's folder, or of the checkpoints in a folder with their names."""
    named = _named_digest(path, memory)
    if named is not None:
        return named
    if path.is_file():
        return _remembered_sha256(path, memory)
    if is_model_folder(path):
        return sha256_of({file.name: _remembered_sha256(file, memory) for file in files_of(path)})
    checkpoints = [*path.glob(LAST_CHECKPOINT), *path.glob(f"fold_*/{LAST_CHECKPOINT}")]
    return sha256_of(
        {file.relative_to(path).as_posix(): _remembered_sha256(file, memory) for file in checkpoints}
    )


def _named_digest(path: Path, memory: Path) -> str | None:
    """Digest of a file that was, or will be, fetched by its digest; `memory` is the store's folder in WORKDIR."""
    return digest_of_fetched(path, Workdir(memory.parent).fetched_dir)


def _remembered_sha256(path: Path, memory: Path) -> str:
    stamp = _stamp(path)
    memo = memory / _DIGESTS / f"{sha256_of(stamp)}.json"
    try:
        return str(read_json(memo)["sha256"])
    except _UNREADABLE:
        digest = file_sha256(path)
    if _stamp(path) == stamp:  # otherwise these bytes are another file's, or half of one
        write_json(memo, {"sha256": digest, "stamp": stamp})
    return digest


def _stamp(path: Path) -> list[str | int]:
    facts = path.stat()
    return [str(path), facts.st_ino, facts.st_size, facts.st_mtime_ns]
