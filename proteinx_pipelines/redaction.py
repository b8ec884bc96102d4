"""Secrets out of what people and programs get to read: logs, errors, traces, results, failure bundles.

A secret reaches a process through its environment only (`settings`), most often inside a URL. What is hidden: the
password of any URL; what stands behind a name that says so (`password=`, `"api_key": `, `Authorization: `); and the
value of any environment variable whose name says that it is a secret, in every spelling. Every step takes time that
grows with the length of the text, and not faster: texts come from whoever sends messages. Nothing here knows what a
text is about.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TextIO
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from proteinx_pipelines.bounds import bounded
from proteinx_pipelines.visible import visible

HIDDEN = "***"
_STRONG = r"(?:passwords?|passwd|passphrase|passcode|secrets?|credentials?|token)(?![a-z])"
"""Words that say it wherever they stand in a name: `masterPassword`, `client_secret_v2`."""
_WEAK = (
    r"(?<![a-z0-9])(?:pass|pwd|pw|auth|authorization|(?:api|access|private|secret|encryption|signing|ssh|master|"
    r"shared|account|session|service|deploy|webhook|hmac|aes|rsa|license|storage|decryption|cipher|crypto)[_-]?key)"
)
"""Words that say it at the start of a part of a name; `stage_key` and `run_key` are none."""
_NAME = rf"(?:{_STRONG}|{_WEAK})(?:[_-][a-z0-9]{{1,32}}){{0,3}}(?![a-z0-9])"
_PLAIN = r"[^\s&,;'\"<>(){}\[\]]"
_VALUE = rf"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\\?[\"']?{_PLAIN}+)"
_SCHEME = r"(?:(?:bearer|basic|digest|token|apikey)\s{1,8})?"
_NAMED = re.compile(
    rf"(?P<start>{_NAME}\\?[\"']?\s{{0,8}}(?:=>|=|:)\s{{0,8}}{_SCHEME}){_VALUE}", re.IGNORECASE
)
_OPTION = re.compile(
    rf"(?P<start>(?:--?{_NAME}|\brequirepass|\bmasterauth|\bbearer)\s{{1,8}})(?!-){_VALUE}", re.IGNORECASE
)
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_SECRET_VARIABLE = re.compile(
    r"(?:^|[_-])(?:KEYS?|CREDS?|LOGIN|COOKIE)(?:$|[_-])|PASSWORD|SECRET|TOKENS?(?![A-Z])", re.IGNORECASE
)
_URL_END = re.compile(r"[\s'\"<>`]")
_LONGEST_NAME = 256  # characters of a name that are looked at
_SHORTEST = 3  # a secret shorter than this would hide ordinary letters and numbers
_SHORT = 6  # one shorter than this is hidden where it stands by itself, not inside a word
_ADDRESS = re.compile(r"(?:^|_)(?:URL|URI|DSN|ADDRESS|BACKEND|BROKER)$", re.IGNORECASE)
"""Variables that hold an address; its password is a secret, whether or not the address can be read."""
_NO_SECRETS = {"true", "false", "none", "null", "yes", "off", "default"}


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text without secrets.

    Args:
        text: anything that is about to be written or sent.
        environment: where secrets come from; None is this process's.
    """
    text = _NAMED.sub(rf"\g<start>{HIDDEN}", _without_url_passwords(text))
    text = _OPTION.sub(rf"\g<start>{HIDDEN}", text)
    secrets = _secrets(tuple((os.environ if environment is None else environment).items()))
    for secret in secrets.long:
        text = text.replace(secret, HIDDEN)
    return secrets.short.sub(HIDDEN, text) if secrets.short else text


def redact_all(value: Any, environment: Mapping[str, str] | None = None) -> Any:
    """A JSON value with every text and name in it redacted, and hidden where its name says that it is a secret."""
    if isinstance(value, str):
        return redact(value, environment)
    if isinstance(value, Mapping):
        return {
            redact(str(name), environment): HIDDEN
            if is_secret_name(str(name)) and item is not None and not isinstance(item, bool)
            else redact_all(item, environment)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_all(item, environment) for item in value]
    return value


def is_secret_name(name: str) -> bool:
    """Whether the name of a value says that it is a secret, as `db_password` and `apiKey` do."""
    return _SECRET_NAME.search(name[-_LONGEST_NAME:]) is not None


