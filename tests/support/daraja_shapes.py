"""Bodies as Safaricom posts them, in every shape it is known for and some that nobody has seen: hypothesis strategies.

`told_*` strategies give (body, what it says), so that a parser can be held to the meaning; `*_bodies` give
bodies of which nothing is promised, so that it can be held to its manners.
"""

import copy
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from zanari_api.kit.clock import EAT

SAMPLES: Final[list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "daraja_payloads" / "payloads.json").read_text(), parse_float=Decimal
)
"""The published samples, each with its id, its kind and the HTTP status it came with."""


def write(value: Any) -> bytes:
    """Return JSON in which a Decimal is a number with exactly its digits: 1.00 stays 1.00."""
    return _write(value).encode("utf-8", "surrogatepass")


def sample(id_: str) -> dict[str, Any]:
    """Return the body of a published sample."""
    [found] = [each for each in SAMPLES if each["id"] == id_]
    return copy.deepcopy(found["body"])


def samples(*kinds: str, direction: str = "callback") -> list[dict[str, Any]]:
    """Return the published samples whose kind begins with one of `kinds`."""
    return [
        each for each in SAMPLES if each["direction"] == direction and each["kind"].startswith(tuple(kinds))
    ]


def floats_in(value: object, path: str = "") -> list[str]:
    """Find every float in what a parser returned, whatever it lies in."""
    if isinstance(value, float):
        return [path]
    if is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, Mapping):
        return [found for name, each in value.items() for found in floats_in(each, f"{path}.{name}")]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [found for each in value for found in floats_in(each, f"{path}[]")]
    return []


# ---------------------------------------------------------------- single values, in each way they are written

storable = st.characters(codec="utf-8", exclude_characters="\x00")
"""What Postgres can store; a body with anything else in it is unreadable as a whole."""

receipts = st.text(string.ascii_uppercase + string.digits, min_size=10, max_size=10)
shillings = st.integers(1, 250_000)
cents = st.integers(1, 25_000_000)
result_codes = st.sampled_from(
    [
        "0",
        "1",
        "17",
        "26",
        "1032",
        "1037",
        "2001",
        "4999",
        "9999",
        "SFC_IC0003",
        "R000002",
        "100000002",
        "31337",
    ]
)
checkout_ids = st.builds(
    lambda at, msisdn: f"ws_CO_{at:%d%m%Y%H%M%S}123{msisdn}",
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 (digits of an id)
    st.integers(700_000_000, 799_999_999),
)
conversation_ids = st.from_regex(r"AG_20261125_[0-9a-f]{20}", fullmatch=True)
instants = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001 (made UTC below)
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)


def code_written(code: str) -> st.SearchStrategy[Any]:
    """A result code as a string, or as a number where it is one."""
    return st.sampled_from([code, int(code), Decimal(f"{code}.0")] if code.isdigit() else [code])


