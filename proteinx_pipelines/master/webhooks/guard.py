"""Addresses that a webhook may reach: public ones, and hosts that the operator allows by name.

A name is looked up once, and the connection goes to the address that was checked: a second look-up might answer
otherwise. Addresses that wrap others (IPv4-mapped, NAT64, 6to4) are judged by what they wrap, or refused.
"""

import contextlib
import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from proteinx_pipelines.errors import InputError

_WRAPPING = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
"""NAT64, local NAT64, 6to4, Teredo: an IPv4 address of any kind may be inside."""


class AddressRefused(InputError):
    """A webhook's address may not be reached; the message says why."""

    code = "address_refused"


def check_url(url: str, allowed_hosts: Sequence[str] = ()) -> tuple[str, int]:
    """Host and port of a webhook's URL, by its text alone.

    Args:
        url: `https://host/...`; http only for an allowed host.
        allowed_hosts: names that the operator allows (PROTEINX_WEBHOOK_HOSTS).

    Raises:
        AddressRefused: it is no such URL, has a password in it, or names an address inside. What a name stands for is
            checked when it is connected to.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # the words of the library hold a part of the address, which may be one of a password
        raise AddressRefused("The address cannot be read; https://host/path is expected.") from None
    if not host or parts.scheme not in ("http", "https"):
        raise AddressRefused("The address is expected as https://host/path.")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("The address has a user name or password in it; put no secrets into an address.")
    if parts.scheme == "http" and host not in allowed_hosts:
        raise AddressRefused(
            "http sends in clear; https is expected, unless the operator names the host "
            f"{host[:100]!r} in PROTEINX_WEBHOOK_HOSTS."
        )
    if host not in allowed_hosts:
        _refuse_inside(host)
    return host, port or (443 if parts.scheme == "https" else 80)


def _refuse_inside(host: str) -> None:
    """Refuse an address that is not public in any spelling of its numbers, and this machine's name."""
    if f".{host.rstrip('.').lower()}".endswith(".localhost"):
        raise _not_public(host, "this machine")
    text = _written_out(host)
    if text is not None and not _is_public(text):
        raise _not_public(host, text)


def _written_out(host: str) -> str | None:
    """The address that a host's text is, in any spelling; None for a name, which is not looked up here."""
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host.split("%")[0]))
    with contextlib.suppress(OSError, ValueError):
        return socket.inet_ntoa(socket.inet_aton(host))  # `0x7f.1`, `2130706433`
    return None


def _not_public(host: str, what: str) -> AddressRefused:
    return AddressRefused(
        f"{host[:100]!r} is {what}, which is not a public address. The operator can allow the host by its "
        "name in PROTEINX_WEBHOOK_HOSTS."
    )


def checked_addresses(host: str, port: int, allowed_hosts: Sequence[str] = ()) -> list[str]:
    """The addresses of a host that may be connected to.

    Raises:
        AddressRefused: one of them is not public, and the operator has not allowed the host.
        OSError: the name cannot be looked up now.
    """
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = sorted({str(each[4][0]).split("%")[0] for each in answers})
    if host in allowed_hosts:
        return found
    for text in found:
        if not _is_public(text):
            raise _not_public(host, text)
    return found


def _is_public(text: str) -> bool:
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in network for network in _WRAPPING):
            return False
        address = address.ipv4_mapped or address
    return address.is_global and not address.is_multicast
