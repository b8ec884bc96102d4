"""Classifies exceptions: gives the code that the result carries and that decides about retries.

Our own exceptions carry their code. Others are classified by type through all of their causes, because a library
wraps the system's errors: a full disk inside `torch.save` arrives as a RuntimeError. An exception whose type means that
code met a value it cannot take (`code_failed`) recurs with the same flags and data; one that may come from outside the
code (`stage_failed`) may not recur.
"""

import builtins
import errno
import re
from collections.abc import Iterator

from proteinx_pipelines import errors
from proteinx_pipelines.errors import ProteinxError

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_BROKEN = {
    errno.EIO,
    errno.EROFS,
    errno.ENFILE,
    errno.EMFILE,
    errno.ESTALE if hasattr(errno, "ESTALE") else errno.EIO,
}
_OF_CODE = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NameError, NotImplementedError, RecursionError,
    SyntaxError, TypeError, ValueError,
)  # fmt: skip
"""Exceptions that depend on code and values alone."""
_MEMORY_WORDS = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|std::bad_alloc", re.IGNORECASE
)
_DISK_WORDS = re.compile(
    r"no space left on device|disk quota exceeded|database or disk is full", re.IGNORECASE
)


def failure_code(error: BaseException) -> str:
    """Code of a failure: ours, `out_of_memory`, `disk_full`, `backend`, `code_failed` or `stage_failed`."""
    links = list(_chain(error))
    codes = [link.code if isinstance(link, ProteinxError) else _system_code(link) for link in links]
    if (
        "disk_full" in codes
    ):  # first, as it causes other errors: a state.db that cannot be written, a damaged file
        return "disk_full"
    told = next((code for code in codes if code is not None), None)
    return told or ("code_failed" if all(isinstance(link, _OF_CODE) for link in links) else "stage_failed")


def reported_code(name: str, message: str) -> str:
    """Code of a failure of which only the class name and the message are left."""
    known = getattr(errors, name, None)
    if isinstance(known, type) and issubclass(known, ProteinxError):
        return known.code
    kind = getattr(builtins, name, None)
    of_code = isinstance(kind, type) and issubclass(kind, _OF_CODE)
    return _code_in_words(name, message) or ("code_failed" if of_code else "stage_failed")


def _system_code(error: BaseException) -> str | None:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError):
        return "out_of_memory"
    if number in _FULL:
        return "disk_full"
    return _code_in_words(type(error).__name__, str(error)) or ("backend" if number in _BROKEN else None)


def _code_in_words(name: str, message: str) -> str | None:
    if name.endswith("MemoryError") or _MEMORY_WORDS.search(
        message
    ):  # torch, numpy and Arrow have their own classes
        return "out_of_memory"
    if _DISK_WORDS.search(message):
        return "disk_full"
    return "backend" if "database is locked" in message else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes, the outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
