"""What becomes of each transfer of a batch: every outcome, in order, and what a refusal leaves behind."""

from dataclasses import replace
from datetime import timedelta

import asyncpg
import orjson
import pytest

from tests.ledger.hand import EVENT_AT, FLOAT, Hand, move
from tests.support.books import Books
from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts, posting
from zanari_api.ledger.errors import AccountClosed, InsufficientFunds, KeyConflict, UnknownAccount
from zanari_api.ledger.posting import Outcome, Transfer
from zanari_api.runtime.db import Role


async def test_a_posted_transfer_moves_its_cents(hand: Hand, books: Books) -> None:
    saver = await hand.saver(wallet_cents=1_000)
    transfer = move(300, source=saver.wallet, target=saver.goal)

    (posted,) = await hand.post(transfer)

    assert (posted.outcome, posted.transfer_id) == (Outcome.POSTED, transfer.id)
    assert await books.balance(saver.wallet) == 700
    assert await books.balance(saver.goal) == 300


async def test_an_empty_batch_has_no_outcomes(hand: Hand) -> None:
    assert await hand.post() == []


async def test_the_same_transfer_again_exists_and_answers_with_the_original(hand: Hand, books: Books) -> None:
    saver = await hand.saver(wallet_cents=1_000)
    original = move(300, source=saver.wallet, target=saver.goal, spend_id="7")
    await hand.post(original)
    again = replace(original, id=new_id(), entries=list(reversed(original.entries)))

    (posted,) = await hand.post(again)

    assert (posted.outcome, posted.transfer_id) == (Outcome.EXISTS, original.id)
    assert posted.stands
    assert await books.balance(saver.goal) == 300


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "other"},
        {"event_at": EVENT_AT + timedelta(microseconds=1)},
        {"metadata": {"spend_id": "8"}},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_key_with_other_content_conflicts(hand: Hand, change: dict[str, object]) -> None:
    saver = await hand.saver(wallet_cents=1_000)
    original = move(300, source=saver.wallet, target=saver.goal, spend_id="7")
    await hand.post(original)

    (posted,) = await hand.post(replace(original, **change))

    assert (posted.outcome, posted.transfer_id) == (Outcome.KEY_CONFLICT, original.id)
    assert not posted.stands


async def test_a_key_with_other_entries_conflicts_and_moves_nothing(hand: Hand, books: Books) -> None:
    saver = await hand.saver(wallet_cents=1_000)
    original = move(300, source=saver.wallet, target=saver.goal)
    await hand.post(original)
    more = replace(original, entries=[(saver.wallet, -301), (saver.goal, 301)])
    elsewhere = replace(original, entries=[(saver.wallet, -300), (accounts.SUSPENSE, 300)])

    assert await hand.outcomes(more, elsewhere) == ["key_conflict", "key_conflict"]
    assert await books.balance(saver.wallet) == 700


async def test_an_id_under_another_key_conflicts(hand: Hand) -> None:
    saver = await hand.saver(wallet_cents=1_000)
    original = move(300, source=saver.wallet, target=saver.goal)
    await hand.post(original)

    assert await hand.outcomes(replace(original, key=f"move:{new_id()}")) == ["key_conflict"]


async def test_the_key_speaks_before_the_id(hand: Hand) -> None:
    saver = await hand.saver(wallet_cents=1_000)
    one, other = (move(cents, source=saver.wallet, target=saver.goal) for cents in (10, 20))
    await hand.post(one, other)

    crossed = await hand.post(replace(one, id=other.id), replace(other, id=one.id))

    assert [(p.outcome, p.transfer_id) for p in crossed] == [("exists", one.id), ("exists", other.id)]


async def test_a_refusal_stores_nothing_so_the_same_key_posts_later(hand: Hand, books: Books) -> None:
    saver = await hand.saver()
    transfer = move(300, source=saver.wallet, target=saver.goal)

    (refused,) = await hand.post(transfer)
    await hand.post(move(300, source=FLOAT, target=saver.wallet))
    (posted,) = await hand.post(transfer)

    assert (refused.outcome, refused.transfer_id) == (Outcome.INSUFFICIENT_FUNDS, None)
    assert posted.outcome is Outcome.POSTED
    assert await books.balance(saver.wallet) == 0


async def test_a_wallet_can_be_emptied_to_the_last_cent_and_no_further(hand: Hand) -> None:
    saver = await hand.saver(wallet_cents=100)

    assert await hand.outcomes(
        move(101, source=saver.wallet, target=saver.goal),
        move(100, source=saver.wallet, target=saver.goal),
        move(1, source=saver.wallet, target=saver.goal),
    ) == ["insufficient_funds", "posted", "insufficient_funds"]


