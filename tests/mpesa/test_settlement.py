"""One payment, told of by callback, C2B, query and pull, in any order and any number of times, is credited once."""

import asyncio
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from tests.support.app import SHORTCODE, Api
from tests.support.books import Books
from tests.support.prompts import Prompter
from tests.support.savers import Json, Saver, answered, new_receipt
from tests.support.spends import Recorder, spend_of
from zanari_api.ledger import accounts
from zanari_api.runtime.db import Role
from zanari_api.transactions import receipts

WAYS = ("callback", "c2b", "query", "pull")


@pytest.fixture
def prompter(api: Api) -> Prompter:
    return Prompter(api)


class Telling:
    """One payment for one prompt, and each way in which it is told."""

    def __init__(self, prompter: Prompter, saver: Saver, asked: Json, handle: str) -> None:
        self.prompter = prompter
        self.saver = saver
        self.asked = asked
        self.handle = handle
        self.receipt = new_receipt()

    async def __call__(self, way: str) -> None:
        intent = await self.prompter.intent(self.asked)
        match way:
            case "callback":
                await self.prompter.tell(self.handle, receipt=self.receipt)
            case "c2b":
                await self.prompter.pay(intent, receipt=self.receipt)
            case "query":
                await self.prompter.answer_query(intent)
            case "pull":
                await self.prompter.pull(intent, receipt=self.receipt)
            case "failure":
                await self.prompter.tell(self.handle, code=1032)
            case _:
                raise AssertionError(way)


@pytest.fixture
async def telling(api: Api, saver: Saver, prompter: Prompter) -> Telling:
    asked = await prompter.prompted(saver, 50_000)
    return Telling(prompter, saver, asked, prompter.handle(saver))


async def deposits_of(api: Api, saver: Saver) -> list[tuple[Any, ...]]:
    rows = await api.rows(
        "SELECT receipt, channel, amount_cents, intent_id FROM savings.deposits WHERE saver_id = $1"
        " ORDER BY created_at",
        saver.id,
    )
    return [tuple(row) for row in rows]


async def float_cents(api: Api) -> int:
    held = await api.rows("SELECT FROM ledger.accounts WHERE id = $1", accounts.float_id(SHORTCODE))
    return await api.books.balance(accounts.float_id(SHORTCODE)) if held else 0


async def outcomes(api: Api, saver: Saver) -> list[str]:
    rows = await api.rows(
        "SELECT outcome FROM mpesa.callbacks WHERE saver_id = $1 ORDER BY received_at", saver.id
    )
    return [row["outcome"] for row in rows]


# Every order


@pytest.mark.parametrize("order", [*permutations(WAYS)], ids="-".join)
async def test_in_every_order_the_four_ways_credit_once(
    api: Api, saver: Saver, telling: Telling, order: tuple[str, ...]
) -> None:
    before = await float_cents(api)
    for way in order:
        await telling(way)
    assert await saver.holds() == (50_000, 0, 0)
    assert await float_cents(api) == before + 50_000
    read = await telling.prompter.read(saver, telling.asked)
    assert (read["state"], read["receipt"]) == ("settled", telling.receipt)
    (row,) = await saver.feed()
    assert (row["amount_cents"], row["receipt"]) == (50_000, telling.receipt)
    channel = {"callback": "stk_callback", "query": "stk_query"}.get(order[0], order[0])
    assert await deposits_of(api, saver) == [(telling.receipt, channel, 50_000, UUID(read["id"]))]


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_five_times_over_credits_once(
    api: Api, saver: Saver, telling: Telling, way: str
) -> None:
    await asyncio.gather(*(telling(way) for _ in range(5)))
    assert await saver.holds() == (50_000, 0, 0)
    assert len(await saver.feed()) == 1


async def test_all_ways_at_once_credit_once(api: Api, saver: Saver, telling: Telling) -> None:
    await asyncio.gather(*(telling(way) for way in WAYS * 3))
    assert await saver.holds() == (50_000, 0, 0)
    assert len(await deposits_of(api, saver)) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_success_after_a_failure_counts_whatever_tells_of_it(
    api: Api, saver: Saver, telling: Telling, way: str
) -> None:
    await telling("failure")
    assert await telling.prompter.state(saver, telling.asked) == ("failed", "cancelled")
    await telling(way)
    assert await telling.prompter.state(saver, telling.asked) == ("settled", None)
    assert await saver.holds() == (50_000, 0, 0)


