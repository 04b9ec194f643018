"""Opens savers' accounts and posts on them, so that a ledger test reads as what it is about. Asserts nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts, posting
from zanari_api.ledger.accounts import AccountKind
from zanari_api.ledger.posting import Posted, Transfer
from zanari_api.runtime.db import Database, Role

SHORTCODE: Final = "600000"
FLOAT: Final = accounts.float_id(SHORTCODE)
EVENT_AT: Final = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Saver:
    """One saver's accounts."""

    id: UUID
    wallet: UUID
    goal: UUID
    receivable: UUID


def move(
    cents: int,
    *,
    source: UUID,
    target: UUID,
    key: str | None = None,
    kind: str = "move",
    event_at: datetime = EVENT_AT,
    **metadata: object,
) -> Transfer:
    """Build a transfer of two entries; without a key it gets one of its own."""
    return Transfer(
        key=key or f"{kind}:{new_id()}",
        kind=kind,
        event_at=event_at,
        entries=[(source, -cents), (target, cents)],
        metadata=metadata,
    )


@dataclass(frozen=True, slots=True)
class Hand:
    """Whoever moves money in a test; commits each time."""

    db: Database

    async def post(
        self, *transfers: Transfer, role: Role = Role.SYSTEM, saver_id: UUID | None = None
    ) -> list[Posted]:
        return await self.db.unit_of_work(
            lambda tx: posting.post(tx, transfers), role=role, saver_id=saver_id
        )

    async def outcomes(self, *transfers: Transfer) -> list[str]:
        return [posted.outcome for posted in await self.post(*transfers)]

    async def saver(self, *, wallet_cents: int = 0) -> Saver:
        """Open a wallet, a goal and a receivable, with money in the wallet where asked."""
        saver = Saver(id=new_id(), wallet=new_id(), goal=new_id(), receivable=new_id())
        kinds = {
            saver.wallet: AccountKind.WALLET,
            saver.goal: AccountKind.GOAL,
            saver.receivable: AccountKind.RECEIVABLE,
        }
        async with self.db.transaction(Role.SYSTEM) as tx:
            await accounts.open_floats(tx, SHORTCODE)
            await accounts.open_accounts(tx, saver_id=saver.id, accounts=kinds)
        if wallet_cents:
            await self.post(move(wallet_cents, source=FLOAT, target=saver.wallet, kind="deposit"))
        return saver

    async def savers(self, *wallets_cents: int) -> Sequence[Saver]:
        return [await self.saver(wallet_cents=cents) for cents in wallets_cents]
