"""The books against a small model of them: whatever is posted, in whatever order, both agree and nothing breaks."""

import asyncio
from dataclasses import dataclass, field, replace
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.ledger.hand import EVENT_AT, FLOAT, Hand, Saver
from tests.support import postgres
from tests.support.books import Books
from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts, balances
from zanari_api.ledger.errors import AccountNotEmpty
from zanari_api.ledger.posting import Transfer
from zanari_api.runtime.db import Database, Role

NOBODY = UUID(int=0)
SAVERS = 2


@dataclass
class Model:
    """The ledger in forty lines of Python: stored balances, positive for a credit."""

    cents: dict[UUID, int] = field(default_factory=dict)
    owed: set[UUID] = field(default_factory=set)
    closed: set[UUID] = field(default_factory=set)
    posted: dict[str, Transfer] = field(default_factory=dict)

    def open(self, saver: Saver) -> None:
        self.cents |= dict.fromkeys((saver.wallet, saver.goal, saver.receivable), 0)
        self.owed.add(saver.receivable)

    def post(self, batch: list[Transfer]) -> list[str]:
        decided: dict[str, tuple[Transfer, str]] = {}
        return [self._post_one(transfer, decided) for transfer in batch]

    def _post_one(self, transfer: Transfer, decided: dict[str, tuple[Transfer, str]]) -> str:
        if (stored := self.posted.get(transfer.key)) and transfer.key not in decided:
            return "exists" if self._alike(stored, transfer) else "key_conflict"
        if transfer.key in decided:
            first, outcome = decided[transfer.key]
            if not self._alike(first, transfer):
                return "key_conflict"
            return "exists" if outcome == "posted" else outcome
        outcome = self._decide(transfer)
        decided[transfer.key] = transfer, outcome
        if outcome == "posted":
            self.posted[transfer.key] = transfer
        return outcome

    def _decide(self, transfer: Transfer) -> str:
        touched = {account_id for account_id, _ in transfer.entries}
        if NOBODY in touched:
            return "unknown_account"
        if touched & self.closed:
            return "closed_account"
        after = dict(self.cents)
        for account_id, cents in transfer.entries:
            after[account_id] = after.get(account_id, 0) + cents
            bounded = account_id in self.cents and account_id != FLOAT
            if bounded and (after[account_id] > 0 if account_id in self.owed else after[account_id] < 0):
                return "insufficient_funds"
        self.cents = after
        return "posted"

    @staticmethod
    def _alike(one: Transfer, other: Transfer) -> bool:
        return (one.kind, sorted(one.entries)) == (other.kind, sorted(other.entries))


class Ledger(RuleBasedStateMachine):
    """Posts batches that collide, overdraw and repeat, on two savers and a float."""

    database: postgres.Database

    @initialize()
    def open_the_books(self) -> None:
        self.runner = asyncio.Runner()
        self.model = Model()
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.db = Database(self.database.service_dsn, pool_max=1)
        await self.db.open()
        self.hand, self.books = Hand(self.db), Books(self.db)
        savers = await self.hand.savers(*[0] * SAVERS)
        for saver in savers:
            self.model.open(saver)
        self.own = list(self.model.cents)
        self.model.cents[FLOAT] = -await self.books.balance(FLOAT)
        self.run_id = new_id()

    def _account(self, number: int) -> UUID:
        return [*self.own, FLOAT, NOBODY][number]

    @rule(
        moves=st.lists(
            st.tuples(
                st.integers(0, 5),
                st.lists(st.tuples(st.integers(0, 3 * SAVERS), st.integers(-60, 60)), min_size=1, max_size=3),
                st.sampled_from(["move", "move", "move", "other"]),
            ),
            min_size=1,
            max_size=6,
        ),
        fresh=st.booleans(),
        stranger=st.booleans(),
    )
    def post(
        self, moves: list[tuple[int, list[tuple[int, int]], str]], *, fresh: bool, stranger: bool
    ) -> None:
        batch: list[Transfer] = []
        for number, legs, kind in moves:
            entries = [(self._account(account), cents) for account, cents in legs if cents]
            rest = -sum(cents for _, cents in entries)
            entries += [(NOBODY if stranger and number == 0 else FLOAT, rest)] if rest else []
            if len(entries) < 2:
                continue
            suffix = new_id() if fresh else number
            batch.append(
                Transfer(key=f"m:{self.run_id}:{suffix}", kind=kind, event_at=EVENT_AT, entries=entries)
            )
        assert self.runner.run(self.hand.outcomes(*batch)) == self.model.post(batch)

    @rule(number=st.integers(0, 5))
    def post_a_known_transfer_again(self, number: int) -> None:
        known = list(self.model.posted.values())
        if known:
            again = replace(known[number % len(known)], id=new_id())
            assert self.runner.run(self.hand.outcomes(again)) == self.model.post([again]) == ["exists"]

    @precondition(lambda self: len(self.model.posted) > 3)  # closed early, little would happen
    @rule(number=st.integers(0, 3 * SAVERS - 1))
    def close(self, number: int) -> None:
        account_id = self.own[number]
        refused = self.runner.run(self._close(account_id))
        assert refused == (self.model.cents[account_id] != 0)
        if not refused:
            self.model.closed.add(account_id)

    async def _close(self, account_id: UUID) -> bool:
        async with self.db.transaction(Role.SYSTEM) as tx:
            try:
                await accounts.close_account(tx, account_id)
            except AccountNotEmpty:
                return True
        return False

    @rule()
    def take_snapshots(self) -> None:
        self.runner.run(self._take_snapshots())

    async def _take_snapshots(self) -> None:
        async with self.db.transaction(Role.SYSTEM) as tx:
            await balances.take_snapshots(tx)

    @invariant()
    def the_books_hold_what_the_model_holds(self) -> None:
        held = self.runner.run(self._held())
        assert held == {
            account_id: -cents if account_id in self.model.owed or account_id == FLOAT else cents
            for account_id, cents in self.model.cents.items()
        }

    async def _held(self) -> dict[UUID, int]:
        async with self.db.transaction(Role.SYSTEM) as tx:
            return await balances.balances(tx, list(self.model.cents))

    def teardown(self) -> None:
        if hasattr(self, "books"):
            self.runner.run(self.books.check())
            self.runner.run(self.db.close())
            self.runner.close()


@pytest.fixture
def machine(database: postgres.Database) -> type[Ledger]:
    return type("LedgerHere", (Ledger,), {"database": database})


def test_the_books_agree_with_the_model_whatever_is_posted(machine: type[Ledger]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
