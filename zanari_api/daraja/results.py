"""Reads the Result envelope that payouts, status, balance and reversal requests are answered by, and each kind's view.

A receipt is taken from the field that names it, and only where the code says success: `Result.TransactionID`
may be a placeholder or look real on a failure, so it is kept and proves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from zanari_api.daraja.codes import Api, Kind, Meaning, Reason, meaning
from zanari_api.daraja.values import (
    Fields,
    UnreadableCallback,
    cents_of,
    code_of,
    id_of,
    items_of,
    object_of,
    payment_cents,
    read_fields,
    receipt_of,
    text_of,
    time_of,
    without,
)
from zanari_api.kit.money import LARGEST_AMOUNT_CENTS
from zanari_api.kit.wire_json import JsonValue

_RESULT_FIELDS: Final = frozenset(
    {
        "ResultType",
        "ResultCode",
        "ResultDesc",
        "OriginatorConversationID",
        "ConversationID",
        "TransactionID",
        "ResultParameters",
        "ReferenceData",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultCallback:
    """The result of a request, matched to it by one of the two conversation ids; one of them is always there.

    `parameters` and `references` are by the wire's names, without spaces. A name that came with several
    values has a tuple of them, and an item without a value is None.
    """

    result_type: str | None
    result_code: str
    result_text: str
    originator_conversation_id: str | None
    conversation_id: str | None
    transaction_id_raw: str | None
    parameters: Mapping[str, JsonValue]
    references: Mapping[str, JsonValue]
    extra: Mapping[str, JsonValue]

    def meaning(self, api: Api) -> Meaning:
        return meaning(api, self.result_code)


def read_result(body: bytes) -> ResultCallback:
    """Read a Result. Raises UnreadableCallback without a result code or without any conversation id."""
    envelope = read_fields(body)
    result = result_in(envelope)
    if result is None:
        raise UnreadableCallback("Result is no result: a code or a conversation id is missing")
    return result


def result_in(envelope: Fields) -> ResultCallback | None:
    """Return the Result that an object holds; None where it holds none that could be matched."""
    fields = object_of(envelope.get("Result"))
    result_code = code_of(fields.get("ResultCode"))
    ours, theirs = id_of(fields.get("OriginatorConversationID")), id_of(fields.get("ConversationID"))
    if result_code is None or (ours is None and theirs is None):
        return None
    parameters, references = object_of(fields.get("ResultParameters")), object_of(fields.get("ReferenceData"))
    return ResultCallback(
        result_type=code_of(fields.get("ResultType")),
        result_code=result_code,
        result_text=text_of(fields.get("ResultDesc")) or "",
        originator_conversation_id=ours,
        conversation_id=theirs,
        transaction_id_raw=id_of(fields.get("TransactionID")),
        parameters=items_of(parameters.get("ResultParameter")),
        references=items_of(references.get("ReferenceItem")),
        extra=without(envelope, frozenset({"Result"}))
        | without(fields, _RESULT_FIELDS, path="Result.")
        | without(parameters, frozenset({"ResultParameter"}), path="ResultParameters.")
        | without(references, frozenset({"ReferenceItem"}), path="ReferenceData."),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class B2CResult:
    """What a payout's result tells; all but the code are None on a failure, which has no parameters."""

    receipt: str | None
    amount_cents: int | None
    completed_at: datetime | None
    utility_cents: int | None
    working_cents: int | None
    charges_paid_cents: int | None
    receiver_registered: bool | None

    @classmethod
    def of(cls, result: ResultCallback) -> Self:
        told = result.parameters
        registered = (text_of(told.get("B2CRecipientIsRegisteredCustomer")) or "").upper()
        return cls(
            receipt=_receipt_on_success(result, Api.B2C, "TransactionReceipt"),
            amount_cents=payment_cents(told.get("TransactionAmount")),
            completed_at=time_of(told.get("TransactionCompletedDateTime")),
            utility_cents=cents_of(told.get("B2CUtilityAccountAvailableFunds")),
            working_cents=cents_of(told.get("B2CWorkingAccountAvailableFunds")),
            charges_paid_cents=cents_of(told.get("B2CChargesPaidAccountAvailableFunds")),
            receiver_registered={"Y": True, "N": False}.get(registered),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusResult:
    """What a status query found of a transaction. The outer ids are the query's own; these are the transaction's.

    `not_found` is true only where M-PESA said so by its code; an answer that cannot be read says nothing.
    """

    receipt: str | None
    status: str | None
    amount_cents: int | None
    originator_conversation_id: str | None
    conversation_id: str | None
    initiated_at: datetime | None
    finalised_at: datetime | None
    charge_cents: int | None
    not_found: bool

    @property
    def is_completed(self) -> bool:
        return self._is("completed")

    @property
    def is_finally_not_completed(self) -> bool:
        """Whether the transaction ended without moving money: cancelled, declined or expired."""
        return self._is("cancelled", "declined", "expired")

    def _is(self, *statuses: str) -> bool:
        return (self.status or "").lower() in statuses

    @classmethod
    def of(cls, result: ResultCallback) -> Self:
        told = result.parameters
        found = result.meaning(Api.STATUS)
        succeeded = found.kind is Kind.SUCCESS
        return cls(
            receipt=_receipt_on_success(result, Api.STATUS, "ReceiptNo"),
            status=text_of(told.get("TransactionStatus")) if succeeded else None,
            amount_cents=payment_cents(told.get("Amount")),
            originator_conversation_id=id_of(told.get("OriginatorConversationID")),
            conversation_id=id_of(told.get("ConversationID")),
            initiated_at=time_of(told.get("InitiatedTime")),
            finalised_at=time_of(told.get("FinalisedTime")),
            charge_cents=_charge_cents(told.get("DebitPartyCharges")),
            not_found=found.reason is Reason.NOT_FOUND,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceLine:
    """One of a shortcode's accounts, in cents. Charges Paid is negative."""

    current_cents: int
    available_cents: int | None
    reserved_cents: int | None
    uncleared_cents: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceResult:
    """A shortcode's accounts by Safaricom's names for them, such as `Utility Account`.

    `unread` counts the parts that were no account in KES, or an account told twice: those are left out.
    """

    accounts: Mapping[str, BalanceLine]
    completed_at: datetime | None
    unread: int

    @property
    def utility(self) -> BalanceLine | None:
        return self.accounts.get("Utility Account")

    @property
    def working(self) -> BalanceLine | None:
        return self.accounts.get("Working Account")

    @property
    def charges_paid(self) -> BalanceLine | None:
        return self.accounts.get("Charges Paid Account")

    @classmethod
    def of(cls, result: ResultCallback) -> Self:
        written = text_of(result.parameters.get("AccountBalance")) or ""
        parts = [part for part in written.split("&") if part.strip()]
        read = [line for part in parts if (line := _balance_line(part)) is not None]
        names = [name for name, _ in read]
        accounts = {name: line for name, line in read if names.count(name) == 1}
        return cls(
            accounts=accounts,
            completed_at=time_of(result.parameters.get("BOCompletedTime")),
            unread=len(parts) - len(accounts),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalResult:
    """What a reversal's result tells. `original_receipt` is the payment that was to be reversed."""

    original_receipt: str | None
    amount_cents: int | None
    completed_at: datetime | None
    charge_cents: int | None
    contradicts_itself: bool
    """The code says no and the parameters are those of a reversal that was made: nothing may be concluded."""

    @classmethod
    def of(cls, result: ResultCallback) -> Self:
        told = result.parameters
        original, completed_at = (
            receipt_of(told.get("OriginalTransactionID")),
            time_of(told.get("TransCompletedTime")),
        )
        succeeded = result.meaning(Api.REVERSAL).kind is Kind.SUCCESS
        return cls(
            original_receipt=original,
            amount_cents=payment_cents(told.get("Amount")),
            completed_at=completed_at,
            charge_cents=_fee(cents_of(told.get("Charge"))) if succeeded else None,
            contradicts_itself=not succeeded and original is not None and completed_at is not None,
        )


def _receipt_on_success(result: ResultCallback, api: Api, name: str) -> str | None:
    if result.meaning(api).kind is not Kind.SUCCESS:
        return None
    return receipt_of(result.parameters.get(name))


def _charge_cents(value: JsonValue) -> int | None:
    """Read `Fee For B2C Payment|KES|22.40`."""
    fields = [field.strip() for field in (text_of(value) or "").split("|")]
    return _fee(cents_of(fields[2])) if len(fields) == 3 and fields[1] == "KES" else None  # noqa: PLR2004 (as above)


def _fee(cents: int | None) -> int | None:
    """Return what can be a fee: nothing below zero, and no more than may be paid at once."""
    return cents if cents is not None and 0 <= cents <= LARGEST_AMOUNT_CENTS else None


def _balance_line(part: str) -> tuple[str, BalanceLine] | None:
    """Read `Name|CUR|current|available|reserved|uncleared`.

    Only the current balance must be readable: one published sample has an accident in its last number.
    """
    fields = [field.strip() for field in part.split("|")]
    if len(fields) != 6 or fields[1] != "KES":  # noqa: PLR2004 (the six parts above)
        return None
    current, available, reserved, uncleared = (cents_of(field) for field in fields[2:])
    if current is None or not fields[0]:
        return None
    return fields[0], BalanceLine(
        current_cents=current,
        available_cents=available,
        reserved_cents=reserved,
        uncleared_cents=uncleared,
    )
