"""`logs/train.log`: what the stages and Lightning log while an attempt is open, one line a record."""

import logging
from pathlib import Path

from proteinx_pipelines.redaction import RedactingFormatter

_LOGGERS = ("proteinx_pipelines", "lightning", "lightning.pytorch", "lightning.fabric", "py.warnings")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class TrainLog:
    """Attached to the loggers above until `close`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handler = logging.FileHandler(path, encoding="utf-8")
        self._handler.setFormatter(RedactingFormatter(_FORMAT))
        self._levels = {}
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            self._levels[name] = logger.level
            logger.setLevel(logging.INFO)
            logger.addHandler(self._handler)

    def close(self) -> None:
        """Detach and close."""
        for name, level in self._levels.items():
            logger = logging.getLogger(name)
            logger.removeHandler(self._handler)
            logger.setLevel(level)
        self._handler.close()
