"""Paths of a job's files, as callers name them."""

from pathlib import PurePosixPath

from proteinx_pipelines.errors import PathNotAllowed

_LONGEST = 500
_LONGEST_PART = 200
_DEEPEST = 20


def checked_path(path: str) -> str:
    """Check the path of a job's file.

    Raises:
        PathNotAllowed: it is absolute, leads outside, is hidden, too long, or not in its shortest form.
    """
    pure = PurePosixPath(path)
    is_good = (
        0 < len(path) <= _LONGEST
        and path.isprintable()
        and not pure.is_absolute()
        and pure.as_posix() == path
        and not set('\\:*?"<>|') & set(path)
        and len(pure.parts) <= _DEEPEST
        and not any(part.startswith(".") or len(part) > _LONGEST_PART for part in pure.parts)
    )
    if not is_good:
        shown = path if len(path) <= 100 else f"{path[:97]}..."
        raise PathNotAllowed(
            f"{shown!r} is no path of a job's file: a relative path in its shortest form is expected, such as "
            "`artifacts/report.html`, of at most 500 printable characters, with no part that begins with a dot."
        )
    return path
