"""Files that flags name: inside WORKDIR or the data roots where a message names them, or fetched by reference."""

from collections.abc import Callable, Mapping
from pathlib import Path

from proteinx_pipelines.errors import MissingFile, PathNotAllowed
from proteinx_pipelines.files.blobs.watching import Watch
from proteinx_pipelines.files.fetching.registry import fetch, remote_file
from proteinx_pipelines.files.references import References, refuse_special
from proteinx_pipelines.settings import Settings


def allowed_path(settings: Settings, name: str, text: str | None, *, confined: bool = True) -> Path | None:
    """The file that a flag names, or None when it names none. A reference that was not fetched yet has no file.

    Raises:
        PathNotAllowed: a message's path leads outside WORKDIR and the data roots (an operator's may), or to a pipe,
            a socket or a device; or a reference is none of those that are fetched.
    """
    if text is None:
        return None
    references = References.of(settings)
    if not confined and references.remote(text, name=name) is None:
        path = Path(text).expanduser().resolve()
        refuse_special(path, f"`{name}` {text!r}")
        return path
    return references.resolve(text, name=name)


def fetched_path(
    settings: Settings, name: str, text: str | None, *, confined: bool = True, watch: Watch | None = None
) -> Path | None:
    """As `allowed_path`; a file behind a reference is fetched if this machine does not have it as it is now.

    Raises:
        PathNotAllowed: as `allowed_path`.
        MissingFile: there is nothing behind the reference.
        BackendError: the store or the Master does not answer; worth another try.
    """
    remote = None if text is None else References.of(settings).remote(text, name=name)
    if remote is None:
        return allowed_path(settings, name, text, confined=confined)
    return fetch(settings, remote, watch)


def every_path(named: Mapping[str, str], resolve: Callable[[str, str], Path | None]) -> tuple[Path, ...]:
    """The files of a flag that names several.

    Args:
        named: place in the flags -> text (`pipeline.stages.paths_of`).
        resolve: (place, text) -> the file, as `allowed_path` or `fetched_path`.

    Raises:
        PathNotAllowed, MissingFile: of each file that is refused, together.
    """
    found, refused = [], []
    for place, text in named.items():
        try:
            found.append(resolve(place, text))
        except (PathNotAllowed, MissingFile) as error:
            refused.append(error)
    if refused:
        raise type(refused[0])(" ".join(map(str, refused))) from refused[0]
    return tuple(path for path in found if path is not None)


def is_fetched(settings: Settings, text: str | None) -> bool:
    """True if a text is a reference to a file that is fetched, not a path."""
    return text is not None and remote_file(settings, text) is not None


def may_change(settings: Settings, text: str | None) -> bool:
    """True if a text is a reference behind which another content may be found tomorrow."""
    remote = None if text is None else remote_file(settings, text)
    return remote is not None and remote.may_change
