"""Logging of a process of the node: its level, and its form as text or as lines of JSON.

`PROTEINX_LOG_LEVEL` and `PROTEINX_LOG_FORMAT` say so; the same whether `proteinx up`, a service manager or a person
started the part. The lines go to standard error; the supervisor copies them to files (`part_log`).
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TextIO

from proteinx_pipelines.observation.at_work import at_work
from proteinx_pipelines.redaction import RedactingFormatter, redact
from proteinx_pipelines.settings import Settings

JSON = "json"
_RUN_KEY = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})/[0-9]+/[0-9]+")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """One record as a line of JSON: time (UTC), level, part, logger, message; experiment and trace where there are."""

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
        experiment_id = _of_a_run_key(record) or at_work()
        if experiment_id is not None:
            document["experiment_id"] = experiment_id
        if record.exc_info:
            document["trace"] = redact(self.formatException(record.exc_info))
        return json.dumps(document, ensure_ascii=False)


def _of_a_run_key(record: logging.LogRecord) -> str | None:
    """Experiment of a record whose first argument is a run key (`Generation.run_key`), as those of the parts are."""
    first = record.args[0] if isinstance(record.args, tuple) and record.args else None
    found = _RUN_KEY.fullmatch(first) if isinstance(first, str) else None
    return found[1] if found else None


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
