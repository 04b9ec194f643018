"""Spends, reversals, collections and payments in any order: each cent settles once, and goals hold what came in."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.support import postgres
from tests.support.app import PII_KEYS, SHORTCODE
from tests.support.books import Books
from tests.support.savers import new_phone, new_receipt
from zanari_api.deposits import intents
from zanari_api.deposits.rows import Channel, Payment
from zanari_api.goals import movements
from zanari_api.goals import service as goals
from zanari_api.goals.rows import GoalRow
from zanari_api.goals.schemas import GoalCreate
from zanari_api.kit.errors import Refusal
from zanari_api.kit.ids import new_id
from zanari_api.kit.spend_kind import SpendKind
from zanari_api.ledger import accounts
from zanari_api.ledger.accounts import AccountKind
from zanari_api.mpesa import settlement
from zanari_api.mpesa.inbox import Intake
from zanari_api.roundups import asking, collections, rule_service, waiting_payments
from zanari_api.roundups.collections import Terms
from zanari_api.roundups.service import record_spends, waiting_cents
from zanari_api.roundups.spends import Policy, Source, Spend
from zanari_api.runtime.crypto import Keyring, ServiceKeyStore
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.users import service as users

NOON = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
PICK = st.integers(0, 50)

CHECKS = {
    "an accrual is settled by what its goals got, and is settled when that is all of it": """
        SELECT a.spend_id FROM savings.accruals AS a
         CROSS JOIN LATERAL (
                SELECT coalesce(sum(s.amount_cents), 0) AS cents FROM savings.accrual_shares AS s
                 WHERE s.saver_id = a.saver_id AND s.spend_id = a.spend_id
               ) AS got
         WHERE a.saver_id = $1
           AND (got.cents <> a.settled_cents OR (a.status = 'settled') <> (a.settled_cents = a.amount_cents))
    """,
    "each goal got exactly its allocation of what is settled whole, closed goals aside": """
        SELECT a.spend_id FROM savings.accruals AS a
         CROSS JOIN LATERAL (
                SELECT s.goal_id, sum(s.amount_cents) AS cents FROM savings.accrual_shares AS s
                 WHERE s.saver_id = a.saver_id AND s.spend_id = a.spend_id GROUP BY s.goal_id
               ) AS got
          JOIN savings.goals AS g ON g.saver_id = a.saver_id AND g.id = got.goal_id AND NOT g.is_default
          LEFT JOIN savings.allocations AS meant
            ON meant.saver_id = a.saver_id AND meant.spend_id = a.spend_id AND meant.goal_id = got.goal_id
         WHERE a.saver_id = $1 AND got.cents > coalesce(meant.amount_cents, 0)
    """,
    "a settled collection went to goals and wallet to the cent": """
        SELECT c.id FROM savings.collections AS c
         CROSS JOIN LATERAL (
                SELECT sum(i.settled_cents) AS cents, sum(i.amount_cents) AS asked FROM savings.collection_items AS i
                 WHERE i.saver_id = c.saver_id AND i.collection_id = c.id
               ) AS items
         CROSS JOIN LATERAL (
                SELECT coalesce(sum(s.amount_cents), 0) AS cents FROM savings.accrual_shares AS s
                 WHERE s.saver_id = c.saver_id AND s.source_id = c.id
               ) AS shares
         WHERE c.saver_id = $1
           AND (items.asked <> c.amount_cents
                OR (c.state = 'settled') <> (items.cents IS NOT NULL)
                OR (c.state = 'settled' AND items.cents + c.to_wallet_cents <> c.amount_cents)
                OR shares.cents <> coalesce(items.cents, 0))
    """,
    "what is bound is bound to an open collection that asks for it": """
        SELECT a.spend_id FROM savings.accruals AS a
          LEFT JOIN savings.collections AS c ON c.saver_id = a.saver_id AND c.id = a.collection_id
          LEFT JOIN savings.collection_items AS i
            ON i.saver_id = a.saver_id AND i.collection_id = a.collection_id AND i.spend_id = a.spend_id
         WHERE a.saver_id = $1 AND a.status = 'waiting' AND a.collection_id IS NOT NULL
           AND (c.state IS DISTINCT FROM 'requested' OR i.spend_id IS NULL)
    """,
    "nothing is undone beyond its round-up, and nothing undone waits": """
        SELECT s.id FROM savings.spends AS s
          LEFT JOIN savings.accruals AS a ON a.saver_id = s.saver_id AND a.spend_id = s.id
         WHERE s.saver_id = $1 AND s.undone_at IS NOT NULL
           AND (s.undone_cents > s.round_up_cents OR a.status = 'waiting')
    """,
    "the feed tells of each spend what became of its round-up": """
        SELECT t.id FROM savings.transactions AS t
          JOIN savings.spends AS s ON s.saver_id = t.saver_id AND s.id = t.id AND s.undone_at IS NULL
          JOIN savings.accruals AS a ON a.saver_id = t.saver_id AND a.spend_id = t.id
         WHERE t.saver_id = $1
           AND ((t.round_up ->> 'outcome' = 'saved') <> (a.status = 'settled')
                OR coalesce((t.explanation ->> 'settled_cents')::bigint, 0) <> a.settled_cents)
    """,
}
"""What must find nothing, whatever has happened."""


class Collecting(RuleBasedStateMachine):
    """One saver, whose M-PESA answers late, twice, or never."""

    database: postgres.Database

    @initialize()
    def join(self) -> None:
        self.runner = asyncio.Runner()
        self.now = NOON
        self.came_in = 0
        self.spends: list[Spend] = []
        self.collections: list[tuple[UUID, UUID]] = []
        self.receipts: dict[UUID, str] = {}
        self.runner.run(self._join())
        for percent in (37, 23):
            self.open_a_goal(percent)
        self.spend([2_510, 1_970])
        self.ask()

    async def _join(self) -> None:
        self.db = Database(self.database.service_dsn, pool_max=4)
        await self.db.open()
        self.books = Books(self.db)
        self.keyring = Keyring.parse(PII_KEYS)
        self.keys = await ServiceKeyStore(self.db, self.keyring).keys()
        self.saver_id, wallet_id = uuid4(), new_id()

        async def make(tx: Tx) -> None:
            await users.create(tx, saver_id=self.saver_id, wallet_account_id=wallet_id, keyring=self.keyring)
            await accounts.open_accounts(tx, saver_id=self.saver_id, accounts={wallet_id: AccountKind.WALLET})
            await goals.open_default(tx, saver_id=self.saver_id)
            await rule_service.open_first(tx, saver_id=self.saver_id)
            await tx.execute(
                "UPDATE savings.savers SET created_at = $2 WHERE saver_id = $1",
                self.saver_id,
                NOON - timedelta(days=1),
            )
            await users.link_proven_by_auth(
                tx,
                saver_id=self.saver_id,
                phone=new_phone(),
                issued_at=NOON,
                now=NOON,
                index=self.keys.index,
                keyring=self.keyring,
            )

        await self.db.unit_of_work(make, role=Role.SYSTEM)
        async with self.database.connected("supabase_admin") as admin:
            await admin.execute(
                "UPDATE savings.round_up_rules SET step_cents = 5000 WHERE saver_id = $1", self.saver_id
            )

    # What can happen

    @rule(round_ups=st.lists(st.integers(1, 4_999), min_size=1, max_size=3))
    def spend(self, round_ups: list[int]) -> None:
        """Spend just so much that these are what is missing to the next KES 50."""
        for cents in round_ups:
            told = Spend(
                receipt=new_receipt(),
                saver_id=self.saver_id,
                source=Source.WEBHOOK,
                kind=SpendKind.TILL,
                amount_cents=100_000 - cents,
                event_at=self.now,
                content_digest=b"told",
            )
            self.spends.append(told)
            self._record(told)

    @rule(pick=PICK)
    def reverse(self, pick: int) -> None:
        told = self.spends[pick % len(self.spends)]
        self._record(replace(told, content_digest=b"reversed", is_reversal=True))

    @rule(round_ups=st.lists(st.integers(1, 4_999), max_size=2))
    def spend_and_ask(self, round_ups: list[int]) -> None:
        self.spend(round_ups)
        self.ask()

    def ask(self) -> None:
        """Ask three minutes later than whatever was asked before, so that no prompt is open."""
        self.now += timedelta(minutes=3)
        terms = Terms(feature_enabled=True, shortcode=SHORTCODE, keyring=self.keyring, index=self.keys.index)
        asked = self._as_saver(lambda tx: asking.ask(tx, saver_id=self.saver_id, terms=terms, now=self.now))
        if asked is not None:
            self.collections.append((asked.id, asked.intent_id))

    @rule(pick=PICK)
    def skip(self, pick: int) -> None:
        if self.collections:
            collection_id, _ = self.collections[pick % len(self.collections)]
            self._as_saver(
                lambda tx: asking.skip(tx, saver_id=self.saver_id, collection_id=collection_id, now=self.now)
            )

    @rule(pick=PICK, with_receipt=st.booleans())
    def pay(self, pick: int, *, with_receipt: bool) -> None:
        """M-PESA says that a collection was paid: late, again, or first by a query that has no receipt."""
        if not self.collections:
            return
        collection_id, intent_id = self.collections[pick % len(self.collections)]
        receipt = self.receipts.setdefault(collection_id, new_receipt()) if with_receipt else None
        self.came_in += self.runner.run(self._pay(intent_id, receipt))

    async def _pay(self, intent_id: UUID, receipt: str | None) -> int:
        """Return what came in: a collection that was skipped was never sent, so nobody pays it."""

        async def pay(tx: Tx) -> int:
            intent = await intents.find(tx, saver_id=self.saver_id, intent_id=intent_id)
            assert intent is not None
            if intent.reason in {asking.SKIPPED, asking.REPLACED}:
                return 0
            payment = Payment(
                receipt=receipt,
                amount_cents=intent.amount_cents,
                shortcode=SHORTCODE,
                event_at=self.now,
                callback_id=None,
                channel=Channel.STK_CALLBACK if receipt else Channel.STK_QUERY,
            )
            before = intent.state
            await settlement.settle(tx, intent, payment, intake=self._intake())
            return 0 if before == "settled" else intent.amount_cents

        return await self.db.unit_of_work(pay, role=Role.SYSTEM)

    @rule(pick=PICK, reason=st.sampled_from(["cancelled", "no_answer", "phone_busy"]))
    def fail(self, pick: int, reason: str) -> None:
        _, intent_id = self.collections[pick % len(self.collections)]
        self.runner.run(self._fail(intent_id, reason))

    @rule()
    def fail_at_once(self) -> None:
        self.fail(-1, "cancelled")

    async def _fail(self, intent_id: UUID, reason: str) -> None:
        async def fail(tx: Tx) -> None:
            intent = await intents.find(tx, saver_id=self.saver_id, intent_id=intent_id)
            assert intent is not None
            await settlement.fail(tx, intent, reason=reason, cause=f"stk:{reason}", intake=self._intake())

        await self.db.unit_of_work(fail, role=Role.SYSTEM)

    @rule(pick=PICK)
    def release(self, pick: int) -> None:
        _, intent_id = self.collections[pick % len(self.collections)]
        self.runner.run(
            self.db.unit_of_work(
                lambda tx: collections.release_collection(
                    tx, saver_id=self.saver_id, intent_id=intent_id, now=self.now
                ),
                role=Role.SYSTEM,
            )
        )

    @rule()
    def pay_from_the_wallet(self) -> None:
        self._as_saver(lambda tx: waiting_payments.pay(tx, saver_id=self.saver_id, now=self.now))

    @rule(percent=st.integers(1, 40))
    def open_a_goal(self, percent: int) -> None:
        wanted = GoalCreate(name=f"Goal of {percent}", allocation_percent=percent)
        self._as_saver(lambda tx: goals.create(tx, saver_id=self.saver_id, wanted=wanted))

    @rule(pick=PICK, status=st.sampled_from(["cancelled", "deleted"]))
    def give_up_a_goal(self, pick: int, status: Any) -> None:
        goal = self._goal(pick)
        self._as_saver(
            lambda tx: movements.give_up(tx, saver_id=self.saver_id, goal_id=goal.id, status=status)
        )

    @rule(pick=PICK, cents=st.integers(1, 9_000))
    def take_out(self, pick: int, cents: int) -> None:
        goal = self._goal(pick)
        self._as_saver(
            lambda tx: movements.withdraw(tx, saver_id=self.saver_id, goal_id=goal.id, amount_cents=cents)
        )

    # What must hold all the time

    @invariant()
    def every_cent_is_where_it_should_be(self) -> None:
        broken, held, waiting, open_cents = self.runner.run(self._look())
        assert broken == []
        assert held == self.came_in
        assert waiting == open_cents

    async def _look(self) -> tuple[list[str], int, int, int]:
        async with self.db.transaction(Role.SYSTEM) as tx:
            broken = [
                promise for promise, sql in CHECKS.items() if await tx.fetch_value(UUID, sql, self.saver_id)
            ]
            held = await tx.fetch_value(
                int,
                "SELECT coalesce(sum(balance_cents), 0)::bigint FROM ledger.balances WHERE saver_id = $1",
                self.saver_id,
            )
            open_cents = await tx.fetch_value(
                int,
                "SELECT coalesce(sum(amount_cents - settled_cents), 0)::bigint FROM savings.accruals"
                " WHERE saver_id = $1 AND status = 'waiting'",
                self.saver_id,
            )
            return broken, held or 0, await waiting_cents(tx, saver_id=self.saver_id), open_cents or 0

    def teardown(self) -> None:
        if hasattr(self, "books"):
            self.runner.run(self.books.check())
            self.runner.run(self.db.close())
            self.runner.close()

    # How it happens

    def _policy(self) -> Policy:
        return Policy(
            feature_enabled=True,
            own_shortcodes=frozenset({SHORTCODE}),
            now=self.now,
            keyring=self.keyring,
        )

    def _intake(self) -> Intake:
        return Intake(keys=self.keys, shortcodes=frozenset({SHORTCODE}), policy=self._policy())

    def _record(self, told: Spend) -> None:
        policy = self._policy()
        self.runner.run(
            self.db.unit_of_work(lambda tx: record_spends(tx, [told], policy=policy), role=Role.SYSTEM)
        )

    def _as_saver(self, work: Any) -> Any:
        """Do what a saver may do; None where it is refused, which changes nothing."""

        async def act() -> Any:
            try:
                return await self.db.unit_of_work(work, role=Role.API, saver_id=self.saver_id)
            except Refusal:
                return None

        return self.runner.run(act())

    def _goal(self, pick: int) -> GoalRow:
        async def find() -> list[GoalRow]:
            async with self.db.transaction(Role.SYSTEM) as tx:
                return (await goals.list_by_saver(tx, saver_ids=[self.saver_id]))[self.saver_id]

        found = self.runner.run(find())
        return found[pick % len(found)]


@pytest.fixture
def machine(database: postgres.Database) -> type[Collecting]:
    return type("CollectingHere", (Collecting,), {"database": database})


def test_each_cent_is_settled_once_whatever_happens_in_whatever_order(machine: type[Collecting]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
