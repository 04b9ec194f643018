"""Many connections at once, with real commits: nothing is lost, doubled, overdrawn or stuck."""

import asyncio
from collections import Counter

import asyncpg
import pytest

from tests.ledger.hand import FLOAT, Hand, move
from tests.support import postgres
from tests.support.books import Books
from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts, posting
from zanari_api.ledger.errors import AccountNotEmpty
from zanari_api.ledger.posting import Outcome, Transfer
from zanari_api.runtime.db import Role


async def test_of_a_hundred_withdrawals_of_a_balance_for_ten_exactly_ten_succeed(
    hand: Hand, books: Books
) -> None:
    saver = await hand.saver(wallet_cents=1_000)

    outcomes = await asyncio.gather(
        *(hand.outcomes(move(100, source=saver.wallet, target=accounts.IN_FLIGHT)) for _ in range(100))
    )

    assert Counter(outcome for (outcome,) in outcomes) == {"posted": 10, "insufficient_funds": 90}
    assert await books.balance(saver.wallet) == 0


async def test_transfers_in_opposite_directions_do_not_deadlock(hand: Hand, books: Books) -> None:
    one, other = await hand.savers(10_000, 10_000)

    async def to_and_fro(number: int) -> list[str]:
        there = move(1, source=one.wallet, target=other.wallet)
        back = move(1, source=other.wallet, target=one.wallet)
        # Not through the unit of work, which would run a deadlock's victim again and hide it.
        async with hand.db.transaction(Role.SYSTEM) as tx:
            batch = [there, back] if number % 2 else [back, there]
            return [posted.outcome for posted in await posting.post(tx, batch)]

    outcomes = await asyncio.gather(*(to_and_fro(number) for number in range(200)))

    assert Counter(outcome for pair in outcomes for outcome in pair) == {"posted": 400}
    assert [await books.balance(saver.wallet) for saver in (one, other)] == [10_000, 10_000]


async def test_one_key_from_many_connections_posts_once(hand: Hand, books: Books) -> None:
    saver = await hand.saver()
    key = f"deposit:{new_id()}"

    answers = await asyncio.gather(
        *(hand.post(move(700, source=FLOAT, target=saver.wallet, key=key)) for _ in range(40))
    )

    assert Counter(posted.outcome for (posted,) in answers) == {Outcome.POSTED: 1, Outcome.EXISTS: 39}
    assert len({posted.transfer_id for (posted,) in answers}) == 1
    assert await books.balance(saver.wallet) == 700


async def test_one_key_on_system_accounts_only_posts_once_too(hand: Hand, books: Books) -> None:
    """No balance row is locked here: the unique key alone decides, and the loser's unit of work runs again."""
    await hand.saver()
    before = await books.balance(accounts.SUSPENSE)
    key = f"unmatched:{new_id()}"

    answers = await asyncio.gather(
        *(hand.post(move(700, source=FLOAT, target=accounts.SUSPENSE, key=key)) for _ in range(20))
    )

    assert Counter(posted.outcome for (posted,) in answers) == {Outcome.POSTED: 1, Outcome.EXISTS: 19}
    assert await books.balance(accounts.SUSPENSE) - before == 700


async def test_losing_a_key_to_a_running_transaction_asks_for_a_new_run(
    database: postgres.Database, hand: Hand
) -> None:
    await hand.saver()
    key, fields = f"unmatched:{new_id()}", {"source": FLOAT, "target": accounts.SUSPENSE}

    async with hand.db.transaction(Role.SYSTEM) as first:
        await posting.post(first, [move(5, key=key, **fields)])
        loser = asyncio.create_task(_post_alone(hand, move(5, key=key, **fields)))
        await _until_somebody_waits(database)
    with pytest.raises(asyncpg.SerializationError):
        await loser


async def test_batches_that_share_keys_in_opposite_order_do_not_deadlock(hand: Hand) -> None:
    await hand.saver()

    async def meet(keys: list[str]) -> str:
        transfers = [move(3, source=FLOAT, target=accounts.SUSPENSE, key=key) for key in keys]
        try:
            await _post_alone(hand, *transfers)
        except asyncpg.SerializationError:
            return "run again"
        return "posted"

    for _ in range(20):
        keys = [f"unmatched:{new_id()}" for _ in range(20)]
        answers = await asyncio.gather(*(meet(keys[:: 1 if number % 2 else -1]) for number in range(6)))
        assert set(answers) <= {"posted", "run again"}


async def test_an_account_closes_between_postings_or_not_at_all(hand: Hand, books: Books) -> None:
    for _ in range(10):
        saver = await hand.saver()
        *outcomes, closed = await asyncio.gather(
            *(hand.outcomes(move(5, source=FLOAT, target=saver.goal)) for _ in range(4)),
            _close(hand, saver.goal),
        )
        posted = [outcome for (outcome,) in outcomes].count("posted")
        assert {outcome for (outcome,) in outcomes} <= {"posted", "closed_account"}
        assert closed == (posted == 0)
        assert await books.balance(saver.goal) == posted * 5


async def test_a_check_while_money_moves_finds_nothing(hand: Hand, books: Books) -> None:
    savers = await hand.savers(*[1_000] * 4)

    async def move_about() -> None:
        for _ in range(15):
            await hand.post(*(move(1, source=saver.wallet, target=saver.goal) for saver in savers))

    async def look() -> None:
        for _ in range(10):
            await books.check()

    await asyncio.gather(*(move_about() for _ in range(4)), look())
    assert [await books.balance(saver.goal) for saver in savers] == [60] * 4


async def _post_alone(hand: Hand, *transfers: Transfer) -> None:
    async with hand.db.transaction(Role.SYSTEM) as tx:
        await posting.post(tx, transfers)


async def _until_somebody_waits(database: postgres.Database) -> None:
    async with database.connected("supabase_admin") as connection:
        while not await connection.fetchval(  # noqa: ASYNC110 (nobody in this process could set an event)
            "SELECT count(*) FROM pg_locks AS l WHERE NOT l.granted AND l.locktype = 'transactionid'"
        ):
            await asyncio.sleep(0.01)


async def _close(hand: Hand, account_id: object) -> bool:
    async with hand.db.transaction(Role.SYSTEM) as tx:
        try:
            await accounts.close_account(tx, account_id)
        except AccountNotEmpty:
            return False
    return True