def amount_written(amount_cents: int) -> st.SearchStrategy[Any]:
    """An amount as number or text, with or without decimals, or as Java prints it."""
    exact = Decimal(amount_cents) / 100
    ways: list[Any] = [exact.quantize(Decimal("0.01")), f"{exact:.2f}", f"{{Amount={{BasicAmount={exact}}}}}"]
    ways.append(f"{{Amount={{CurrencyCode=KES, MinimumAmount={amount_cents}, BasicAmount={exact:.2f}}}}}")
    if amount_cents % 100 == 0:
        ways += [
            amount_cents // 100,
            str(amount_cents // 100),
            Decimal(amount_cents // 100).quantize(Decimal("0.1")),
        ]
    return st.sampled_from(ways)


def time_written(at: datetime, *, dotted: bool = False) -> st.SearchStrategy[Any]:
    """An instant in East Africa Time: digits as text or number, or with dots where the API writes it so."""
    local = at.astimezone(EAT)
    if dotted:
        return st.just(f"{local:%d.%m.%Y %H:%M:%S}")
    digits = f"{local:%Y%m%d%H%M%S}"
    return st.sampled_from([digits, int(digits)])


def items_written(
    items: Sequence[tuple[str, Any]], *, name: str, valueless: Sequence[str] = ()
) -> st.SearchStrategy[Any]:
    """A list of items in any order, some without a value; a single one may come without its list."""
    listed = [{name: key, "Value": value} for key, value in items] + [{name: key} for key in valueless]
    shuffled = st.permutations(listed)
    return st.one_of(shuffled, st.just(listed[0])) if len(listed) == 1 else shuffled


unknown_keys = st.dictionaries(
    st.from_regex(r"New[A-Z][a-z]{1,8}", fullmatch=True),
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(storable, max_size=20),
    max_size=2,
)


# ------------------------------------------------------------------------- bodies whose meaning is known


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldStk:
    """What an STK callback says."""

    checkout_request_id: str
    result_code: str
    amount_cents: int | None
    receipt: str | None
    occurred_at: datetime | None


@st.composite
def told_stk(
    draw: st.DrawFn, *, checkout_request_id: str | None = None, result_code: str | None = None
) -> tuple[bytes, ToldStk]:
    """An STK callback and what it says; a success has metadata, a failure has none."""
    code = result_code or draw(result_codes)
    handle = checkout_request_id or draw(checkout_ids)
    callback: dict[str, Any] = {
        "MerchantRequestID": draw(st.sampled_from(["29115-34620561-1", "f1e2-4b95-a71d-b30d3cdbb7a7942864"])),
        "CheckoutRequestID": handle,
        "ResultCode": draw(code_written(code)),
        "ResultDesc": draw(st.text(storable, max_size=30)),
        **draw(unknown_keys),
    }
    amount, receipt, at = None, None, None
    if code == "0":
        amount, receipt, at = draw(shillings) * 100, draw(receipts), draw(instants)
        items = [
            ("Amount", draw(amount_written(amount))),
            ("MpesaReceiptNumber", receipt),
            ("TransactionDate", draw(time_written(at))),
            ("PhoneNumber", draw(st.sampled_from([254708374149, "254708374149", "2547 ***** 149"]))),
        ]
        balance = draw(st.sampled_from([(), ("Balance",)]))
        callback["CallbackMetadata"] = {"Item": draw(items_written(items, name="Name", valueless=balance))}
    body = {"Body": {"stkCallback": callback, **draw(unknown_keys)}, **draw(unknown_keys)}
    return write(body), ToldStk(
        checkout_request_id=handle, result_code=code, amount_cents=amount, receipt=receipt, occurred_at=at
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldB2C:
    """What a payout's result says."""

    originator_conversation_id: str
    conversation_id: str
    result_code: str
    amount_cents: int | None
    receipt: str | None
    completed_at: datetime | None
    utility_cents: int | None


@st.composite
def told_b2c(
    draw: st.DrawFn, *, originator_conversation_id: str | None = None, result_code: str | None = None
) -> tuple[bytes, ToldB2C]:
    """A payout's result and what it says; on a failure TransactionID is a placeholder or looks real."""
    code = result_code or draw(result_codes)
    ours, theirs = originator_conversation_id or str(draw(st.uuids())), draw(conversation_ids)
    amount, receipt, at, utility = None, None, None, None
    result: dict[str, Any] = {
        "ResultType": draw(code_written("0")),
        "ResultCode": draw(code_written(code)),
        "ResultDesc": draw(st.text(storable, max_size=30)),
        "OriginatorConversationID": ours,
        "ConversationID": theirs,
        "TransactionID": draw(st.sampled_from(["SKE0000000", "SG722NMVXQ", ""])),
        **draw(unknown_keys),
    }
    if code == "0":
        amount, receipt, at, utility = draw(shillings) * 100, draw(receipts), draw(instants), draw(cents)
        items = [
            ("TransactionAmount", draw(amount_written(amount))),
            ("TransactionReceipt", receipt),
            ("ReceiverPartyPublicName", "254708374149 - JANE DOE"),
            ("TransactionCompletedDateTime", draw(time_written(at, dotted=True))),
            ("B2CUtilityAccountAvailableFunds", draw(amount_written(utility))),
            ("B2CChargesPaidAccountAvailableFunds", Decimal("-1980.00")),
            ("B2CRecipientIsRegisteredCustomer", draw(st.sampled_from(["Y", "N"]))),
        ]
        result["ResultParameters"] = {"ResultParameter": draw(items_written(items, name="Key"))}
        result["TransactionID"] = receipt
    reference = [("QueueTimeoutURL", "https://example.org/callbacks/x/b2c/timeout")]
    result["ReferenceData"] = {"ReferenceItem": draw(items_written(reference, name="Key"))}
    return write({"Result": result, **draw(unknown_keys)}), ToldB2C(
        originator_conversation_id=ours,
        conversation_id=theirs,
        result_code=code,
        amount_cents=amount,
        receipt=receipt,
        completed_at=at,
        utility_cents=utility,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRow:
    """What a row of a pulled page says."""

    receipt: str
    amount_cents: int
    account_reference: str


@st.composite
def told_pull(draw: st.DrawFn) -> tuple[bytes, list[ToldRow]]:
    """A page of pulled payments, whatever it is wrapped in, and what its rows say."""
    told = draw(
        st.lists(
            st.builds(
                ToldRow,
                receipt=receipts,
                amount_cents=shillings.map(lambda each: each * 100),
                account_reference=st.text(string.ascii_letters + string.digits, max_size=12),
            ),
            max_size=4,
        )
    )
    rows = [
        {
            draw(st.sampled_from(["transactionId", "transactionid", "TransactionId"])): row.receipt,
            "trxDate": draw(st.sampled_from(["2026-11-25T09:30:05Z", "2026-11-25 09:30:05", "soon", None])),
            "msisdn": draw(st.sampled_from([254708374149, "254708374149", "2547 ***** 149"])),
            "sender": "MPESA",
            "transactiontype": "c2b-pay-bill-debit",
            "billreference": row.account_reference,
            "amount": draw(amount_written(row.amount_cents)),
            "organizationname": "Zanari",
            **draw(unknown_keys),
        }
        for row in told
    ]
    wrapped: Any = draw(st.sampled_from([rows, [rows], [[rows]]]))
    if draw(st.booleans()):
        wrapped = write(wrapped).decode()
    name = draw(st.sampled_from(["Response", "ResponseData", "Transactions"]))
    status = draw(st.sampled_from(["ResponseCode", "ResponseStatus"]))
    code = draw(code_written("1000" if told else "1001"))
    return write({"ResponseRefID": "26178-42530161-2", status: code, name: wrapped}), told


# ------------------------------------------------------------------- bodies of which nothing is promised

json_numbers = st.integers(-(10**30), 10**30) | st.decimals(allow_nan=False, allow_infinity=False)
json_scalars = st.none() | st.booleans() | json_numbers | st.text(max_size=40)
json_values = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def distorted(draw: st.DrawFn, value: Any) -> Any:
    """A body in which anything may be missing, moved, doubled, or of another type."""
    odd = draw(st.integers(0, 11))
    if odd == 0:
        return draw(json_values)
    if isinstance(value, dict):
        kept = {key: draw(distorted(each)) for key, each in value.items() if draw(st.integers(0, 11))}
        return kept | draw(unknown_keys) if odd == 1 else kept
    if isinstance(value, list):
        listed = [draw(distorted(each)) for each in value]
        if odd == 1 and listed:
            return listed[0]
        return draw(st.permutations(listed)) + (listed[:1] if odd == 2 else [])
    if odd == 1:
        return str(value)
    return [value] if odd == 2 else value


def distortions_of(*kinds: str) -> st.SearchStrategy[bytes]:
    """Bodies that were once one of the published samples of these kinds."""
    bodies = [each["body"] for each in samples(*kinds)]
    return st.sampled_from(bodies).flatmap(distorted).map(write)


@st.composite
def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """A body that was cut, or has a few bytes changed."""
    cut = body[: draw(st.integers(0, len(body)))]
    spoilt = bytearray(cut)
    for _ in range(draw(st.integers(0, 3))):
        if spoilt:
            spoilt[draw(st.integers(0, len(spoilt) - 1))] = draw(st.integers(0, 255))
    return bytes(spoilt)


stk_bodies = distortions_of("stk_callback")
result_bodies = distortions_of("b2c_result", "b2b_result", "txn_status", "account_balance", "reversal")
timeout_bodies = distortions_of("b2c_queue_timeout", "b2c_result")
c2b_bodies = distortions_of("c2b_confirmation", "c2b_validation")
pull_bodies = told_pull().map(lambda told: json.loads(told[0])).flatmap(distorted).map(write)
garbage_bodies = st.binary(max_size=200) | json_values.map(write)
callback_bodies = st.one_of(
    stk_bodies,
    result_bodies,
    timeout_bodies,
    c2b_bodies,
    pull_bodies,
    garbage_bodies,
    st.one_of(stk_bodies, result_bodies, c2b_bodies).flatmap(damaged),
)
"""Whatever may be posted to any callback's address."""


def _write(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value}" if value.is_finite() else "null"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(name))}:{_write(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_write, value)) + "]"
    return json.dumps(value)
