"""Spends as a channel tells them, and the hand that has them recorded in one call, past HTTP."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.support.app import SHORTCODE, Api
from tests.support.savers import Saver, new_receipt, now
from zanari_api.kit.spend_kind import SpendKind
from zanari_api.roundups.service import record_spends
from zanari_api.roundups.spends import Policy, Recorded, Source, Spend
from zanari_api.runtime.db import Role, Tx


def spend_of(
    saver: Saver | None,
    cents: int = 14_700,
    *,
    at: datetime | None = None,
    receipt: str | None = None,
    kind: SpendKind = SpendKind.TILL,
    source: Source = Source.WEBHOOK,
    **more: Any,
) -> Spend:
    """Build a spend at a till, now, of a saver; None where nobody held the number."""
    receipt, at = receipt or new_receipt(), at or now()
    content = f"{receipt} {kind} {cents} {at.isoformat()}"
    return Spend(
        receipt=receipt,
        saver_id=None if saver is None else saver.id,
        source=source,
        kind=kind,
        amount_cents=cents,
        event_at=at,
        content_digest=hashlib.sha256(content.encode()).digest(),
        **more,
    )


def reversal_of(spend: Spend, *, by: Saver | None = None, receipt: str | None = None) -> Spend:
    """Build the news that a spend was taken back: under a receipt of its own where one is given, else the spend's."""
    return spend_of(
        by,
        spend.amount_cents,
        at=spend.event_at,
        receipt=receipt or spend.receipt,
        is_reversal=True,
        reverses=receipt and spend.receipt,
    )


@dataclass(frozen=True, slots=True)
class Recorder:
    """Has lists of spends recorded, each list in one call and one transaction."""

    api: Api

    async def __call__(self, *spends: Spend, at: datetime | None = None) -> list[Recorded]:
        """Record these spends as of now, or as of `at`."""
        policy = self.policy(at=at)

        async def record(tx: Tx) -> list[Recorded]:
            return await record_spends(tx, spends, policy=policy)

        return await self.api.db.unit_of_work(record, role=Role.SYSTEM)

    def policy(self, *, at: datetime | None = None) -> Policy:
        return Policy(
            feature_enabled=True,
            own_shortcodes=frozenset({SHORTCODE}),
            now=at or now(),
            keyring=self.api.runtime.keyring,
        )

    async def outcomes(self, *spends: Spend, at: datetime | None = None) -> list[tuple[int, str, str | None]]:
        """Record these spends; return amount, outcome and reason of each round-up, in input order."""
        recorded = await self(*spends, at=at)
        return [
            (item.round_up.amount_cents, item.round_up.outcome, item.round_up.reason)
            for item in recorded
            if item.round_up is not None
        ]

    async def set_rule(self, saver: Saver, **columns: object) -> None:
        """Change the saver's first rule version, as if it had always been so."""
        for column, value in columns.items():
            await self.api.alter(
                f"UPDATE savings.round_up_rules SET {column} = $2 WHERE saver_id = $1 AND version = 1",
                saver.id,
                value,
            )


def shares(recorded: Recorded) -> list[tuple[UUID, int]]:
    """Return the goals a round-up is meant for, and how much of it each gets."""
    assert recorded.round_up is not None
    return [(share.goal_id, share.amount_cents) for share in recorded.round_up.allocations]