def is_secret_variable(name: str) -> bool:
    """The same of an environment variable; every `..._KEY` is one there."""
    return is_secret_name(name) or _SECRET_VARIABLE.search(name[-_LONGEST_NAME:]) is not None


def scrub(error: BaseException) -> None:
    """Take the secrets out of an exception and its causes, in place, before somebody else writes it down.

    Their texts are cut as well: they are written into logs, databases and results.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.args = tuple(redact(bounded(part)) if isinstance(part, str) else part for part in link.args)
        if isinstance(link, OSError) and link.strerror:  # keeps its text apart from its arguments
            link.strerror = redact(bounded(link.strerror))
        link = link.__cause__ or link.__context__


class RedactingFormatter(logging.Formatter):
    """Formats records, traces included, without secrets, not longer than a person reads, and as letters (`visible`).

    Lines behind the first are indented: what a message brings cannot forge the next record.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return visible(redact(bounded(super().format(record)))).replace("\n", "\n  ")


class RedactingStream:
    """A text stream of a part of the node: hides secrets in what is written, and cuts what is longer than a page.

    A log record is one write. All else is the stream's own.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write without secrets; the number of characters that were asked for."""
        self._stream.write(redact(bounded(text)))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redact_output() -> None:
    """From now on nothing that Python prints or logs in this process shows a secret."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, RedactingStream):
            setattr(sys, name, RedactingStream(stream))


class _Secrets:
    """Secrets of an environment, ready to be looked for."""

    def __init__(self, values: Iterable[str]) -> None:
        spelled = {each for value in values for each in _spellings(value)}
        wanted = {each for each in spelled if len(each) >= _SHORTEST and each.casefold() not in _NO_SECRETS}
        ordered = sorted(wanted, key=len, reverse=True)
        self.long = [each for each in ordered if len(each) >= _SHORT]
        short = "|".join(re.escape(each) for each in ordered if len(each) < _SHORT)
        self.short = re.compile(rf"(?<![A-Za-z0-9])(?:{short})(?![A-Za-z0-9])") if short else None


def _without_url_passwords(text: str) -> str:
    """Hide what stands between the user and the last `@` of every URL: a password may hold `@`, `/` and `#`."""
    first, *parts = text.split("://")
    return "://".join([first, *map(_without_password, parts)])


def _without_password(behind: str) -> str:
    """The same for what stands behind one `://`, up to the next one."""
    found = _password_span(behind)
    return behind if found is None else behind[: found[0]] + HIDDEN + behind[found[1] :]


def _password_span(behind: str) -> tuple[int, int] | None:
    end = _URL_END.search(behind)
    stop = behind.rfind("@", 0, len(behind) if end is None else end.start())
    colon = behind.find(":", 0, max(stop, 0))
    if colon < 0 or behind.find("/", 0, colon) >= 0 or colon + 1 == stop:
        return None
    return colon + 1, stop


@lru_cache(maxsize=16)
def _secrets(environment: tuple[tuple[str, str], ...]) -> _Secrets:
    """Values of secret variables, and what hides inside the values of others."""
    found = set()
    for name, value in environment:
        if is_secret_variable(name):
            found.add(value)
        found.update(_secrets_inside(value, is_address=_ADDRESS.search(name) is not None))
    return _Secrets(found)


def _secrets_inside(value: str, *, is_address: bool) -> Iterable[str]:
    """Passwords of the address in a variable's value (which may hold blanks there), and its named parameters."""
    _, mark, behind = value.partition("://")
    if mark or is_address:
        behind = behind or value
        stop = behind.rfind("@")
        for colon in (behind.find(":", 0, max(stop, 0)), behind.rfind(":", 0, max(stop, 0))):
            if 0 <= colon < stop:
                yield behind[colon + 1 : stop]
    for match in _NAMED.finditer(value):
        yield value[match.end("start") : match.end()].strip("'\"")


def _spellings(secret: str) -> set[str]:
    """A secret as it may be written: as it is, percent-encoded or decoded, and escaped inside quotes."""
    plain = {secret, unquote(secret), unquote_plus(secret)}
    return {
        spelled.strip()
        for each in plain
        for spelled in (each, quote(each), quote(each, safe=""), quote_plus(each), repr(each)[1:-1],
                        json.dumps(each)[1:-1], json.dumps(each, ensure_ascii=False)[1:-1])
    }  # fmt: skip
