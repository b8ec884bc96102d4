"""Secrets out of what people and programs get to read: logs, errors, traces, results, failure bundles.

A secret reaches a process through its environment only (`settings`), most often inside a URL. What is hidden: the
password of any URL, and the value of any environment variable whose name says that it is a secret. Nothing here
knows what a text is about.
"""

import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

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


def scrub(error: BaseException) -> None:
    """Take the secrets out of an exception and its causes, in place, before somebody else writes it down."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.args = tuple(redact(part) if isinstance(part, str) else part for part in link.args)
        if isinstance(link, OSError) and link.strerror:  # keeps its text apart from its arguments
            link.strerror = redact(link.strerror)
        link = link.__cause__ or link.__context__


class RedactingFormatter(logging.Formatter):
    """Formats records, traces included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return redact(super().format(record))


class RedactingStream:
    """A text stream that hides secrets in what is written; a log record is one write. All else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write without secrets; the number of characters that were asked for."""
        self._stream.write(redact(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redact_output() -> None:
    """From now on nothing that Python prints or logs in this process shows a secret."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, RedactingStream):
            setattr(sys, name, RedactingStream(stream))


def _secrets(environment: Mapping[str, str]) -> list[str]:
    """Values of secret variables and passwords inside URLs, longest first."""
    found = {value for name, value in environment.items() if _SECRET_NAME.search(name)}
    for value in environment.values():
        match = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@", value)
        if match:
            found.add(match[1])
    return sorted((secret for secret in found if len(secret) >= _SHORTEST), key=len, reverse=True)