@pytest.mark.parametrize("way", WAYS)
async def test_a_failure_after_a_success_is_superseded(
    api: Api, saver: Saver, telling: Telling, way: str
) -> None:
    await telling(way)
    await telling("failure")
    assert await telling.prompter.state(saver, telling.asked) == ("settled", None)
    assert await saver.holds() == (50_000, 0, 0)
    assert (await outcomes(api, saver))[-1] == "superseded"


async def test_the_same_failure_again_changes_nothing(api: Api, saver: Saver, telling: Telling) -> None:
    await telling("failure")
    await telling.prompter.tell(telling.handle, code=1037)
    assert await telling.prompter.state(saver, telling.asked) == ("failed", "cancelled")
    assert await outcomes(api, saver) == ["failed", "noted"]


# Other payments under the same reference


@pytest.mark.parametrize("first", WAYS)
async def test_another_receipt_under_a_settled_reference_is_a_deposit_of_its_own(
    api: Api, saver: Saver, telling: Telling, first: str
) -> None:
    goal = await saver.goal()
    await telling(first)
    if first == "query":
        await telling("c2b")
    intent = await telling.prompter.intent(telling.asked)
    await telling.prompter.pay(intent, receipt=(other := new_receipt()))
    assert await saver.holds() == (100_000, 0, 0)
    assert (await saver.read_goal(goal))["saved_cents"] == 0
    assert [receipt for receipt, *_ in await deposits_of(api, saver)] == [telling.receipt, other]
    assert (await telling.prompter.intent(telling.asked)).receipt == telling.receipt


async def test_a_prompt_that_is_paid_after_its_reference_was_is_one_more_deposit(
    api: Api, saver: Saver, telling: Telling
) -> None:
    intent = await telling.prompter.intent(telling.asked)
    await telling.prompter.pay(intent, receipt=new_receipt())
    for _ in range(2):
        await telling("callback")
        await telling("c2b")
        await telling("pull")
    assert await saver.holds() == (100_000, 0, 0)
    assert len(await deposits_of(api, saver)) == 2


async def test_another_amount_under_a_reference_is_a_deposit_to_the_wallet_and_settles_nothing(
    api: Api, saver: Saver, telling: Telling
) -> None:
    intent = await telling.prompter.intent(telling.asked)
    for _ in range(2):
        await telling.prompter.pay(intent, receipt=(paid := new_receipt()), cents=40_000)
        await telling.prompter.pull(intent, receipt=paid, cents=40_000)
    assert await saver.holds() == (80_000, 0, 0)
    assert await telling.prompter.state(saver, telling.asked) == ("prompted", None)
    await telling("callback")
    assert await saver.holds() == (130_000, 0, 0)


# Contradictions


async def test_a_callback_of_another_amount_moves_nothing_and_waits_for_a_person(
    api: Api, saver: Saver, telling: Telling
) -> None:
    await telling.prompter.tell(telling.handle, receipt=telling.receipt, cents=60_000)
    assert await saver.holds() == (0, 0, 0)
    assert await telling.prompter.state(saver, telling.asked) == ("unresolved", "amount_mismatch")
    (row,) = await api.rows("SELECT outcome, note FROM mpesa.callbacks WHERE saver_id = $1", saver.id)
    assert tuple(row) == ("quarantined", "amount_mismatch")
    assert await open_breaks(api, telling) == ["prompt_unresolved"]


async def test_after_a_contradiction_a_bare_yes_and_a_no_decide_nothing_but_the_payment_itself_does(
    api: Api, saver: Saver, telling: Telling
) -> None:
    await telling.prompter.tell(telling.handle, receipt=new_receipt(), cents=60_000)
    await telling("query")
    await telling("failure")
    await telling.prompter.later(minutes=10)
    assert await saver.holds() == (0, 0, 0)
    assert await telling.prompter.state(saver, telling.asked) == ("unresolved", "amount_mismatch")
    await telling("c2b")
    assert await saver.holds() == (50_000, 0, 0)
    assert await telling.prompter.state(saver, telling.asked) == ("settled", None)
    assert await open_breaks(api, telling) == []


