"""Code behind a computation: versions and commits of the package and of plugins, and its container.

Collected once per process: the running code does not change.
"""

import copy
import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import proteinx_pipelines
from proteinx_pipelines.plugins import plugin_modules

DISTRIBUTION = "proteinx-infra"
IMAGE_VARIABLE = "PROTEINX_CONTAINER_IMAGE"
"""Environment variable in which the starter of a container may name its image; nothing inside knows it."""
_GIT_S = 5.0
_MARKERS = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}


def code_facts() -> dict[str, Any]:
    """Plain JSON: `version`, `commit`, `is_changed`, `plugins` (by name, the same of each), `container`.

    `commit` is null where the code is in no git checkout and was not installed from one; `is_changed` says whether a
    checkout has changes that are in no commit.
    """
    return copy.deepcopy(_facts())  # a copy: the caller may add to it


@functools.cache
def _facts() -> dict[str, Any]:
    folder = Path(proteinx_pipelines.__file__).parent
    return {
        **_code(DISTRIBUTION, folder),
        "plugins": {
            name: _plugin(module, owner) for name, (module, owner) in sorted(plugin_modules().items())
        },
        "container": container(os.environ),
    }


def _plugin(module: str, distribution: str | None) -> dict[str, Any]:
    file = getattr(sys.modules.get(module), "__file__", None)
    return {"module": module, **_code(distribution, Path(file).parent if file else None)}


def _code(distribution: str | None, folder: Path | None) -> dict[str, Any]:
    """Version and commit of a distribution, or of a folder of code."""
    version = installed_commit = None
    if distribution is not None:
        try:
            found = metadata.distribution(distribution)
            version, installed_commit = found.version, _installed_commit(found)
        except metadata.PackageNotFoundError:
            pass  # a source tree that was never installed
    commit, is_changed = _checkout(folder) if folder is not None else (None, None)
    return {"version": version, "commit": commit or installed_commit, "is_changed": is_changed}


def _installed_commit(found: metadata.Distribution) -> str | None:
    """The commit that pip installed from, where it did (PEP 610)."""
    try:
        document = json.loads(found.read_text("direct_url.json") or "{}")
        return str(document["vcs_info"]["commit_id"])
    except (ValueError, KeyError, TypeError):
        return None


def _checkout(folder: Path) -> tuple[str | None, bool | None]:
    """Commit of the git checkout that a folder belongs to, and a mark if code below the folder differs from it."""
    if shutil.which("git") is None or not any((each / ".git").exists() for each in (folder, *folder.parents)):
        return None, None
    commit = _git(folder, "rev-parse", "HEAD")
    # A folder that git ignores lies in a checkout of something else, such as an environment inside of a project.
    if commit is None or not _git(folder, "ls-files", "--", "."):
        return None, None
    changes = _git(folder, "status", "--porcelain", "--", ".")
    return commit, None if changes is None else bool(changes)


def _git(folder: Path, *words: str) -> str | None:
    safe = (
        "-c",
        "safe.directory=*",
        "-c",
        "core.fsmonitor=false",
    )  # a mounted checkout may be another user's
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        found = subprocess.run(  # noqa: S603  # no shell; our words
            [str(shutil.which("git")), *safe, "-C", str(folder), *words], env=environment,
            capture_output=True, text=True, timeout=_GIT_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def container(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """`kind` and `image` of the container around this process; None outside a container, null image where unknown."""
    image = environment.get(IMAGE_VARIABLE)
    for variable in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"):
        if environment.get(variable):
            return {"kind": "apptainer", "image": image or environment[variable]}
    for path, kind in _MARKERS.items():
        if Path(path).exists():
            return {"kind": kind, "image": image or _named_image(Path(path))}
    if environment.get("KUBERNETES_SERVICE_HOST"):
        return {"kind": "kubernetes", "image": image}
    return {"kind": "unknown", "image": image} if image else None


def _named_image(path: Path) -> str | None:
    """Image name as written by Podman: `image="registry/name:tag"`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    found = [line.partition("=")[2].strip().strip('"') for line in lines if line.startswith("image=")]
    return found[0] if found and found[0] else None


def in_words(code: Mapping[str, Any]) -> str:
    """Code facts for a person: `0.1.0, commit 1a2b3c4d5e6f (changed since); docker image lab/node:7`."""
    if not code:
        return ""
    told = [_words(code)]
    told += [
        f"plugin {found.get('module', name)} {_words(found)}"
        for name, found in code.get("plugins", {}).items()
    ]
    inside = code.get("container")
    if inside:
        told.append(
            f"{inside['kind']} image {inside['image']}" if inside.get("image") else f"in {inside['kind']}"
        )
    return "; ".join(told)


def _words(code: Mapping[str, Any]) -> str:
    commit = f"commit {str(code['commit'])[:12]}" if code.get("commit") else "no commit known"
    changed = " (changed since)" if code.get("is_changed") else ""
    return ", ".join(filter(None, (code.get("version"), commit + changed)))
