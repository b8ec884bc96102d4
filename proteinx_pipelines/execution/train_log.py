"""`logs/train.log`: the log of an experiment's stages, one line a record.

While an attempt is open, everything that is logged in its process goes there (stages, Lightning, plugins, a user's own
code), warnings too; while a stage runs, printed text as well. Messages also go to their previous places. Two files of
at most `MAX_BYTES`: an experiment with endless output keeps its newest lines.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from proteinx_pipelines.execution.printed import printed_lines
from proteinx_pipelines.redaction import redact_and_cut

MAX_BYTES = 5_000_000
"""Size in bytes at which a log moves to `train.log.1`, replacing the previous one."""
RECORD_CHARS = 100_000
"""Length of one record that is written: its beginning and, of a trace, its end."""
_APART = ("lightning", "lightning.pytorch", "lightning.fabric")
"""Loggers that may not pass their records to the root logger: Lightning's do not where nothing else listens there."""
_QUIET = (
    "dagster", "celery", "kombu", "amqp", "billiard", "sqlalchemy", "alembic", "grpc", "asyncio", "urllib3",
    "matplotlib", "PIL", "h5py", "fsspec", "numexpr", "torch", "redis", "filelock",
)  # fmt: skip
"""Loggers of which only warnings are written: their information does not concern the experiment."""
_REPEATED = "celery.redirected"  # text printed in a step worker; it is written as printed
_FORMAT = "%(asctime)s %(levelname)s %(stage)s%(name)s: %(message)s"
_WARNINGS = "py.warnings"


class TrainLog:
    """The log of one attempt, until `close`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handler = _LogFile(path)
        self._undo = contextlib.ExitStack()
        self._undo.callback(self._handler.close)
        for name in ("", *_APART):
            self._undo.enter_context(_listening(logging.getLogger(name), self._handler))
        self._undo.enter_context(_warnings_logged(self._handler))

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Attribute records logged in the block to a stage, and log printed text."""
        self._handler.stage = f"{name} "
        try:
            with printed_lines(self._handler.print):
                yield
        finally:
            self._handler.stage = ""

    def close(self) -> None:
        """Detach and close."""
        self._undo.close()


class _LogFile(RotatingFileHandler):
    """The log file. A full disk must not end an experiment because of its log."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", errors="backslashreplace")
        self.stage = ""
        """With a space behind it, or empty between stages."""
        self._is_shown = False
        self.setFormatter(_Formatter(_FORMAT))
        self.addFilter(_is_of_interest)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record once, even when several loggers pass it on."""
        seen = getattr(record, "proteinx_log", None) is self or (self._is_shown and record.name == _WARNINGS)
        if not seen:
            record.proteinx_log = self
            record.stage = self.stage
            super().emit(record)

    def print(self, stream: str, line: str) -> None:
        """Write a printed line."""
        if not self._is_shown:
            self.handle(logging.LogRecord(stream, logging.INFO, "", 0, line, None, None))

    @contextlib.contextmanager
    def shown_elsewhere(self) -> Iterator[None]:
        """Mark text that is written already: printed inside the block, or a warning that Celery logs."""
        self._is_shown = True
        try:
            yield
        finally:
            self._is_shown = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Do nothing: a report on standard error would come back here."""


class _Formatter(logging.Formatter):
    """Formats records of bounded length, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return redact_and_cut(super().format(record), RECORD_CHARS)


def _is_of_interest(record: logging.LogRecord) -> bool:
    if record.name == _REPEATED:
        return False
    return record.levelno >= logging.WARNING or record.name.split(".")[0] not in _QUIET


@contextlib.contextmanager
def _listening(logger: logging.Logger, handler: logging.Handler) -> Iterator[None]:
    """Give a handler a logger's records from INFO on; its other handlers get the same records as before."""
    level, others = logger.level, [(other, other.level) for other in logger.handlers]
    for other, own in others:
        other.setLevel(max(own, level if not logger.name else logging.WARNING))
    if logger.level > logging.INFO or not logger.name:
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        for other, own in others:
            other.setLevel(own)


@contextlib.contextmanager
def _warnings_logged(handler: "_LogFile") -> Iterator[None]:
    """Log warnings besides showing them; warnings that this process has shown before are repeated."""
    before = warnings.showwarning

    def show(
        message: Any, category: type[Warning], filename: str, lineno: int, *rest: Any, **more: Any
    ) -> None:
        text = f"{filename}:{lineno}: {category.__name__}: {message}"
        handler.handle(logging.LogRecord(_WARNINGS, logging.WARNING, filename, lineno, text, None, None))
        with handler.shown_elsewhere():
            before(message, category, filename, lineno, *rest, **more)

    with warnings.catch_warnings():  # entering it makes Python forget what it has shown
        pass
    warnings.showwarning = show
    try:
        yield
    finally:
        if warnings.showwarning is show:
            warnings.showwarning = before
