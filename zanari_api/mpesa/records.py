"""Reads the body of the signed round-up webhook into a spend's facts. Looks nothing up, decides nothing."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from zanari_api.daraja.payloads import MPESA_YEARS
from zanari_api.kit.clock import parse_daraja_time
from zanari_api.kit.errors import FieldError
from zanari_api.kit.money import LARGEST_AMOUNT_CENTS, parse_kes, to_cents
from zanari_api.kit.msisdn import parse_msisdn
from zanari_api.kit.receipt import parse_receipt
from zanari_api.kit.spend_kind import SpendKind
from zanari_api.kit.wire_json import JsonValue, UnreadableJson, read_object
from zanari_api.mpesa.errors import MalformedRecord
from zanari_api.roundups.rules import FURTHEST_FUTURE

BUSINESS_KINDS: Final = frozenset({SpendKind.TILL, SpendKind.PAYBILL})
"""Airtime is not among them: what it is bought for may be another person's number."""

_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)

_KINDS_BY_WORD: Final = {
    word: kind
    for kind, words in {
        SpendKind.TILL: "till buygoods customerbuygoodsonline customermerchantpayment merchantpayment",
        SpendKind.PAYBILL: "paybill customerpaybillonline paybillpayment",
        SpendKind.POCHI: "pochi pochilabiashara customerpaymenttosmallbusiness",
        SpendKind.SEND_MONEY: "sendmoney customertransfer p2p",
        SpendKind.AIRTIME: "airtime airtimepurchase buyairtime",
        SpendKind.WITHDRAW: "withdraw withdrawal cashwithdrawal agentwithdrawal atmwithdrawal",
        SpendKind.FULIZA: "fuliza fulizampesa",
        SpendKind.DEPOSIT: "deposit cashdeposit agentdeposit",
        SpendKind.RECEIVE: "receive received receivemoney",
    }.items()
    for word in words.split()
}


class Change(StrEnum):
    """What the sender's database did, in the words of a Supabase database webhook."""

    INSERT = "INSERT"
    "a spend; also where the envelope says nothing"

    UPDATE = "UPDATE"
    "a spend told again; compared by content"

    DELETE = "DELETE"
    "nothing to us: what happened at M-PESA cannot be deleted"


class SpendStatus(StrEnum):
    """What M-PESA made of the payment."""

    COMPLETED = "completed"
    "the money went out"

    REVERSED = "reversed"
    "the money went out and came back"

    FAILED = "failed"
    "no money moved"


def _read_kes(value: object) -> int:
    match value:
        case bool():
            raise ValueError("must be a number or a decimal string")
        case int() | Decimal():
            return to_cents(value)
        case str():
            return parse_kes(value)
        case _:
            raise ValueError("must be a number or a decimal string")


def _read_instant(value: object) -> datetime:
    """Read RFC 3339 with its offset, or Daraja's 14 digits in East Africa Time, as text or as a number."""
    text = str(value) if isinstance(value, int) else value
    if not isinstance(text, str):
        raise ValueError("must be a time")  # noqa: TRY004 (Pydantic collects ValueError only)
    try:
        instant = (
            datetime.fromisoformat(text.upper()) if _RFC3339.fullmatch(text) else parse_daraja_time(text)
        )
        instant = instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("must be RFC 3339 with an offset, or YYYYMMDDHHmmss") from error
    if instant.year not in MPESA_YEARS:
        raise ValueError("is not in a year of M-PESA's")
    return instant


def _read_receipt(value: object) -> str:
    return parse_receipt(_text(value))


def _read_msisdn(value: object) -> str:
    return parse_msisdn(_digits_as_text(value))


def _read_kind(value: object) -> SpendKind:
    """Fold the ways of writing one kind; a word nobody knows is a kind we do not count, never a refusal."""
    word = re.sub(r"[^a-z0-9]", "", _text(value).casefold())
    return _KINDS_BY_WORD.get(word, SpendKind.OTHER)


def _read_status(value: object) -> object:
    if value is None:
        return SpendStatus.COMPLETED
    return value.casefold() if isinstance(value, str) else value