async def test_each_transfer_of_a_batch_sees_what_its_predecessors_left(hand: Hand, books: Books) -> None:
    saver = await hand.saver()
    fund = move(100, source=FLOAT, target=saver.wallet)
    save = move(100, source=saver.wallet, target=saver.goal)

    assert await hand.outcomes(save, fund, replace(save, id=new_id(), key=f"move:{new_id()}")) == [
        "insufficient_funds",
        "posted",
        "posted",
    ]
    assert await books.balance(saver.goal) == 100


async def test_what_a_refused_transfer_would_have_brought_is_not_there_for_the_next(hand: Hand) -> None:
    saver = await hand.saver(wallet_cents=50)
    too_much = Transfer(
        key=f"split:{new_id()}",
        kind="split",
        event_at=EVENT_AT,
        entries=[(saver.goal, 60), (saver.wallet, -40), (accounts.SUSPENSE, 40), (saver.wallet, -60)],
    )
    from_goal = move(1, source=saver.goal, target=saver.wallet)
    whole_wallet = move(50, source=saver.wallet, target=saver.goal)

    assert await hand.outcomes(too_much, from_goal, whole_wallet) == [
        "insufficient_funds",
        "insufficient_funds",
        "posted",
    ]


async def test_a_balance_may_not_dip_below_zero_inside_one_transfer(hand: Hand) -> None:
    saver = await hand.saver()
    there_and_back = [(saver.wallet, -5), (saver.wallet, 5)]
    transfer = Transfer(key=f"dip:{new_id()}", kind="dip", event_at=EVENT_AT, entries=there_and_back)

    assert await hand.outcomes(transfer) == ["insufficient_funds"]
    assert await hand.outcomes(replace(transfer, entries=there_and_back[::-1])) == ["posted"]


async def test_a_receivable_grows_and_is_paid_back_but_never_overpaid(hand: Hand, books: Books) -> None:
    saver = await hand.saver(wallet_cents=100)

    assert await hand.outcomes(
        move(80, source=saver.receivable, target=FLOAT),
        move(81, source=saver.wallet, target=saver.receivable),
        move(30, source=saver.wallet, target=saver.receivable),
    ) == ["posted", "insufficient_funds", "posted"]
    assert await books.balance(saver.receivable) == 50


async def test_refusals_leave_their_neighbours_alone_and_answers_keep_the_input_order(hand: Hand) -> None:
    saver = await hand.saver(wallet_cents=100)
    known = move(1, source=saver.wallet, target=saver.goal)
    await hand.post(known)

    assert await hand.outcomes(
        move(10, source=saver.wallet, target=saver.goal, key=f"z:{new_id()}"),
        move(10, source=saver.wallet, target=new_id()),
        known,
        move(1_000, source=saver.wallet, target=saver.goal),
        replace(known, kind="other"),
        move(10, source=saver.wallet, target=saver.goal, key=f"a:{new_id()}"),
    ) == ["posted", "unknown_account", "exists", "insufficient_funds", "key_conflict", "posted"]


async def test_in_one_batch_the_first_of_a_key_decides(hand: Hand, books: Books) -> None:
    saver = await hand.saver(wallet_cents=100)
    first = move(60, source=saver.wallet, target=saver.goal)
    again = replace(first, id=new_id())
    other = replace(first, id=new_id(), kind="other")
    under_its_id = replace(first, key=f"move:{new_id()}")

    posted = await hand.post(first, again, other, under_its_id)

    assert [p.outcome for p in posted] == ["posted", "exists", "key_conflict", "key_conflict"]
    assert {p.transfer_id for p in posted} == {first.id}
    assert await books.balance(saver.goal) == 60


async def test_in_one_batch_a_refused_first_refuses_its_copies(hand: Hand) -> None:
    saver = await hand.saver()
    first = move(60, source=saver.wallet, target=saver.goal)
    fund = move(60, source=FLOAT, target=saver.wallet)

    assert await hand.outcomes(first, fund, replace(first, id=new_id())) == [
        "insufficient_funds",
        "posted",
        "insufficient_funds",
    ]


async def test_a_copy_of_a_known_transfer_exists_however_often_it_comes(hand: Hand) -> None:
    saver = await hand.saver(wallet_cents=100)
    known = move(60, source=saver.wallet, target=saver.goal)
    await hand.post(known)

    assert await hand.outcomes(known, replace(known, id=new_id())) == ["exists", "exists"]


