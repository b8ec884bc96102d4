"""SHA-256 of files, computed once for each version of a file."""

import threading
from collections import OrderedDict
from pathlib import Path

from proteinx_pipelines.experiment_dir.files import file_sha256

_REMEMBERED = 100_000


class Digests:
    """Remembers digests by path, size, time of change and inode."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int, int, int], str] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path) -> tuple[int, str]:
        """Size and SHA-256 of a file.

        Raises:
            FileNotFoundError: it is gone.
        """
        facts = path.stat()
        key = (str(path), facts.st_size, facts.st_mtime_ns, facts.st_ino)
        with self._lock:
            found = self._known.get(key)
        if found is None:
            found = file_sha256(path)
            with self._lock:
                self._known[key] = found
                while len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return facts.st_size, found


digests = Digests()
"""Those of this process."""