def _digits_as_text(value: object) -> str:
    """Take a code of digits that its sender keeps as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")  # noqa: TRY004 (Pydantic collects ValueError only)
    return value


def _none_if_blank(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _code_or_none(value: object) -> object:
    return None if value is None else _none_if_blank(_digits_as_text(value))


def _kes_or_none(value: object) -> int | None:
    return None if _none_if_blank(value) is None else _read_kes(value)


def _receipt_or_none(value: object) -> str | None:
    return None if _none_if_blank(value) is None else _read_receipt(value)


# Bounds sit on the type inside the union: outside it they would be asked of None as well.
_Name = Annotated[str, Field(max_length=200)]
_Shortcode = Annotated[str, Field(max_length=20)]
_Reference = Annotated[str, Field(max_length=100)]
_Balance = Annotated[int, Field(ge=-LARGEST_AMOUNT_CENTS, le=LARGEST_AMOUNT_CENTS)]


class SpendRecord(BaseModel):
    """A spend as the signed webhook tells it, in this project's words and units."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, str_strip_whitespace=True, validate_by_name=True, validate_by_alias=True
    )

    receipt: Annotated[str, BeforeValidator(_read_receipt), Field(alias="transaction_id")]
    kind: Annotated[SpendKind, BeforeValidator(_read_kind), Field(alias="transaction_type")]
    amount_cents: Annotated[
        int, BeforeValidator(_read_kes), Field(alias="amount", gt=0, le=LARGEST_AMOUNT_CENTS)
    ]
    msisdn: Annotated[str, BeforeValidator(_read_msisdn), Field(alias="phone_number")]
    event_at: Annotated[datetime, BeforeValidator(_read_instant), Field(alias="transaction_time")]
    merchant_name: Annotated[_Name | None, BeforeValidator(_none_if_blank)] = None
    merchant_shortcode: Annotated[_Shortcode | None, BeforeValidator(_code_or_none)] = None
    account_reference: Annotated[_Reference | None, BeforeValidator(_code_or_none)] = None
    balance_after_cents: Annotated[
        _Balance | None, BeforeValidator(_kes_or_none), Field(alias="balance_after")
    ] = None
    status: Annotated[SpendStatus, BeforeValidator(_read_status)] = SpendStatus.COMPLETED
    reverses: Annotated[str | None, BeforeValidator(_receipt_or_none)] = None

    @property
    def counterparty_is_private(self) -> bool:
        """Tell whether a person was paid, or may have been: then the name is not stored in clear."""
        return self.kind not in BUSINESS_KINDS

    @property
    def undoes(self) -> str | None:
        """Return the receipt whose round-up this undoes; None when it tells of a spend, or of no payment."""
        if self.status is SpendStatus.FAILED:
            return None
        if self.reverses is not None:
            return self.reverses
        return self.receipt if self.status is SpendStatus.REVERSED else None


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a webhook body said. `record` is None for a deletion, which may not even name its receipt."""

    change: Change
    receipt: str | None
    record: SpendRecord | None


def read_envelope(body: bytes, *, now: datetime) -> Envelope:
    """Return what the body says. Raises MalformedRecord, which names fields and never quotes them."""
    try:
        outside = read_object(body)
    except UnreadableJson as error:
        raise MalformedRecord(f"The body is {error}.") from error
    change = _read_change(outside.get("type"))
    if change is Change.DELETE:
        return Envelope(change, receipt=_find_receipt(outside), record=None)
    record = _read_record(outside.get("record"), now=now)
    return Envelope(change, receipt=record.receipt, record=record)


def _read_change(value: JsonValue) -> Change:
    if value is None:
        return Change.INSERT
    try:
        return Change(value)
    except ValueError as error:
        raise _malformed("type", "must be INSERT, UPDATE or DELETE", "enum") from error


def _find_receipt(outside: Mapping[str, JsonValue]) -> str | None:
    """Return the receipt of a deleted row, for the answer only; it is no fault that there is none."""
    for side in ("old_record", "record"):
        row = outside.get(side)
        if isinstance(row, Mapping):
            with suppress(ValueError):
                return parse_receipt(_text(row.get("transaction_id")))
    return None


def _read_record(value: JsonValue, *, now: datetime) -> SpendRecord:
    if not isinstance(value, Mapping):
        raise _malformed("record", "must be an object", "missing" if value is None else "type")
    try:
        record = SpendRecord.model_validate(value, by_name=False, by_alias=True)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_input=False, include_context=False)
        raise MalformedRecord(
            field_errors=[
                FieldError(
                    field=".".join(str(part) for part in ("record", *error["loc"])),
                    message=error["msg"].removeprefix("Value error, "),
                    code=error["type"],
                )
                for error in errors
            ]
        ) from None
    if record.event_at > now + FURTHEST_FUTURE:
        raise _malformed("record.transaction_time", "is more than 5 minutes in the future", "in_the_future")
    return record


def _malformed(field: str, message: str, code: str) -> MalformedRecord:
    return MalformedRecord(field_errors=[FieldError(field=field, message=message, code=code)])