async def test_another_amount_after_it_was_settled_changes_nothing(
    api: Api, saver: Saver, telling: Telling
) -> None:
    await telling("callback")
    await telling.prompter.tell(telling.handle, receipt=telling.receipt, cents=60_000)
    assert await saver.holds() == (50_000, 0, 0)
    assert (await outcomes(api, saver))[-1] == "quarantined"
    assert await telling.prompter.state(saver, telling.asked) == ("settled", None)
    assert await open_breaks(api, telling) == []
    assert await discrepancies(api, telling.receipt) == [(50_000, 60_000)]


async def test_the_same_receipt_with_another_amount_is_a_named_discrepancy(
    api: Api, saver: Saver, telling: Telling
) -> None:
    await telling("callback")
    intent = await telling.prompter.intent(telling.asked)
    await telling.prompter.pay(intent, receipt=telling.receipt, cents=40_000)
    assert await saver.holds() == (50_000, 0, 0)
    assert (await outcomes(api, saver))[-1] == "duplicate"
    assert await discrepancies(api, telling.receipt) == [(50_000, 40_000)]


async def test_a_receipt_that_is_another_payment_settles_no_prompt(
    api: Api, saver: Saver, telling: Telling
) -> None:
    other = await api.new_saver()
    taken = await other.deposit(50_000)
    await telling.prompter.tell(telling.handle, receipt=taken)
    assert await saver.holds() == (0, 0, 0)
    assert await other.holds() == (50_000, 0, 0)
    assert await telling.prompter.state(saver, telling.asked) == ("unresolved", "receipt_conflict")
    intent = await telling.prompter.intent(telling.asked)
    assert (await telling.prompter.pull(intent, receipt=taken)).outcome == "duplicate"
    assert await saver.holds() == (0, 0, 0)


async def open_breaks(api: Api, telling: Telling) -> list[str]:
    subject = f"intent:{telling.asked['id']}"
    rows = await api.rows("SELECT kind FROM mpesa.breaks WHERE subject = $1 AND closed_at IS NULL", subject)
    return [row["kind"] for row in rows]


async def discrepancies(api: Api, receipt: str) -> list[tuple[int, int]]:
    rows = await api.rows(
        "SELECT first_amount_cents, later_amount_cents FROM mpesa.discrepancies WHERE receipt = $1", receipt
    )
    return [tuple(row) for row in rows]


# Out of suspense


@pytest.mark.parametrize("way", ["callback", "c2b", "pull"])
async def test_a_receipt_in_suspense_is_moved_to_its_intent(
    api: Api, saver: Saver, books: Books, telling: Telling, way: str
) -> None:
    before, held = await float_cents(api), await books.balance(accounts.SUSPENSE)
    await api.pay_in(50_000, account_reference="rent", receipt=telling.receipt)
    assert await books.balance(accounts.SUSPENSE) == held + 50_000
    await telling(way)
    assert await books.balance(accounts.SUSPENSE) == held
    assert await float_cents(api) == before + 50_000
    assert await saver.holds() == (50_000, 0, 0)
    assert (await telling.prompter.intent(telling.asked)).receipt == telling.receipt
    (row,) = await api.rows(
        "SELECT state, resolved_by, evidence FROM mpesa.suspense_items WHERE receipt = $1", telling.receipt
    )
    assert row["state"] == "assigned"
    assert row["evidence"] == f"intent:{telling.asked['id']}"


async def test_what_a_query_had_credited_is_taken_out_of_suspense_and_not_credited_again(
    api: Api, saver: Saver, books: Books, telling: Telling
) -> None:
    before, held = await float_cents(api), await books.balance(accounts.SUSPENSE)
    await telling("query")
    await api.pay_in(50_000, account_reference="rent", receipt=telling.receipt)
    await telling("callback")
    assert await saver.holds() == (50_000, 0, 0)
    assert await books.balance(accounts.SUSPENSE) == held
    assert await float_cents(api) == before + 50_000
    assert (await telling.prompter.intent(telling.asked)).receipt == telling.receipt