async def test_a_closed_account_refuses_and_an_unknown_one_before_it(hand: Hand) -> None:
    saver = await hand.saver(wallet_cents=100)
    async with hand.db.transaction(Role.SYSTEM) as tx:
        await accounts.close_account(tx, saver.goal)
    both = Transfer(
        key=f"both:{new_id()}",
        kind="both",
        event_at=EVENT_AT,
        entries=[(saver.goal, 10), (new_id(), 10), (saver.wallet, -20)],
    )

    assert await hand.outcomes(
        move(10, source=saver.wallet, target=saver.goal),
        move(10_000, source=saver.wallet, target=saver.goal),
        both,
    ) == ["closed_account", "closed_account", "unknown_account"]


async def test_what_was_posted_before_closing_still_exists(hand: Hand) -> None:
    saver = await hand.saver()
    emptied = [
        move(10, source=FLOAT, target=saver.goal),
        move(10, source=saver.goal, target=FLOAT),
    ]
    await hand.post(*emptied)
    async with hand.db.transaction(Role.SYSTEM) as tx:
        await accounts.close_account(tx, saver.goal)

    assert await hand.outcomes(*emptied) == ["exists", "exists"]


async def test_a_savers_request_cannot_touch_another_savers_account(hand: Hand, books: Books) -> None:
    mine, theirs = await hand.savers(100, 100)

    posted = await hand.post(
        move(10, source=theirs.wallet, target=mine.wallet),
        move(10, source=mine.wallet, target=theirs.goal),
        move(10, source=mine.wallet, target=mine.goal),
        move(10, source=mine.goal, target=accounts.IN_FLIGHT),
        move(10, source=accounts.FUNDING, target=mine.wallet),
        role=Role.API,
        saver_id=mine.id,
    )

    assert [p.outcome for p in posted] == [
        "unknown_account",
        "unknown_account",
        "posted",
        "posted",
        "unknown_account",
    ]
    assert await books.balance(theirs.wallet) == 100


async def test_a_request_that_names_no_saver_reaches_no_saver(hand: Hand) -> None:
    saver = await hand.saver(wallet_cents=100)

    (posted,) = await hand.post(move(10, source=saver.wallet, target=saver.goal), role=Role.API)

    assert posted.outcome is Outcome.UNKNOWN_ACCOUNT


async def test_entries_keep_the_running_balance_and_versions_without_gaps(hand: Hand) -> None:
    saver = await hand.saver(wallet_cents=100)
    await hand.post(
        move(30, source=saver.wallet, target=saver.goal),
        move(500, source=saver.wallet, target=saver.goal),
        move(20, source=saver.wallet, target=saver.goal),
    )

    async with hand.db.transaction(Role.SYSTEM) as tx:
        chain = await tx.fetch_all(
            dict,
            "SELECT e.account_version AS v, e.account_previous_cents AS p, e.account_current_cents AS c"
            " FROM ledger.entries AS e WHERE e.account_id = $1 ORDER BY e.account_version",
            saver.wallet,
        )
        of_float = await tx.fetch_value(
            int, "SELECT count(e.account_version) FROM ledger.entries AS e WHERE e.account_id = $1", FLOAT
        )

    assert [(row["v"], row["p"], row["c"]) for row in chain] == [(1, 0, 100), (2, 100, 70), (3, 70, 50)]
    assert of_float == 0


async def test_both_times_and_the_metadata_are_kept(hand: Hand) -> None:
    saver = await hand.saver()
    transfer = move(10, source=FLOAT, target=saver.wallet, deposit_id="9", channel="c2b")
    await hand.post(transfer)

    async with hand.db.transaction(Role.SYSTEM) as tx:
        row = await tx.fetch_one(
            dict,
            "SELECT t.event_at, t.posted_at > t.event_at AS later, t.metadata::text AS metadata"
            " FROM ledger.transfers AS t WHERE t.id = $1",
            transfer.id,
        )

    assert row is not None
    assert row["event_at"] == EVENT_AT
    assert orjson.loads(row["metadata"]) == {"deposit_id": "9", "channel": "c2b"}


