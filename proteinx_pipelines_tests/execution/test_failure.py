"""Failures are classified by their cause, regardless of wrapping."""

import errno
import sqlite3

import pytest

from proteinx_pipelines.errors import CorruptArtifact, EmptySplit, TimedOut
from proteinx_pipelines.execution.failure import failure_code, reported_code
from proteinx_pipelines.ledger.engine import StateError


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("a bug of a stage"), "code_failed"),
        (caused(KeyError("x"), TypeError("None")), "code_failed"),
        (ZeroDivisionError("x"), "code_failed"),
        (caused(ValueError("cannot be read"), OSError(errno.ENOENT, "no such file")), "stage_failed"),
        (RuntimeError("CUDA error: an illegal memory access"), "stage_failed"),
        (ConnectionError("reset"), "stage_failed"),
        (EmptySplit("no test rows"), "empty_split"),
        (TimedOut("too long"), "timeout"),
        (MemoryError(), "out_of_memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            "out_of_memory",
        ),
        (RuntimeError("CUDA error: out of memory"), "out_of_memory"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA"), "out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (sqlite3.OperationalError("database or disk is full"), "disk_full"),
        (OSError(errno.EIO, "Input/output error"), "backend"),
        (sqlite3.OperationalError("database is locked"), "backend"),
        (caused(RuntimeError("PytorchStreamWriter failed"), OSError(errno.ENOSPC, "full")), "disk_full"),
        (
            caused(StateError("cannot be written"), sqlite3.OperationalError("database or disk is full")),
            "disk_full",
        ),
        (caused(CorruptArtifact("damaged"), ValueError("not JSON")), "corrupt_artifact"),
        (FileNotFoundError(errno.ENOENT, "no such file"), "stage_failed"),
    ],
)
def test_an_exception_has_one_code(error: BaseException, code: str) -> None:
    assert failure_code(error) == code


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        ("CorruptArtifact", "damaged", "corrupt_artifact"),
        ("_ArrayMemoryError", "Unable to allocate 7.45 GiB for an array", "out_of_memory"),
        ("ArrowMemoryError", "malloc of size 8589934592 failed", "out_of_memory"),
        ("OSError", "[Errno 28] No space left on device", "disk_full"),
        ("ValueError", "a bug", "code_failed"),
        ("RuntimeError", "a driver", "stage_failed"),
        ("open", "a builtin that is no error", "stage_failed"),
        ("Sequence", "a name of the module that is no error", "stage_failed"),
    ],
)
def test_what_another_process_reports_has_the_same_codes(name: str, message: str, code: str) -> None:
    """An input that did not fit into memory, read between two stages, was a bug of the stage."""
    assert reported_code(name, message) == code


def test_an_exception_that_is_its_own_cause_is_looked_at_once() -> None:
    error = ValueError("round")
    error.__cause__ = error
    assert failure_code(error) == "code_failed"