async def test_one_more_payment_out_of_suspense_goes_to_the_wallet(
    api: Api, saver: Saver, books: Books, telling: Telling
) -> None:
    held = await books.balance(accounts.SUSPENSE)
    intent = await telling.prompter.intent(telling.asked)
    await telling.prompter.pay(intent, receipt=new_receipt())
    await api.pay_in(50_000, account_reference="rent", receipt=telling.receipt)
    await telling("callback")
    assert await saver.holds() == (100_000, 0, 0)
    assert await books.balance(accounts.SUSPENSE) == held


async def test_a_receipt_in_suspense_of_another_amount_stays_there(
    api: Api, saver: Saver, books: Books, telling: Telling
) -> None:
    await api.pay_in(40_000, account_reference="rent", receipt=telling.receipt)
    held = await books.balance(accounts.SUSPENSE)
    await telling("callback")
    assert await books.balance(accounts.SUSPENSE) == held
    assert await saver.holds() == (0, 0, 0)
    assert await discrepancies(api, telling.receipt) == [(40_000, 50_000)]


# Spends that were none


@pytest.mark.parametrize("order", [("callback",), ("query", "c2b")])
async def test_a_payment_to_us_that_was_rounded_up_as_a_spend_is_undone(
    api: Api, saver: Saver, telling: Telling, order: tuple[str, ...]
) -> None:
    spend = spend_of(saver, cents=14_700, receipt=telling.receipt)
    await Recorder(api)(spend)
    assert (await saver.wallet())["waiting_cents"] == 300
    for way in order:
        await telling(way)
    assert await saver.holds() == (50_000, 0, 0)


async def test_the_receipt_is_counted_as_a_deposit_on_every_channel(
    api: Api, saver: Saver, telling: Telling
) -> None:
    await telling("callback")
    async with api.db.transaction(Role.SYSTEM) as tx:
        (claimed,) = await receipts.find(tx, [telling.receipt])
    assert (claimed.role, claimed.saver_id) == ("deposit", saver.id)
    await api.pay_in(50_000, account_reference=saver.member_code, receipt=telling.receipt)
    assert await saver.holds() == (50_000, 0, 0)


async def test_the_evidence_of_each_way_is_kept(api: Api, saver: Saver, telling: Telling) -> None:
    for way in ("query", "c2b", "callback", "pull"):
        await telling(way)
    assert (await telling.prompter.steps(telling.asked))[3:] == [
        ("settled", "stk_query"),
        ("settled", "receipt:c2b"),
        ("settled", "again:stk_callback"),
        ("settled", "again:pull"),
    ]


async def test_a_prompt_of_nobody_waits_and_is_then_left_to_a_person(api: Api, prompter: Prompter) -> None:
    await prompter.tell("ws_CO_251120261015000007", receipt=(receipt := new_receipt()))
    (row,) = await api.rows("SELECT id, outcome FROM mpesa.callbacks WHERE saver_id IS NULL AND kind = 'stk'")
    assert row["outcome"] == "waiting"
    for hours in (1, 12, 12):
        await prompter.later(hours=hours)
    (after,) = await api.rows("SELECT outcome, note FROM mpesa.callbacks WHERE id = $1", row["id"])
    assert tuple(after) == ("quarantined", "unmatched")
    assert not await api.rows("SELECT FROM savings.deposits WHERE receipt = $1", receipt)


async def test_a_saver_sees_neither_the_events_nor_the_intents_of_others(
    api: Api, saver: Saver, telling: Telling
) -> None:
    other = await api.new_saver()
    async with api.db.transaction(Role.API, other.id) as tx:
        assert not await tx.fetch_all(dict, "SELECT id FROM savings.intents")
        assert not await tx.fetch_all(dict, "SELECT id FROM savings.intent_events")
    assert answered(await saver.get(f"/mpesa/deposits/{telling.asked['id']}"))