GOOD = {
    "id": "01900000-0000-7000-8000-000000000001",
    "key": "malformed:1",
    "kind": "move",
    "event_at": "2026-11-23T09:30:00Z",
    "entries": [[str(accounts.SUSPENSE), -5], [str(accounts.FUNDING), 5]],
}


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"key": None},
        {"kind": None},
        {"event_at": None},
        {"entries": []},
        {"entries": [[str(accounts.SUSPENSE), -5], [str(accounts.FUNDING), 4]]},
        {"entries": [[str(accounts.SUSPENSE), 5]]},
        {"entries": [[str(accounts.SUSPENSE), 0], [str(accounts.FUNDING), 0]]},
        {"entries": [[str(accounts.SUSPENSE), None], [str(accounts.FUNDING), 5]]},
        {"entries": [[None, -5], [str(accounts.FUNDING), 5]]},
    ],
    ids=str,
)
async def test_a_batch_nobody_should_build_fails_whole(
    hand: Hand, books: Books, change: dict[str, object]
) -> None:
    before = await books.balance(accounts.FUNDING)
    good = {**GOOD, "id": str(new_id()), "key": f"good:{new_id()}"}
    batch = orjson.dumps([good, {**GOOD, **change}]).decode()

    with pytest.raises(asyncpg.DataError) as raised:
        async with hand.db.transaction(Role.SYSTEM) as tx:
            await tx.execute(posting.POST, batch)

    assert raised.value.sqlstate == "22023"
    assert await books.balance(accounts.FUNDING) == before


async def test_a_fraction_of_a_cent_is_no_amount(hand: Hand) -> None:
    batch = orjson.dumps(
        [{**GOOD, "entries": [[str(accounts.SUSPENSE), -0.5], [str(accounts.FUNDING), 0.5]]}]
    )

    with pytest.raises(asyncpg.DataError):
        async with hand.db.transaction(Role.SYSTEM) as tx:
            await tx.execute(posting.POST, batch.decode())


async def test_what_json_cannot_say_has_no_place_in_a_transfer(hand: Hand) -> None:
    with pytest.raises(TypeError):
        await hand.post(move(1, source=FLOAT, target=accounts.SUSPENSE, oops=object()))


async def test_ids_as_the_driver_gives_them_are_ids(hand: Hand) -> None:
    await hand.saver()
    async with hand.db.transaction(Role.SYSTEM) as tx:
        from_driver = await tx.fetch_value(
            object, "SELECT a.id FROM ledger.accounts AS a WHERE a.id = $1", FLOAT
        )

    assert type(from_driver) is not type(FLOAT)
    assert await hand.outcomes(move(1, source=from_driver, target=accounts.SUSPENSE)) == ["posted"]


async def test_the_first_payment_to_a_shortcode_opens_its_floats_and_counts_as_posted(hand: Hand) -> None:
    target = accounts.float_id("700700")
    async with hand.db.transaction(Role.SYSTEM) as tx:
        first = await posting.post_paid_in(
            tx, move(10, source=target, target=accounts.SUSPENSE), shortcode="700700"
        )
        second = await posting.post_paid_in(
            tx, move(5, source=target, target=accounts.SUSPENSE), shortcode="700700"
        )
        counted = [fact.labels[1] for fact in tx.facts if fact.name == "ledger_post"]
    assert first.stands
    assert second.stands
    assert counted == ["posted", "posted"]


async def test_a_payment_for_an_account_that_is_not_there_is_counted_so_once(hand: Hand) -> None:
    async with hand.db.transaction(Role.SYSTEM) as tx:
        refused = await posting.post_paid_in(tx, move(10, source=FLOAT, target=new_id()), shortcode="700700")
        counted = [fact.labels[1] for fact in tx.facts if fact.name == "ledger_post"]
    assert (refused.outcome, refused.stands) == (Outcome.UNKNOWN_ACCOUNT, False)
    assert counted == ["unknown_account"]


async def test_posting_one_returns_it_or_raises_what_stands_against_it(hand: Hand, books: Books) -> None:
    saver = await hand.saver(wallet_cents=100)
    good = move(100, source=saver.wallet, target=FLOAT)
    async with hand.db.transaction(Role.SYSTEM) as tx:
        assert (await posting.post_one(tx, good)).outcome is Outcome.POSTED
        assert (await posting.post_one(tx, good)).outcome is Outcome.EXISTS
        with pytest.raises(InsufficientFunds):
            await posting.post_one(tx, move(1, source=saver.wallet, target=FLOAT))
        with pytest.raises(UnknownAccount):
            await posting.post_one(tx, move(1, source=new_id(), target=FLOAT))
        with pytest.raises(KeyConflict):
            await posting.post_one(tx, replace(good, kind="other"))
        await accounts.close_account(tx, saver.wallet)
        with pytest.raises(AccountClosed):
            await posting.post_one(tx, move(1, source=FLOAT, target=saver.wallet))
    assert await books.balance(saver.wallet) == 0
