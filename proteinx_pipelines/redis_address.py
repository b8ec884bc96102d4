"""Says what is wrong with the address of a Redis, without a part of it.

In an address that cannot be read, the password cannot be told from the rest.
Libraries echo what they fail to read ("Port could not be cast to integer value as '<half of a password>'"), so that
it is checked before any of them sees it.
"""

import re

SCHEMES = ("redis", "rediss", "unix")
EXPECTED = (
    "`redis://[user:password@]host[:port][/database]` is expected (or `rediss://`, `unix://`), with `@ : / # ? [ ] %` "
    "inside a user or password percent-encoded"
)
_SENTINEL = ("sentinel://", "redis+sentinel://", "redis-sentinel://", "rediss+sentinel://")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%A-Za-z]+\]")
_LARGEST_PORT = 65_535


def address_problem(address: str) -> str | None:
    """Why an address of a Redis cannot be used, in words that hold nothing of it; None when it can.

    Args:
        address: as somebody wrote it.
    """
    if address.lower().startswith(_SENTINEL):
        return "it is the address of a Sentinel, which is not supported; name the server itself"
    scheme, mark, rest = address.partition("://")
    if not mark or scheme.lower() not in SCHEMES:
        return "it does not begin with `redis://`, `rediss://` or `unix://`"
    if any(letter.isspace() or not letter.isprintable() for letter in address):
        return "it has a blank or a control character"
    authority, path, beyond = _parts(rest)
    if "@" in path + beyond:
        return "an `@` stands behind a `/`, `?` or `#`: the password holds one of these"
    if scheme.lower() == "unix":
        return None if path else "it names no socket"
    return _authority_problem(authority) or _database_problem(path, beyond)


def has_password(address: str) -> bool:
    """True if it has a user or a password, parseable or not."""
    return "@" in address or "password=" in address.lower()


def _parts(rest: str) -> tuple[str, str, str]:
    """User, password, host and port; the path; query and fragment."""
    end = min((place for mark in "/?#" if (place := rest.find(mark)) >= 0), default=len(rest))
    behind = rest[end:]
    split = min((place for mark in "?#" if (place := behind.find(mark)) >= 0), default=len(behind))
    return rest[:end], behind[:split], behind[split:]


def _authority_problem(authority: str) -> str | None:
    login, _, place = authority.rpartition("@")
    if any(letter in login for letter in "[]"):
        return "its user or password holds a square bracket"
    host, colon, port = place.partition(":")
    if place.startswith("["):  # IPv6
        host, closing, behind = place.partition("]")
        host, colon, port = host + closing, *behind.partition(":")[1:]
        colon = colon or behind  # what stands there without a colon is wrong too
    if not _HOST.fullmatch(host):
        return "it names no host" if not host else "its host is not the name of a machine"
    if colon and not (port.isdecimal() and int(port) <= _LARGEST_PORT):
        return f"its port is not a number up to {_LARGEST_PORT}"
    return None


def _database_problem(path: str, beyond: str) -> str | None:
    if beyond.startswith("#") or "#" in beyond:
        return "it has a `#`"
    if not re.fullmatch(r"/?[0-9]{0,4}", path):
        return "what stands behind its `/` is not the number of a database"
    database = re.search(r"[?&]db=([^&]*)", beyond)
    if database and not re.fullmatch(r"[0-9]{1,4}", database[1]):
        return "its `db` is not the number of a database"
    return None
