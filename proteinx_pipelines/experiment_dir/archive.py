"""Packs an experiment directory into one `.tar` file and unpacks it: a manifest, its digest, then every listed file.

The manifest carries size and SHA-256 of each file and, in a document supplied by the caller, further records of the
experiment. Archive contents are not trusted: a member that is not listed, not a plain file, or differs in its bytes
is refused before the first file is put in place.
"""

import errno
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.experiment_dir.files import file_sha256, json_ready, write_atomic
from proteinx_pipelines.experiment_dir.layout import ExperimentDir, check_file_name
from proteinx_pipelines.experiment_id import experiment_id_problem

FORMAT = 1
MANIFEST, MANIFEST_DIGEST = "manifest.json", "manifest.sha256"
_FOLDER = "experiment/"
_BLOCK = 1 << 20
_MAX_MANIFEST_BYTES = 1 << 28

_UNREADABLE = (
    tarfile.TarError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    RecursionError,
    OverflowError,
)
"""Exceptions raised when an invalid manifest is read."""
_OF_NAMES = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}

Manifest = Mapping[str, Any]


def pack(directory: ExperimentDir, target: Path, **more: Any) -> Path:
    """Write the directory's files to `target`, atomically.

    Args:
        directory: an experiment that nobody writes to.
        target: the `.tar` file; replaced if it is there.
        **more: what else the manifest carries, JSON types.
    """
    files = {
        path.relative_to(directory.root).as_posix(): {
            "size": path.stat().st_size,
            "sha256": file_sha256(path),
        }
        for path in sorted(directory.root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
    manifest = {
        "format": FORMAT, "experiment_id": directory.experiment_id, "archived_at": timestamp(), "files": files, **more,
    }  # fmt: skip

    def write(partial: Path) -> None:
        with tarfile.open(partial, "w") as tar:
            content = json.dumps(json_ready(manifest), ensure_ascii=False).encode("utf-8")
            digest = hashlib.sha256(content).hexdigest().encode("ascii")
            for name, data in ((MANIFEST, content), (MANIFEST_DIGEST, digest)):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            for name in files:
                tar.add(directory.path(name), arcname=_FOLDER + name, recursive=False)

    return write_atomic(target, write)


def read_manifest(path: Path) -> Manifest:
    """Read an archive's manifest; its files are not read.

    Raises:
        CorruptArtifact: it is not an archive of an experiment, or its beginning is damaged.
    """
    with _opened(path) as tar:
        return _manifest(path, tar)


def unpack(path: Path, folder: Path) -> Manifest:
    """Check every byte of an archive while writing its files below `folder`, which must be new.

    Raises:
        CorruptArtifact: the archive is damaged; what was written so far stays below `folder` for the caller to remove.
    """
    with _opened(path) as tar:
        manifest = _manifest(path, tar)
        missing = set(manifest["files"])
        for member in _members(path, tar):
            name = member.name.removeprefix(_FOLDER)
            if name not in missing or not member.isfile() or not member.name.startswith(_FOLDER):
                raise _damaged(path, f"it has a member {member.name!r} that its manifest does not list")
            with _named(path, member):
                _extract(path, tar, member, folder / name, manifest["files"][name])
            missing.discard(name)
    if missing:
        raise _damaged(path, f"{len(missing)} listed files are not in it, such as {min(missing)!r}")
    return manifest


def _opened(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:")
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise _damaged(path, str(error)) from error


def _members(path: Path, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    try:
        yield from list(tar)[2:]
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError) as error:
        raise _damaged(path, str(error)) from error


def _manifest(path: Path, tar: tarfile.TarFile) -> Manifest:
    try:
        content, digest = (_next(tar, name) for name in (MANIFEST, MANIFEST_DIGEST))
        if hashlib.sha256(content).hexdigest().encode("ascii") != digest:
            raise ValueError(f"{MANIFEST} has other bytes than were written")
        found = json.loads(content)
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']!r}, {FORMAT} is expected")
        if problem := experiment_id_problem(found["experiment_id"]):
            raise ValueError(problem)
        for name, fact in found["files"].items():
            check_file_name(name)
            int(fact["size"]), str(fact["sha256"])
    except (
        tarfile.TarError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        RecursionError,
        OverflowError,
    ) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    assert isinstance(found, dict)
    return found


def _next(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.next()
    stream = tar.extractfile(member) if member is not None and member.isfile() else None
    if member is None or stream is None or member.name != name or member.size > _MAX_MANIFEST_BYTES:
        raise ValueError(f"it does not begin with {MANIFEST} and {MANIFEST_DIGEST}")
    return stream.read()


@contextmanager
def _named(path: Path, member: tarfile.TarInfo) -> Iterator[None]:
    """Treat a name that no folder can hold as damage of the archive; a full disk is not."""
    try:
        yield
    except (ValueError, tarfile.TarError, EOFError) as error:
        raise _damaged(path, f"its member {member.name[:200]!r} cannot be read: {error}") from error
    except OSError as error:
        if error.errno not in _OF_NAMES:
            raise
        raise _damaged(
            path, f"its member {member.name[:200]!r} cannot be written: {error.strerror}"
        ) from error


def _extract(
    path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, fact: Mapping[str, Any]
) -> None:
    digest, size = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None
    with target.open("xb") as stream:
        while block := source.read(_BLOCK):
            digest.update(block)
            size += len(block)
            stream.write(block)
    if size != fact["size"] or digest.hexdigest() != fact["sha256"]:
        raise _damaged(path, f"{member.name} has other bytes than were archived")


def _damaged(path: Path, found: str) -> CorruptArtifact:
    return CorruptArtifact(
        f"{path} cannot be restored: {found}. Nothing was changed; use another copy of it."
    )
