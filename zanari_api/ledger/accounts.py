"""The chart of accounts: which there are, their fixed ids, opening and closing. Never moves money."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.ledger.errors import AccountNotEmpty, UnknownAccount
from zanari_api.runtime.db import Tx


class AccountKind(StrEnum):
    """What a ledger account is for. Each kind has one normal side, which the database knows."""

    WALLET = "wallet"
    "a saver's money in no goal"

    GOAL = "goal"
    "a saver's money in one goal"

    RECEIVABLE = "receivable"
    "what a saver owes us"

    FLOAT = "float"
    "our e-money at Safaricom"

    SUSPENSE = "suspense"
    "received money that nobody could be matched to"

    IN_FLIGHT = "in_flight"
    "left a goal or wallet, not yet settled by M-PESA"

    DUST = "dust"
    "fractions of a shilling that no payout can carry"

    FUNDING = "funding"
    "what the company put in"

    FEES = "fees"
    "what M-PESA charged us"


class FloatAccount(StrEnum):
    """Which of a shortcode's balances at Safaricom a float stands for."""

    UTILITY = "utility"
    "C2B and STK land here, B2C pays from here"

    WORKING = "working"
    "what is on its way to or from the bank"

    CHARGES_PAID = "charges_paid"
    "what Safaricom took for its services"


SUSPENSE: Final = UUID("00000000-0000-8000-8000-000000000001")
IN_FLIGHT: Final = UUID("00000000-0000-8000-8000-000000000002")
DUST: Final = UUID("00000000-0000-8000-8000-000000000003")
FUNDING: Final = UUID("00000000-0000-8000-8000-000000000004")
FEES: Final = UUID("00000000-0000-8000-8000-000000000005")

OPEN_ACCOUNTS: Final[LiteralString] = "SELECT ledger.open_accounts($1, $2, $3)"
OPEN_FLOATS: Final[LiteralString] = "SELECT ledger.open_floats($1)"
CLOSE_ACCOUNT: Final[LiteralString] = "SELECT ledger.close_account($1)"


def float_id(shortcode: str, account: FloatAccount = FloatAccount.UTILITY) -> UUID:
    """Return the id of a float, the same in every database (ledger.named_id makes it there).

    A version 8 UUID over SHA-256: core Postgres has no SHA-1, which version 5 would need.
    """
    digest = hashlib.sha256(f"zanari.ledger:float:{shortcode}:{account}".encode()).digest()
    value = int.from_bytes(digest[:16])
    value = value & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0b11 << 62) | 0b10 << 62
    return UUID(int=value)


async def open_accounts(tx: Tx, *, saver_id: UUID, accounts: Mapping[UUID, AccountKind]) -> None:
    """Open a saver's accounts, at zero. Safe to repeat.

    A second wallet or receivable violates accounts_wallet_unique or accounts_receivable_unique.
    """
    await tx.execute(OPEN_ACCOUNTS, saver_id, list(accounts), list(accounts.values()))


async def open_floats(tx: Tx, shortcode: str) -> None:
    """Open the three floats of a shortcode we run. Safe to repeat."""
    await tx.execute(OPEN_FLOATS, shortcode)


async def close_account(tx: Tx, account_id: UUID) -> None:
    """Close an empty saver account for good. Safe to repeat. Locks its balance row.

    Raises AccountNotEmpty, or UnknownAccount for one the caller does not have (system accounts stay open).
    """
    match await tx.fetch_value(str, CLOSE_ACCOUNT, account_id):
        case "closed":
            return
        case "not_empty":
            raise AccountNotEmpty(account_id=account_id)
        case _:
            raise UnknownAccount(account_id)
