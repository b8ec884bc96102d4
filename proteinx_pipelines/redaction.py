"""Removes secrets from logs, errors, traces, results and failure bundles.

A secret reaches a process through its environment only (`settings`), most often inside a URL. Hidden are: the
password of any URL; the value after a telling name (`password=`, `"api_key": `, `Authorization: `); and the value of
any environment variable with a telling name, in every spelling. Texts may come from any sender of messages, so every
step takes time at most linear in their length. The module does not depend on a text's subject.
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

from proteinx_pipelines.bounds import LONGEST_TEXT, bounded, left_out
from proteinx_pipelines.visible import visible

HIDDEN = "***"
_STRONG = r"(?:passwords?|passwd|passphrase|passcode|secrets?|credentials?|token)(?![a-z])"
"""Words that mark a name as secret anywhere in it: `masterPassword`, `client_secret_v2`."""
_WEAK = (
    r"(?<![a-z0-9])(?:pass|pwd|pw|auth|authorization|(?:api|access|private|secret|encryption|signing|ssh|master|"
    r"shared|account|session|service|deploy|webhook|hmac|aes|rsa|license|storage|decryption|cipher|crypto)[_-]?key)"
)
"""Words that mark a name as secret at the start of one of its parts; `stage_key` and `run_key` are not secret."""
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
_SHAPED = re.compile(
    r"(?<![A-Za-z0-9_-])(?:px_[A-Za-z0-9_-]{40,255}|whsec_[A-Za-z0-9+/=]{20,255}|(?:gh[opsu]|hf)_[A-Za-z0-9]{30,255}|"
    r"github_pat_[A-Za-z0-9_]{30,255}|glpat-[A-Za-z0-9_-]{20,255}|xox[abp]-[A-Za-z0-9-]{20,255}|A[KS]IA[A-Z0-9]{16})"
    r"(?![A-Za-z0-9])"
)
"""Tokens that are known by their beginning: our own, and those of common services."""
_SIGNED = re.compile(r"(?P<start>[?&](?:x-(?:amz|goog)-)?(?:signature|sig)=)[^&\s'\"<>]+", re.IGNORECASE)
"""Signatures in addresses that anybody may use who has them."""
_COOKIES = re.compile(r"(?P<start>\b(?:set-)?cookie\\?[\"']?\s{0,8}:\s{0,8})[^\r\n]+", re.IGNORECASE)
_PRIVATE_KEY = re.compile(r"(?P<start>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)(?:[^-]|-(?!----))*")
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_SECRET_VARIABLE = re.compile(
    r"(?:^|[_-])(?:KEYS?|CREDS?|LOGIN|COOKIE)(?:$|[_-])|PASSWORD|SECRET|TOKENS?(?![A-Z])", re.IGNORECASE
)
_FOLDERS = ("PWD", "OLDPWD")
"""The shell's folders, not passwords: every path below them would be hidden."""
_URL_END = re.compile(r"[\s'\"<>`]")
_LONGEST_NAME = 256  # characters of a name that are examined
_MARGIN = 65_536
"""Characters behind a cut that are searched too; the half that is next to the end of the search is not shown."""
_SHORTEST = 3  # a shorter secret would hide ordinary letters and numbers
_SHORT = 6  # a shorter secret is hidden only as a whole word
_ADDRESS = re.compile(r"(?:^|_)(?:URL|URI|DSN|ADDRESS|BACKEND|BROKER)$", re.IGNORECASE)
"""Variables that hold an address; its password is a secret, even if the address cannot be parsed."""
_NO_SECRETS = {"true", "false", "none", "null", "yes", "off", "default"}


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Remove secrets from a text.

    Args:
        text: anything that is about to be written or sent.
        environment: where secrets come from; None is this process's.
    """
    text = _NAMED.sub(rf"\g<start>{HIDDEN}", _without_url_passwords(text))
    for pattern in (_OPTION, _SIGNED, _COOKIES, _PRIVATE_KEY):
        text = pattern.sub(rf"\g<start>{HIDDEN}", text)
    text = _SHAPED.sub(HIDDEN, text)
    secrets = _secrets(tuple((os.environ if environment is None else environment).items()))
    for secret in secrets.long:
        text = text.replace(secret, HIDDEN)
    return secrets.short.sub(HIDDEN, text) if secrets.short else text


def redact_and_cut(text: str, most: int = LONGEST_TEXT, environment: Mapping[str, str] | None = None) -> str:
    """Remove secrets from a text of any length, and its middle if it is too long.

    Secrets are removed first: of one that lay across the cut, half would stay. Of a text without end only what is
    shown is searched, with a margin in which a secret of up to 32,768 characters that begins before the cut ends.

    Args:
        text: anything that is about to be written or sent.
        most: about so many characters are kept, a quarter of them at the start.
        environment: as for `redact`.
    """
    if len(text) <= most + 2 * _MARGIN:
        return bounded(redact(text, environment), most)
    first = most // 4
    start = redact(text[: first + _MARGIN], environment)[: -_MARGIN // 2][:first]
    end = redact(text[first - most - _MARGIN :], environment)[_MARGIN // 2 :][first - most :]
    return start + left_out(len(text) - most) + end


def redact_all(value: Any, environment: Mapping[str, str] | None = None) -> Any:
    """Redact all texts and names in a JSON value; values with a telling name are hidden."""
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
    """True if a value's name marks it as secret, as `db_password` and `apiKey` do."""
    return _SECRET_NAME.search(name[-_LONGEST_NAME:]) is not None


