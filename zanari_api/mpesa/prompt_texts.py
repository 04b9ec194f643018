"""Says in one sentence how a payment stands that was asked for. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from zanari_api.daraja.codes import TABLES, Api, Kind
from zanari_api.deposits.intents import OPEN_FOR
from zanari_api.deposits.rows import Intent, IntentState, Purpose
from zanari_api.kit.money import format_kes

_REFUSED: Final = "M-PESA did not take our request. Nothing was paid; try again later."

_SENT_LATER: Final = "M-PESA refuses the same amount twice within two minutes; the prompt follows after that."

_OF_OURS: Final = {
    "not_sent": "The prompt could not be sent in time. Nothing was paid; ask again.",
    "number_unlinked": "The number is no longer linked to you, so it was not prompted.",
    "prompt_open": "Another M-PESA request was open on your phone. Nothing was paid; ask again in a minute.",
    "phone_in_use": "The shilling is in your wallet. The number is another saver's, so it was not linked to you.",
}

_OF_MPESA: Final[Mapping[str, str]] = {
    meaning.reason: meaning.text for meaning in TABLES[Api.STK].values() if meaning.kind is Kind.FAILED
}


def text_of(intent: Intent, *, now: datetime) -> str:
    """Return how an intent stands, for its saver."""
    match intent.state:
        case IntentState.REQUESTED:
            text = _SENT_LATER if _is_put_off(intent) else "We are sending the prompt to your phone."
        case IntentState.PROMPTED if now < intent.open_until:
            text = "Check your phone and enter your M-PESA PIN."
        case IntentState.PROMPTED:
            text = "We have not heard from M-PESA yet; we keep asking."
        case IntentState.SETTLED:
            text = _settled(intent)
        case IntentState.FAILED:
            text = _failed(intent.reason or "")
        case IntentState.UNRESOLVED if now < intent.expires_at:
            text = "We cannot tell yet whether this was paid; we keep asking M-PESA. If it was, it is yours."
        case IntentState.UNRESOLVED:
            text = (
                "M-PESA has not told us for a day whether this was paid. If it was, it is yours all the same."
            )
    return text


def _is_put_off(intent: Intent) -> bool:
    return intent.submitting_at is None and intent.open_until > intent.not_before + OPEN_FOR


def _settled(intent: Intent) -> str:
    if intent.reason is not None:
        return _OF_OURS[intent.reason]
    if intent.purpose is Purpose.ACCOUNT_LINK:
        return "The number is linked to you, and the shilling is in your wallet."
    return f"{format_kes(intent.amount_cents)} came in from M-PESA."


def _failed(reason: str) -> str:
    return _OF_OURS.get(reason) or _OF_MPESA.get(reason) or _REFUSED
