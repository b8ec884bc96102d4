"""Checkpoint files: written atomically, verified before reading, without code.

Lightning stages the file in the system's temporary folder, copies it across file systems and does not sync. Here the
file appears by a rename in its own folder, after its digest is in `manifest.json`; the digest of the file it replaces
stays there too, so that a crash at any moment leaves a file whose digest is recorded.
"""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.experiment_dir.files import file_sha256, read_json, write_atomic, write_json
from proteinx_pipelines.stages.train.resume import LAST_CHECKPOINT

MANIFEST_FILE = "manifest.json"
_log = logging.getLogger(__name__)


class AtomicCheckpointIO(CheckpointIO):
    """Lightning plugin that writes, reads and removes checkpoint files."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint durably; a reader sees the old file or the new one."""
        if storage_options is not None:
            raise TypeError(f"storage_options {storage_options!r}: a local folder has none; leave them out.")
        target = Path(path)

        def save(partial: Path) -> None:
            with partial.open("wb") as stream:
                torch.save(checkpoint, stream)
            _record(target, file_sha256(partial), int(checkpoint.get("global_step", 0)))

        write_atomic(target, save)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint whose bytes are the recorded ones.

        `last.ckpt` stands for the newest: if it is damaged, the newest intact one beside it is read. Any other name
        means that file only. A file without a manifest (copied from elsewhere) has no digest to check.

        Raises:
            CorruptArtifact: no checkpoint there can be read; name another, or train from the beginning.
        """
        if weights_only is False:
            raise ValueError("weights_only=False would run code from the file; leave it out.")
        wanted = Path(path)
        candidates = [wanted, *_others(wanted)] if wanted.name == LAST_CHECKPOINT else [wanted]
        problems = []
        for candidate in candidates:
            try:
                checkpoint = _read(candidate, map_location)
            except CorruptArtifact as error:
                problems.append(str(error))
                continue
            if problems:
                _log.warning("Continuing from %s instead: %s", candidate, "; ".join(problems))
            return checkpoint
        raise CorruptArtifact(
            f"{'; '.join(problems)}. Name another checkpoint, or leave `train.ckpt_path` out to train anew."
        )

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint and its entry."""
        target = Path(path)
        target.unlink(missing_ok=True)
        manifest = _manifest(target.parent)
        if manifest.pop(target.name, None):
            write_json(target.parent / MANIFEST_FILE, manifest)


def stored_weights(checkpoint: Mapping[str, Any], path: Path) -> Mapping[str, torch.Tensor]:
    """Weights in a checkpoint, by name.

    Raises:
        CorruptArtifact: its `state_dict` holds something else; name another checkpoint.
    """
    found = checkpoint.get("state_dict")
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise CorruptArtifact(
            f"{path} is not a checkpoint written by a training: its `state_dict` is not weights by name"
        )
    return found


def _record(target: Path, sha256: str, step: int) -> None:
    """Record the digest of a file about to appear, ahead of the one it replaces."""
    manifest = _manifest(target.parent)
    known = [entry for entry in manifest.get(target.name, []) if entry["sha256"] != sha256]
    manifest[target.name] = [{"sha256": sha256, "step": step}, *known[:1]]
    write_json(target.parent / MANIFEST_FILE, manifest)


def _manifest(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """File name -> allowed digests; empty if there is no readable manifest."""
    try:
        found = read_json(folder / MANIFEST_FILE)
        return {str(name): list(entries) for name, entries in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _others(wanted: Path) -> list[Path]:
    """The other recorded checkpoints of the folder, newest first."""
    manifest = _manifest(wanted.parent)
    names = [name for name in manifest if name != wanted.name and (wanted.parent / name).is_file()]
    return [wanted.parent / name for name in sorted(names, key=lambda name: -manifest[name][0]["step"])]


def _read(path: Path, map_location: Any) -> dict[str, Any]:
    if not path.is_file():
        raise CorruptArtifact(f"{path} is not there")
    entries = _manifest(path.parent).get(path.name, [])
    content = path.read_bytes()
    if entries and hashlib.sha256(content).hexdigest() not in {entry["sha256"] for entry in entries}:
        raise CorruptArtifact(f"{path} has other bytes than {MANIFEST_FILE} records")
    try:
        checkpoint = torch.load(path, map_location=map_location or "cpu", weights_only=True)
    except Exception as error:  # torch raises anything from EOFError to RuntimeError here
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise CorruptArtifact(f"{path} is not a checkpoint of tensors and plain values ({reason})") from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise CorruptArtifact(f"{path} is not a checkpoint written by a training")
    return checkpoint
