"""How often a request waits for the database, counted on the wire. One that is far away makes each wait longer."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import httpx
import pytest
from pydantic import SecretStr

from checks.wire import Wire, wire
from tests.support.app import Api, Serve
from tests.support.payouts import account_of, payer, withdraw
from tests.support.pins import step_up_token
from tests.support.postgres import Database
from tests.support.savers import Saver
from zanari_api.runtime.db import Role

WARM: Final = 3
"""So often each is called before it is counted: connections are made then, and statements prepared."""

STATUSES: Final = frozenset({200, 201, 202})

ROUND_TRIPS: Final = {
    "read the profile": 4,
    "read the wallet": 4,
    "list goals": 4,
    "read a goal": 4,
    "read the feed": 3,
    "list deposits": 3,
    "list withdrawals": 3,
    "list collections": 3,
    "make a goal": 9,
    "move money into a goal": 11,
    "deliver a spend": 14,
    "confirm a payment into the paybill": 15,
    "ask for a deposit": 11,
    "ask for a withdrawal": 17,
}
"""At most so many, COMMIT and what opens the transaction included. Lower one when it is lower; say why it rises."""


@dataclass(frozen=True, slots=True)
class Far:
    """A service that reaches its database over a wire, and a saver of it with money."""

    api: Api
    saver: Saver
    wire: Wire


@pytest.fixture(scope="module")
async def far(database: Database, serve: Serve) -> AsyncIterator[Far]:
    with wire(database.service_dsn) as laid:
        async with serve(database_url=SecretStr(laid.dsn)) as api:
            yield Far(api, await payer(api), laid)


Act = Callable[[], Awaitable[httpx.Response]]


async def acts(far: Far) -> dict[str, Act]:
    """Return what is counted, each as often as it likes to be called."""
    saver = far.saver
    goal = await saver.goal_holding(1_000)
    tokens = [await step_up_token(saver) for _ in range(WARM + 1)]
    account_id = await account_of(saver)
    # One prompt at a time is open on a phone.
    others = [await far.api.new_saver() for _ in range(WARM + 1)]

    def reading(path: str) -> Act:
        return lambda: saver.get(path)

    return {
        "read the profile": reading("/users/me"),
        "read the wallet": reading("/users/me/wallet"),
        "list goals": reading("/goals"),
        "read a goal": reading(f"/goals/{goal['id']}"),
        "read the feed": reading("/transactions"),
        "list deposits": reading("/mpesa/deposits"),
        "list withdrawals": reading("/mpesa/withdrawals"),
        "list collections": reading("/mpesa/collections"),
        "make a goal": lambda: saver.post("/goals", {"name": "Land", "target_cents": 100_000}),
        "move money into a goal": lambda: saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": 100}),
        "deliver a spend": lambda: far.api.tell_spend(14_700, phone=saver.phone or ""),
        "confirm a payment into the paybill": lambda: far.api.pay_in(
            5_000, account_reference=saver.member_code
        ),
        "ask for a deposit": lambda: others.pop().post("/mpesa/deposits", {"amount_cents": 10_000}),
        "ask for a withdrawal": lambda: withdraw(saver, 5_000, account_id=account_id, token=tokens.pop()),
    }


async def test_each_request_waits_for_the_database_no_oftener_than_the_table_says(far: Far) -> None:
    counted: dict[str, int] = {}
    for name, act in (await acts(far)).items():
        for _ in range(WARM + 1):
            before = far.wire.round_trips
            response = await act()
            assert response.status_code in STATUSES, (name, response.text)
            counted[name] = far.wire.round_trips - before
    assert set(counted) == set(ROUND_TRIPS)
    too_many = {name: trips for name, trips in counted.items() if trips > ROUND_TRIPS[name]}
    assert too_many == {}, f"at most {ROUND_TRIPS}, and counted were {counted}"
    assert min(counted.values()) > 0


async def test_a_statement_costs_one_round_trip_and_a_transaction_two_more(far: Far) -> None:
    async def look(statements: int) -> int:
        async with far.api.db.transaction(Role.SYSTEM) as tx:
            for _ in range(statements):
                await tx.fetch_value(int, "SELECT 1")
        return far.wire.round_trips

    await look(1)
    first = await look(0)
    second = await look(1)
    assert (second - first, await look(3) - second) == (3, 5)
