"""Finds the address a request came from, behind known proxies. Never believes what a stranger could write."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, cast

from starlette.types import Scope

UNKNOWN: Final = "unknown"
HOPS_MAX: Final = 32
"""Hops that are looked at; no real chain is longer, and each one costs a parse."""

IPV6_SUBSCRIBER_BITS: Final = 64
"""One IPv6 customer has at least a /64, so that is what counts as one address."""


class ClientAddresses:
    """Reads a request's client address. `trusted_proxies` are CIDRs; a bad one raises ValueError."""

    def __init__(self, trusted_proxies: Sequence[str] = ()) -> None:
        try:
            self._trusted: tuple[IPv4Network | IPv6Network, ...] = tuple(
                ip_network(proxy, strict=False) for proxy in trusted_proxies
            )
        except ValueError:
            raise ValueError("a trusted proxy is an address or a network") from None

    def of(self, scope: Scope) -> str:
        """Return the right-most hop that is no trusted proxy; UNKNOWN when the server names no peer."""
        peer = _parse(scope["client"][0]) if scope.get("client") else None
        if peer is None:
            return UNKNOWN
        address = peer
        if self._is_trusted(peer):
            for hop in _hops(cast("Iterable[tuple[bytes, bytes]]", scope["headers"])):
                # What a trusted proxy did not write as an address, it does not vouch for.
                if (parsed := _parse(hop)) is None:
                    break
                address = parsed
                if not self._is_trusted(parsed):
                    break
        return str(address)

    def subscriber(self, scope: Scope) -> str:
        """Return what a limit per address counts by: an IPv4 address, or the network of an IPv6 one."""
        address = self.of(scope)
        if ":" not in address:
            return address
        return str(ip_network(f"{address.partition('%')[0]}/{IPV6_SUBSCRIBER_BITS}", strict=False))

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def _hops(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Return the addresses of X-Forwarded-For from the nearest to the farthest."""
    lines = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
    return ",".join(lines).split(",")[: -HOPS_MAX - 1 : -1] if lines else []


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, with or without a port; an IPv4 address mapped into IPv6 is the IPv4 one."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
