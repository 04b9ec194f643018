"""Safaricom's books: every cent is somewhere, whatever happens, and the same seed tells the same story."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.safaricom.caller import OTIENO, PAYBILL, PAYER, WANJIKU, Caller, HandClock, Listener
from zanari_api.sandbox.safaricom.books import Account, Books, Kind, Opening, Overdrawn, Position, Story
from zanari_api.sandbox.safaricom.c2b import PaymentRefused
from zanari_api.sandbox.safaricom.core import Delays
from zanari_api.sandbox.safaricom.corrections import NotReversible
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.sandbox.safaricom.faults import FaultPlan
from zanari_api.sandbox.safaricom.server import serving

NOW = datetime(2026, 11, 25, 7, 15, tzinfo=UTC)
STORY = Story(kind=Kind.PAY_BILL, details="Pay Bill", msisdn=WANJIKU)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["600000", "600001"]),
            st.lists(
                st.tuples(st.sampled_from(list(Account)), st.integers(-500, 500)), min_size=1, max_size=3
            ),
        )
    )
)
def test_a_position_is_its_opening_and_its_movements(posts: list[Any]) -> None:
    opening = Opening(utility_cents=700, working_cents=50, charges_paid_cents=-30)
    books = Books({"600000": opening, "600001": Position()})
    for number, (shortcode, changes) in enumerate(posts):
        before = books.position()
        try:
            books.post(str(number), NOW, shortcode, [(*change, STORY) for change in changes])
        except Overdrawn:
            assert books.position() == before
    for shortcode, begun in books.openings.items():
        for account in Account:
            mine = [one for one in books.movements if (one.shortcode, one.account) == (shortcode, account)]
            held = getattr(begun, f"{account}_cents")
            for movement in mine:
                held += movement.change_cents
                assert movement.balance_cents == held
            assert books.balance(shortcode, account) == held
            assert held >= 0 or account is Account.CHARGES_PAID


def test_an_overdraft_is_refused_whole() -> None:
    books = Books({"600000": Opening(utility_cents=100)})
    with pytest.raises(Overdrawn):
        books.post("A", NOW, "600000", [(Account.WORKING, 100, STORY), (Account.UTILITY, -101, STORY)])
    assert books.movements == []
    assert books.find("A") == []


def test_only_the_same_amount_by_the_same_customer_was_paid_lately() -> None:
    books = Books({"600000": Opening(), "600001": Opening()})
    books.post("A", NOW, "600000", [(Account.UTILITY, 100, STORY)])

    def lately(**changes: Any) -> bool:
        asked = {"shortcode": "600000", "msisdn": WANJIKU, "amount_cents": 100, "at": NOW} | changes
        return books.paid_lately(**asked, within=timedelta(minutes=2))

    assert lately()
    assert not lately(shortcode="600001")
    assert not lately(msisdn=OTIENO)
    assert not lately(amount_cents=101)
    assert not lately(at=NOW + timedelta(minutes=2))


async def wander(caller: Caller, seed: int, clock: HandClock) -> None:
    """Do many things in an order that the seed decides."""
    chance = random.Random(seed)
    emulator = caller.emulator
    receipts = ["UKP1234567"]
    for number in range(50):
        msisdn = chance.choice([WANJIKU, OTIENO])
        shillings = chance.choice([9, 10, 100, 250, 4_000, 90_000])
        behaviour = chance.choice(["approve", "approve", "cancel"])
        ours = f"ours-{chance.randrange(30)}"
        await emulator.set_handset(msisdn, behaviour=behaviour)
        try:
            match chance.randrange(7):
                case 0 | 1:
                    response = await caller.push(Amount=shillings, PartyA=msisdn, PhoneNumber=msisdn)
                    caller.token = caller.token if response.is_success else ""
                case 2 | 3:
                    response = await caller.pay(
                        OriginatorConversationID=ours, Amount=shillings, PartyB=msisdn
                    )
                    caller.token = caller.token if response.is_success else ""
                case 4:
                    made = await emulator.pay_bill(
                        amount_cents=shillings * 100 + 5, account_reference=str(number), msisdn=msisdn
                    )
                    receipts.append(made.receipt)
                case 5:
                    await emulator.reverse(chance.choice(receipts))
                case _:
                    source, target = chance.sample(list(Account)[:2], 2)
                    await emulator.move_float(PAYER, source=source, target=target, amount_cents=shillings)
        except (httpx.TransportError, PaymentRefused, NotReversible, Overdrawn):
            caller.token = ""
        await clock.move(chance.choice([0, 1, 30, 200]))
    for _ in range(10):
        await clock.move(2_000)
    await emulator.drain()


def opened() -> dict[str, Position]:
    return {
        PAYBILL: Opening(utility_cents=50_000),
        PAYER: Opening(utility_cents=20_000_000, working_cents=300_000),
    }


async def wandered(seed: int, rate_percent: int, listener: Listener) -> tuple[SafaricomEmulator, list[Any]]:
    clock = HandClock()
    emulator = SafaricomEmulator(clock=clock, seed=seed, delays=Delays.none(), shortcodes=opened())
    async with serving(emulator) as url, httpx.AsyncClient(base_url=url, timeout=0.1) as client:
        caller = Caller(client, emulator, listener)
        await caller.register()
        emulator.faults = FaultPlan.seeded(seed, rate_percent)
        await wander(caller, seed, clock)
    return emulator, [(one.receipt, one.account, one.change_cents) for one in emulator.books.movements]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_cent_is_made_or_lost_under_faults(seed: int, listener: Listener) -> None:
    emulator, _ = await wandered(seed, 25, listener)
    assert emulator.records.payouts
    customers = sum(emulator.handset(msisdn).balance_cents - 15_000_000 for msisdn in (WANJIKU, OTIENO))
    kinds = {one.story.kind for one in emulator.books.movements}
    fees = -sum(one.change_cents for one in emulator.books.movements if one.story.kind is Kind.CHARGE)
    held = sum(
        position.utility_cents + position.working_cents + position.charges_paid_cents
        for position in emulator.books.position().values()
    )
    begun = sum(one.utility_cents + one.working_cents for one in opened().values())
    assert {Kind.PAY_BILL, Kind.PAYOUT, Kind.PROMPTED} <= kinds
    assert fees > 0
    assert held + customers + fees == begun
    by_id = [one for one in emulator.books.movements if one.story.kind is Kind.PAYOUT]
    assert len({one.receipt for one in by_id}) == len(by_id)


async def test_the_same_seed_tells_the_same_story(listener: Listener) -> None:
    first, second, other = [
        (await wandered(seed, rate, listener))[1] for seed, rate in [(5, 0), (5, 0), (6, 0)]
    ]
    assert first == second
    assert first != other


async def test_every_genuine_success_is_in_the_books(caller: Caller) -> None:
    await caller.push()
    await caller.pay()
    await caller.emulator.quiet()
    [stk, b2c] = [delivery.fields() for delivery in caller.emulator.deliveries]
    metadata: Any = stk["Body"]["stkCallback"]["CallbackMetadata"]["Item"]  # type: ignore[index]
    receipts = [item["Value"] for item in metadata if item["Name"] == "MpesaReceiptNumber"]
    receipts.append(b2c["Result"]["TransactionID"])  # type: ignore[index]
    assert all(caller.emulator.books.find(receipt) for receipt in receipts)
