"""Logging of a process of the node: its level, and its form as text or as lines of JSON.

`PROTEINX_LOG_LEVEL` and `PROTEINX_LOG_FORMAT` say so; the same whether `proteinx up`, a service manager or a person
started the part. The lines go to standard error; the supervisor copies them to files (`part_log`).
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from proteinx_pipelines.redaction import RedactingFormatter, redact
from proteinx_pipelines.settings import Settings

JSON = "json"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """One record as one line of JSON: time (UTC), level, part, logger, message, and a trace where there is one."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        """One record as text, without secrets."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        document = {
            "time": moment, "level": record.levelname, "part": self._part, "logger": record.name,
            "message": redact(record.getMessage()),
        }  # fmt: skip
        if record.exc_info:
            document["trace"] = redact(self.formatException(record.exc_info))
        return json.dumps(document, ensure_ascii=False)


def begin_logging(settings: Settings, part: str) -> None:
    """Send this process's log to standard error from now on, in the form and from the level of the settings."""
    stream: TextIO = sys.stderr
    handler = logging.StreamHandler(stream)
    as_json = settings.log_format == JSON
    handler.setFormatter(JsonFormatter(part) if as_json else RedactingFormatter(_FORMAT))
    handler.addFilter(_is_shown_by_nobody_else)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    logging.captureWarnings(capture=True)


def _is_shown_by_nobody_else(record: logging.LogRecord) -> bool:
    """True if no logger below the root handles a record: Dagster's do, and also hand the record on."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None and logger.parent is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return False
        logger = logger.parent
    return True
