"""What the inbound rail is told at start: keys, tokens, shortcodes. Made by `main`, read by this slice's routes."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, cast

from fastapi import Request

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


class CallbackTokens:
    """The secret path tokens that are active. Compared in constant time, all of them each time."""

    def __init__(self, tokens: Sequence[tuple[Flow | None, str]]) -> None:
        self._tokens = tuple((flow, token.encode()) for flow, token in tokens)

    @classmethod
    def parse(cls, entries: Sequence[str]) -> Self:
        """Read MPESA_CALLBACK_TOKENS: `token` for every flow, `flow:token` for one.

        Raises ValueError for an unknown flow, and for a token that is not 32 or more lower-case hex digits:
        other alphabets can spell a word that Daraja refuses in a URL.
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
        return cls(tokens)

    def open(self, flow: Flow, token: str) -> bool:
        """Tell whether this token opens this flow."""
        given = token.encode()
        opens = False
        for bound_to, active in self._tokens:
            opens |= hmac.compare_digest(active, given) and bound_to in {None, flow}
        return opens


@dataclass(frozen=True, slots=True)
class MpesaConfig:
    """The inbound rail's own parts."""

    signature: SignatureVerifier
    tokens: CallbackTokens
    shortcodes: frozenset[str]
    """The shortcodes we run: payments to any other are not ours."""

    refused_log: LogBudget
    """Bounds the log lines that wrong signatures and tokens may cause; never the answers."""


def config_of(request: Request) -> MpesaConfig:
    return cast("MpesaConfig", request.app.state.mpesa)
