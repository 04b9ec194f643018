"""What the inbound rail is told at start: keys, tokens, addresses, shortcodes. Made by the roots, decides nothing."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Final, Self, cast

from fastapi import Request

from zanari_api.mpesa.inbox import CallbackKind
from zanari_api.mpesa.signature import SignatureVerifier
from zanari_api.runtime.log_budget import LogBudget


class Flow(StrEnum):
    """What a callback token opens; a token bound to no flow opens all."""

    STK = "stk"
    C2B = "c2b"
    B2C = "b2c"
    STATUS = "status"
    BALANCE = "balance"
    REVERSAL = "reversal"
    PULL = "pull"


CALLBACK_PATHS: Final[Mapping[CallbackKind, tuple[Flow, str]]] = {
    CallbackKind.STK: (Flow.STK, "/stk"),
    CallbackKind.C2B_VALIDATION: (Flow.C2B, "/c2b/validation"),
    CallbackKind.C2B_CONFIRMATION: (Flow.C2B, "/c2b/confirmation"),
    CallbackKind.B2C_RESULT: (Flow.B2C, "/b2c/result"),
    CallbackKind.B2C_TIMEOUT: (Flow.B2C, "/b2c/timeout"),
    CallbackKind.STATUS_RESULT: (Flow.STATUS, "/status/result"),
    CallbackKind.STATUS_TIMEOUT: (Flow.STATUS, "/status/timeout"),
    CallbackKind.BALANCE_RESULT: (Flow.BALANCE, "/balance/result"),
    CallbackKind.BALANCE_TIMEOUT: (Flow.BALANCE, "/balance/timeout"),
    CallbackKind.REVERSAL_RESULT: (Flow.REVERSAL, "/reversal/result"),
    CallbackKind.REVERSAL_TIMEOUT: (Flow.REVERSAL, "/reversal/timeout"),
    CallbackKind.PULL: (Flow.PULL, "/pull"),
}
"""Where each kind is posted, below the token, and whose token opens it."""

PUBLISHED_SOURCES: Final = (
    "196.201.214.200",
    "196.201.214.206",
    "196.201.214.207",
    "196.201.214.208",
    "196.201.213.114",
    "196.201.213.44",
    "196.201.212.127",
    "196.201.212.138",
    "196.201.212.129",
    "196.201.212.136",
    "196.201.212.74",
    "196.201.212.69",
    # Not in Safaricom's own list, but in that of people who get its callbacks. To refuse a real one costs more
    # than to let an address in that still has no token.
    "196.201.212.128",
    "196.201.212.132",
)
"""The addresses that Safaricom's callbacks come from, as published."""


MASK: Final = "********"
ENFORCED: Final = "enforced"
REPORTED: Final = "reported"
SOURCE_MODES: Final = (ENFORCED, REPORTED)


class CallbackSources:
    """Where callbacks may come from: a list of addresses and networks. Where it is not enforced, it only reports."""

    def __init__(self, listed: Sequence[str] = (), *, enforced: bool) -> None:
        """Take the published addresses where none are listed. Raises ValueError for what is no network."""
        self.enforced = enforced
        try:
            self._listed = tuple(ip_network(each, strict=False) for each in listed or PUBLISHED_SOURCES)
        except ValueError:
            raise ValueError("a callback's source is an address or a network") from None

    def lists(self, address: str) -> bool:
        """Tell whether callbacks may come from an address; what is no address is not listed."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._listed)


class CallbackTokens:
    """The secret path tokens that are active. Compared in constant time, all of them each time."""

    def __init__(self, tokens: Sequence[tuple[Flow | None, str]]) -> None:
        self._tokens = tuple((flow, token.encode()) for flow, token in tokens)

    @classmethod
    def parse(cls, entries: Sequence[str]) -> Self:
        """Read MPESA_CALLBACK_TOKENS: `token` for every flow, `flow:token` for one.

        Raises ValueError for an unknown flow, for a flow that no token opens, and for a token that is not 32 or
        more lower-case hex digits: other alphabets can spell a word that Daraja refuses in a URL.
        """
        tokens: list[tuple[Flow | None, str]] = []
        for entry in entries:
            flow, _, token = entry.rpartition(":")
            if len(token) < 32 or not set(token) <= set("0123456789abcdef"):  # noqa: PLR2004 (128 bits)
                raise ValueError("a callback token is 32 or more lower-case hex digits")
            # Not Flow(flow): its error would quote what may be a token with a slip in it.
            if flow and flow not in set(Flow):
                raise ValueError(
                    "a callback token may be bound to stk, c2b, b2c, status, balance, reversal or pull"
                )
            tokens.append((Flow(flow) if flow else None, token))
        bound_to = {flow for flow, _ in tokens}
        if None not in bound_to and not set(Flow) <= bound_to:
            raise ValueError("a callback token must be there for each flow, or one for all")
        return cls(tokens)

    def open(self, flow: Flow, token: str) -> bool:
        """Tell whether this token opens this flow."""
        given = token.encode()
        opens = False
        for bound_to, active in self._tokens:
            opens |= hmac.compare_digest(active, given) and bound_to in {None, flow}
        return opens

    def newest(self, flow: Flow) -> str:
        """Return the token to give out for a flow: the first of its own, else the first that opens all."""
        own = [token for bound_to, token in self._tokens if bound_to is flow]
        shared = [token for bound_to, token in self._tokens if bound_to is None]
        return (own or shared)[0].decode()


@dataclass(frozen=True, slots=True)
class MpesaConfig:
    """The inbound rail's own parts."""

    signature: SignatureVerifier
    tokens: CallbackTokens
    shortcodes: frozenset[str]
    """The shortcodes we run: payments to any other are not ours."""

    prompt_shortcode: str
    """Which of them our prompts ask to pay into."""

    sources: CallbackSources
    callback_base_url: str
    """Where Safaricom reaches us, without a slash at its end."""

    pull_msisdn: str | None
    """The number that a registration for pulling names; None: nothing is pulled."""

    refused_log: LogBudget
    """Bounds the log lines that wrong signatures and tokens may cause; never the answers."""

    source_log: LogBudget
    """The same for callbacks from an address that is not listed."""

    deferred_log: LogBudget
    """The same for callbacks that could not be acted on."""

    def callback_url(self, kind: CallbackKind) -> str:
        """Return the address that Safaricom is given for a kind of callback. It holds a secret token."""
        flow, path = CALLBACK_PATHS[kind]
        return f"{self.callback_base_url}/callbacks/{self.tokens.newest(flow)}{path}"

    def masked_callback_url(self, kind: CallbackKind) -> str:
        """Return the same address as a person may see it: without the token."""
        return f"{self.callback_base_url}/callbacks/{MASK}{CALLBACK_PATHS[kind][1]}"


def config_of(request: Request) -> MpesaConfig:
    return cast("MpesaConfig", request.app.state.mpesa)
