"""Secrets out of what people and programs get to read: logs, errors, traces, results, failure bundles.

A secret reaches a process through its environment only (`settings`), most often inside a URL. What is hidden: the
password of any URL, and the value of any environment variable whose name says that it is a secret. Nothing here
knows what a text is about.
"""

import logging
import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
_URL_PASSWORD = re.compile(r"(?P<start>[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@'\"]*:)[^\s/@'\"]+(?=@)")
_PARAMETER = re.compile(r"(?i)(?P<start>[?&](?:password|passwd|token|secret|signature|api_?key)=)[^\s&'\"]+")
_SECRET_NAME = re.compile(r"(?i)(password|passwd|secret|token|credential|api_?key|private_?key|access_?key)")
_SHORTEST = 6  # a secret shorter than this would hide ordinary words


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text without secrets.

    Args:
        text: anything that is about to be written or sent.
        environment: where secrets come from; None is this process's.
    """
    text = _PARAMETER.sub(rf"\g<start>{HIDDEN}", _URL_PASSWORD.sub(rf"\g<start>{HIDDEN}", text))
    for secret in _secrets(os.environ if environment is None else environment):
        text = text.replace(secret, HIDDEN)
    return text


def redact_all(value: Any, environment: Mapping[str, str] | None = None) -> Any:
    """A JSON value with every text in it redacted, and hidden where its key says that it is a secret."""
    if isinstance(value, str):
        return redact(value, environment)
    if isinstance(value, Mapping):
        return {
            key: HIDDEN
            if isinstance(item, str) and _SECRET_NAME.search(str(key))
            else redact_all(item, environment)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_all(item, environment) for item in value]
    return value


class RedactingFormatter(logging.Formatter):
    """Formats as another formatter does, traces included, and takes the secrets out."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter(logging.BASIC_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return redact(self._inner.format(record))


def redact_logs() -> None:
    """Let every handler of every logger of this process write without secrets; once more finds later handlers."""
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        if not isinstance(handler.formatter, RedactingFormatter):
            handler.setFormatter(RedactingFormatter(handler.formatter))


def _secrets(environment: Mapping[str, str]) -> list[str]:
    """Values of secret variables and passwords inside URLs, longest first."""
    found = {value for name, value in environment.items() if _SECRET_NAME.search(name)}
    for value in environment.values():
        match = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@", value)
        if match:
            found.add(match[1])
    return sorted((secret for secret in found if len(secret) >= _SHORTEST), key=len, reverse=True)
