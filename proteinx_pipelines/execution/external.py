"""What enters a stage's key besides its flags and the stages it reads: files that flags name, and the report's flags.

A split file that was edited, or weights that were replaced under the same name, are another input. Weights have
gigabytes, so a digest is remembered for the file as it is (path, inode, size, times). The report of `evaluate` prints
every flag of the experiment: it must not be reused where another flag led to the same rows.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from proteinx_pipelines.experiment_dir.files import file_sha256, read_json, write_json
from proteinx_pipelines.flags.tree import ExperimentFlags, sha256_of
from proteinx_pipelines.representations import EMBEDDERS, find

_FILE_FLAGS: Mapping[str, tuple[str, ...]] = {
    "embedding": ("embedding.weights", "embedding.path"),
    "split": ("split.path",),
    "train": ("train.ckpt_path",),
}
"""Stage -> flags whose value is a path that it reads."""

Resolve = Callable[[str, str | None], Path | None]
"""(flag, value) -> the file, confined where it must be."""


def named_paths(flags: ExperimentFlags) -> dict[str, str]:
    """What the flags say where a path is expected, by dotted name: `split.path` -> text. Nothing is looked at."""
    names = [name for of_stage in _FILE_FLAGS.values() for name in of_stage]
    found = {name: getattr(getattr(flags, name.split(".")[0]), name.split(".")[1]) for name in names}
    return {name: text for name, text in found.items() if text is not None}


def named_files(stage: str, flags: ExperimentFlags, resolve: Resolve) -> dict[str, Path]:
    """The files that a stage's flags name and that are there: `split.path` -> path."""
    found = {}
    for name in _FILE_FLAGS.get(stage, ()):
        group, flag = name.split(".")
        path = resolve(name, getattr(getattr(flags, group), flag))
        if path is not None and path.is_file():  # a missing one is the stage's to refuse, in its own words
            found[name] = path
    return found


def outside_inputs(stage: str, flags: ExperimentFlags, resolve: Resolve, memory: Path) -> dict[str, str]:
    """Digests that enter the stage's key: of files (`file:split.path`), plugins' versions, the flags of the report."""
    files = named_files(stage, flags, resolve)
    found = {f"file:{name}": _remembered_sha256(path, memory) for name, path in files.items()}
    if stage == "embedding":
        found |= _plugin_versions((flags.embedding.name, *flags.embedding.also))
    if stage == "evaluate":
        found["flags"] = reported_flags_sha256(flags)
    return found


def reported_flags_sha256(flags: ExperimentFlags) -> str:
    """Digest of the flags that the report prints: what the experiment is, not how the node treats it."""
    return sha256_of({group: value for group, value in flags.nested().items() if group not in ("run", "ext")})


def _plugin_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Versions of the representations that a plugin registers: other code is another input."""
    found = {name: find(name) for name in names if name not in EMBEDDERS}
    return {f"plugin:{name}": plugin.version for name, plugin in found.items() if plugin is not None}


def _remembered_sha256(path: Path, memory: Path) -> str:
    facts = path.stat()
    stamp = [str(path), facts.st_ino, facts.st_size, facts.st_mtime_ns]
    memo = memory / "digests" / f"{sha256_of(stamp)}.json"
    if memo.is_file():
        return str(read_json(memo)["sha256"])
    digest = file_sha256(path)
    write_json(memo, {"sha256": digest})
    return digest
