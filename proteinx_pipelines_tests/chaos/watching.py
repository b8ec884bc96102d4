"""Records what this process opens, makes, moves, starts and connects to, through Python's own audit hook.

A hook stays until the process ends: one is installed, and it records only inside a watch. Names are looked up in other
threads too: a server that tests before have started in this process may do so at any moment, and is not the watched.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PATHS = {
    "open": 1, "os.listdir": 1, "os.scandir": 1, "os.mkdir": 1, "os.remove": 1, "os.rmdir": 1, "os.truncate": 1,
    "os.chmod": 1,
    "os.chown": 1, "os.utime": 1, "os.rename": 2, "os.link": 2, "os.symlink": 2, "os.chdir": 1, "sqlite3.connect": 1,
}  # fmt: skip
"""Event -> how many of its arguments are paths."""
_NEVER = {
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pickle.find_class",
    "socket.getaddrinfo",
    "urllib.Request", "ctypes.dlopen",
}  # fmt: skip
_watching: list[list[tuple[str, str]]] = []
_hooked = False
_watched_thread = 0


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    elsewhere = event == "socket.getaddrinfo" and threading.get_ident() != _watched_thread
    if event in _NEVER and "127.0.0.1" not in arguments and not elsewhere:
        _watching[-1].append((event, repr(arguments)[:200]))
    for path in arguments[: _PATHS.get(event, 0)]:
        if isinstance(path, str | bytes | os.PathLike):
            _watching[-1].append((event, _absolute(os.fsdecode(path))))


@contextmanager
def touched(*allowed: Path) -> Iterator[list[tuple[str, str]]]:
    """Collect what is touched outside `allowed`; the list is complete when the block has ended.

    Python's own files are always allowed: a module may be imported at any moment.
    """
    global _hooked, _watched_thread
    _watched_thread = threading.get_ident()
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    seen: list[tuple[str, str]] = []
    found: list[tuple[str, str]] = []
    _watching.append(seen)
    try:
        yield found
    finally:
        _watching.remove(seen)
        roots = [str(path.resolve()) for path in (*allowed, *map(Path, (sys.prefix, sys.base_prefix)))]
        found += [
            (event, path)
            for event, path in seen
            if event in _NEVER or not any(path == root or path.startswith(root + os.sep) for root in roots)
        ]


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder: its time of change and its bytes. Links are not followed."""
    return {
        path.relative_to(folder).as_posix(): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if _is_plain(path) else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def _absolute(path: str) -> str:
    """As the system walks it, links resolved; a SQLite address without what is around the path."""
    found = Path(path.removeprefix("file:").split("?")[0])
    try:
        return str(found.resolve())
    except (OSError, RuntimeError, ValueError):
        return str(found)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
