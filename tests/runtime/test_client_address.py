"""Client addresses: what a stranger writes into a header is never believed."""

import pytest

from zanari_api.runtime.client_address import ClientAddresses

PROXIES = ["10.0.0.0/8", "fd00::/8"]


def scope(peer: str | None, *forwarded: str) -> dict:
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded]
    return {"type": "http", "client": (peer, 4000) if peer else None, "headers": headers}


@pytest.mark.parametrize(("peer", "forwarded", "address"), [
    ("198.51.100.7", [], "198.51.100.7"),
    ("198.51.100.7", ["203.0.113.9"], "198.51.100.7"),
    ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
    ("10.0.0.1", ["1.1.1.1, 203.0.113.9, 10.9.9.9"], "203.0.113.9"),
    ("10.0.0.1", ["1.1.1.1", "203.0.113.9", "10.2.2.2"], "203.0.113.9"),
    ("10.0.0.1", ["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
    ("10.0.0.1", ["203.0.113.9, garbage"], "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.9, , 10.2.2.2"], "10.2.2.2"),
    ("10.0.0.1", ["203.0.113.9:8080"], "203.0.113.9"),
    ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
    ("10.0.0.1", ["2001:DB8:0::1"], "2001:db8::1"),
    ("fd00::1", ["203.0.113.9"], "203.0.113.9"),
    ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    ("::ffff:198.51.100.7", ["203.0.113.9"], "198.51.100.7"),
    (None, ["203.0.113.9"], "unknown"),
    ("testclient", ["203.0.113.9"], "unknown"),
])  # fmt: skip
def test_the_nearest_hop_that_is_no_proxy_of_ours_is_the_client(
    peer: str | None, forwarded: list[str], address: str
) -> None:
    assert ClientAddresses(PROXIES).of(scope(peer, *forwarded)) == address


def test_without_trusted_proxies_the_header_means_nothing() -> None:
    assert ClientAddresses().of(scope("10.0.0.1", "203.0.113.9")) == "10.0.0.1"


def test_a_long_chain_is_not_read_to_its_end() -> None:
    chain = ", ".join(["203.0.113.9"] + ["10.0.0.2"] * 5000)
    assert ClientAddresses(PROXIES).of(scope("10.0.0.1", chain)) == "10.0.0.2"


def test_one_ipv6_network_counts_as_one_address() -> None:
    addresses = ClientAddresses()
    same = {addresses.subscriber(scope(f"2001:db8:0:1::{host:x}")) for host in (1, 2, 0xFFFF)}
    assert same == {"2001:db8:0:1::/64"}
    assert addresses.subscriber(scope("2001:db8:0:2::1")) != "2001:db8:0:1::/64"
    assert addresses.subscriber(scope("198.51.100.7")) == "198.51.100.7"


def test_a_proxy_that_is_no_network_stops_the_start() -> None:
    with pytest.raises(ValueError, match="an address or a network"):
        ClientAddresses(["10.0.0.0/99"])
