"""Says what is wrong with the address of a Master, without a part of it, and shows one without its secrets.

In an address that cannot be read, the password cannot be told from the rest. Libraries echo what they fail to read
("Invalid port: '<half of a password>'"), so that it is checked before any of them sees it.
"""

import ipaddress
import re
from urllib.parse import urlsplit

EXPECTED = "`http://host:port` or `https://host` is expected"
_LARGEST_PORT = 65_535
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_LOGIN = re.compile(r"(?<=://)[^/?#]*@")


def http_problem(address: str) -> str | None:
    """Why an address of a Master cannot be used, in words that hold nothing of it; None when it can.

    Args:
        address: as somebody wrote it.
    """
    scheme, mark, rest = address.partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        return "it does not begin with `http://` or `https://`"
    if any(letter.isspace() or not letter.isprintable() for letter in address):
        return "it has a blank or a control character"
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in rest[len(authority) :]:
        return "an `@` stands behind a `/`, `?` or `#`: a password may hold one of these"
    return _place_problem(authority.rpartition("@")[2])


def has_login(address: str) -> bool:
    """True if it has a user or a password, parseable or not."""
    return "@" in address


def shown(address: str) -> str:
    """The address without user and password: either may be a token. What stands behind `?` is left out too."""
    parts = urlsplit(_LOGIN.sub("", address))
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _place_problem(place: str) -> str | None:
    host, colon, port = place.partition(":")
    if place.startswith("["):
        inside, closing, behind = place.removeprefix("[").partition("]")
        if not closing or not _is_ipv6(inside) or (behind and not behind.startswith(":")):
            return "its host is not the name of a machine"
        host, colon, port = "ipv6", behind[:1], behind[1:]
    if not _HOST.fullmatch(host):
        return "it names no host" if not host else "its host is not the name of a machine"
    if colon and port and not (port.isascii() and port.isdecimal() and int(port[:6]) <= _LARGEST_PORT):
        return f"its port is not a number up to {_LARGEST_PORT}"
    return None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text