def is_secret_variable(name: str) -> bool:
    """True if an environment variable's name marks it as secret; this includes every `..._KEY`."""
    if name in _FOLDERS:
        return False
    return is_secret_name(name) or _SECRET_VARIABLE.search(name[-_LONGEST_NAME:]) is not None


def scrub(error: BaseException) -> None:
    """Remove secrets from an exception and its causes, in place, before it is written elsewhere.

    Their texts are cut too, since they are written to logs, databases and results.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.args = tuple(redact_and_cut(part) if isinstance(part, str) else part for part in link.args)
        if isinstance(link, OSError) and link.strerror:  # keeps its text apart from its arguments
            link.strerror = redact_and_cut(link.strerror)
        link = link.__cause__ or link.__context__


class RedactingFormatter(logging.Formatter):
    """Formats log records and traces without secrets, with bounded length and visible characters (`visible`).

    Continuation lines are indented, so that text from a message cannot forge the next record.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return visible(redact_and_cut(super().format(record))).replace("\n", "\n  ")


class RedactingStream:
    """Text stream of a node process: hides secrets in each write and cuts overlong writes.

    A log record is one write. All other attributes are those of the wrapped stream.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write without secrets; returns the number of characters requested."""
        self._stream.write(redact_and_cut(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redact_output() -> None:
    """Redact everything that Python prints or logs in this process from now on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, RedactingStream):
            setattr(sys, name, RedactingStream(stream))


class _Secrets:
    """Secrets of an environment, prepared for searching."""

    def __init__(self, values: Iterable[str]) -> None:
        spelled = {each for value in values for each in _spellings(value)}
        wanted = {each for each in spelled if len(each) >= _SHORTEST and each.casefold() not in _NO_SECRETS}
        ordered = sorted(wanted, key=len, reverse=True)
        self.long = [each for each in ordered if len(each) >= _SHORT]
        short = "|".join(re.escape(each) for each in ordered if len(each) < _SHORT)
        self.short = re.compile(rf"(?<![A-Za-z0-9])(?:{short})(?![A-Za-z0-9])") if short else None


def _without_url_passwords(text: str) -> str:
    """Hide the text between the user and the last `@` of every URL: a password may contain `@`, `/` and `#`."""
    first, *parts = text.split("://")
    schemes = [first, *parts]
    hidden = (_without_password(part, schemes[place][-5:]) for place, part in enumerate(parts))
    return "://".join([first, *hidden])


def _without_password(behind: str, scheme: str) -> str:
    """Do the same for the text after one `://`, up to the next one; `scheme` is the end of the text before it."""
    found = _password_span(behind, is_web=scheme.lower().endswith(("http", "https")))
    return behind if found is None else behind[: found[0]] + HIDDEN + behind[found[1] :]


def _password_span(behind: str, *, is_web: bool) -> tuple[int, int] | None:
    end = _URL_END.search(behind)
    stop = behind.rfind("@", 0, len(behind) if end is None else end.start())
    colon = behind.find(":", 0, max(stop, 0))
    slash = behind.find("/", 0, max(stop, 0))
    if colon < 0 and slash < 0 and stop > 0 and is_web:
        return 0, stop  # a token in the place of the user: `https://TOKEN@host`
    if colon < 0 or 0 <= slash < colon or colon + 1 == stop:
        return None
    return colon + 1, stop


@lru_cache(maxsize=16)
def _secrets(environment: tuple[tuple[str, str], ...]) -> _Secrets:
    """Values of secret variables, and secrets inside the values of other variables."""
    found = set()
    for name, value in environment:
        if is_secret_variable(name):
            found.add(value)
        found.update(_secrets_inside(value, is_address=_ADDRESS.search(name) is not None))
    return _Secrets(found)


def _secrets_inside(value: str, *, is_address: bool) -> Iterable[str]:
    """Passwords in a variable's address (which may contain blanks there), and its named parameters."""
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
    """Spellings of a secret: unchanged, percent-encoded or decoded, and escaped inside quotes."""
    plain = {secret, unquote(secret), unquote_plus(secret)}
    return {
        spelled.strip()
        for each in plain
        for spelled in (each, quote(each), quote(each, safe=""), quote_plus(each), repr(each)[1:-1],
                        json.dumps(each)[1:-1], json.dumps(each, ensure_ascii=False)[1:-1])
    }  # fmt: skip
