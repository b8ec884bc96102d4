"""Files that messages may refer to: in the folders of WORKDIR and PROTEINX_DATA_ROOTS, in the store, at the Master.

References of the last two kinds (`fetching.registry`) are recognized here and fetched later, when a stage reads them.
The check uses the path that the operating system will follow, with symbolic links resolved, so that neither `..` nor
a link leads out. Paths typed on the command line are not restricted by this module.
"""

import contextlib
import stat
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Self
from urllib.parse import urlsplit
from urllib.request import url2pathname

from proteinx_pipelines.contract.references import path_scheme_problem, shown_reference
from proteinx_pipelines.errors import PathNotAllowed
from proteinx_pipelines.files.fetching.interface import RemoteFile
from proteinx_pipelines.files.fetching.registry import fetched_files, remote_file
from proteinx_pipelines.settings import Settings

_LONGEST = (
    4096  # characters; a path of 300,000 `../` would need a look-up for each, which takes half a minute
)
_SPECIAL = {
    stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip


class References:
    """The folders of a node that messages may refer to.

    Args:
        workdir: where a relative reference starts.
        data_roots: further folders that may be reached.
        settings: of the node, whose store and Master may be referred to; None for paths alone.
    """

    def __init__(
        self, workdir: Path, data_roots: Sequence[Path] = (), settings: Settings | None = None
    ) -> None:
        self.roots = tuple(root.resolve() for root in (workdir, *data_roots))
        self._settings = settings

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What messages to a node may refer to."""
        return cls(settings.workdir, settings.data_roots, settings)

    def remote(self, reference: str, *, name: str = "reference") -> RemoteFile | None:
        """The file to fetch for a reference; None for a path. Asks no network.

        Raises:
            PathNotAllowed: it is a reference of a kind that is fetched, and none that may be.
        """
        if self._settings is None or len(reference) > _LONGEST:
            return None
        return remote_file(self._settings, reference, shown_reference(name, reference))

    def resolve(self, reference: str, *, name: str = "reference") -> Path:
        """The absolute path of a reference, with links resolved; it need not exist.

        Args:
            reference: a path, absolute or relative to WORKDIR, a `file://` URL, `px://sha256/<digest>`, or an address
                of the store or the Master.
            name: what the reference is called in messages, such as `payload_ref`.

        Raises:
            PathNotAllowed: it is another kind of URL, leads outside the folders, or to a pipe, socket or device; the
                message names them.
        """
        shown = shown_reference(name, reference)
        if len(reference) > _LONGEST:
            raise PathNotAllowed(
                f"{shown} has {len(reference):,} characters; at most {_LONGEST:,} are expected."
            )
        remote = self.remote(reference, name=name)
        if remote is not None and self._settings is not None:
            return fetched_files(self._settings).path(remote.key)
        try:
            path = (self.roots[0] / _as_path(reference, shown)).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # NUL, a name too long, a loop of links
            raise PathNotAllowed(f"{shown} is not a path: {error}.") from error
        if not any(path.is_relative_to(root) for root in self.roots):
            listed = ", ".join(map(str, self.roots))
            raise PathNotAllowed(
                f"{shown} leads outside the folders that messages may refer to: {listed}. Put the file into one of "
                "them, or have the operator add its folder to PROTEINX_DATA_ROOTS."
            )
        refuse_special(path, shown)
        return path


def refuse_special(path: Path, shown: str) -> None:
    """Refuse an existing path that is neither a file nor a folder: reading a pipe or a device may never end.

    Raises:
        PathNotAllowed: it is one; name a file.
    """
    with contextlib.suppress(OSError):
        kind = _SPECIAL.get(stat.S_IFMT(path.stat().st_mode))
        if kind is not None:
            raise PathNotAllowed(f"{shown} is {kind}, not a file; reading it may never end.")


def _as_path(reference: str, shown: str) -> PurePath:
    problem = path_scheme_problem(shown, reference)
    if problem is not None:
        raise PathNotAllowed(problem)
    if not reference.lower().startswith("file:"):
        return Path(reference)
    url = urlsplit(reference)
    if url.netloc not in ("", "localhost") or url.query or url.fragment:
        raise PathNotAllowed(f"{shown} names another machine or more than a path; use file:///path.")
    return Path(url2pathname(url.path))
