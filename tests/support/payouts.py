"""What tests do with payouts: savers who can withdraw, withdrawals with a PIN, what became of each, both books."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import httpx

from tests.support.app import B2C_SHORTCODE, Api
from tests.support.pins import step_up_token, with_pin
from tests.support.savers import NEW, Json, Saver, answered, new_key
from tests.support.two_books import accounts_held, book_openings, floats_held
from zanari_api.ledger import accounts
from zanari_api.sandbox.safaricom.books import Kind

LEAST_LEAP: Final = timedelta(minutes=5)
MOST_LEAP: Final = timedelta(minutes=30)

FROM_PIN: Final = object()
"""Stands for a token that is earned by the PIN just before."""


async def payer(api: Api, *, cents: int = 500_000, goal_cents: int = 0) -> Saver:
    """Return a saver with a PIN and money in the wallet; our books know what the emulator's floats began with."""
    await book_openings(api)
    saver = await with_pin(await api.new_saver())
    if cents:
        await saver.deposit(cents)
    if goal_cents:
        await saver.goal_holding(goal_cents)
    return saver


async def account_of(saver: Saver) -> UUID:
    """Return the id of the saver's number."""
    (row,) = await saver.api.rows(
        "SELECT id FROM savings.mpesa_accounts WHERE saver_id = $1 AND unlinked_at IS NULL", saver.id
    )
    return row["id"]


async def withdraw(
    saver: Saver,
    cents: int,
    *,
    goal: Json | None = None,
    account_id: object = None,
    token: object = FROM_PIN,
    key: object = NEW,
) -> httpx.Response:
    """Ask for a withdrawal, with a token of the PIN unless `token` gives one; None sends none."""
    headers = {"Authorization": f"Bearer {saver.token}"}
    if key is not None:
        headers["Idempotency-Key"] = new_key() if key is NEW else str(key)
    if token is FROM_PIN:
        token = await step_up_token(saver)
    if token is not None:
        headers["X-Step-Up-Token"] = str(token)
    body: Json = {"amount_cents": cents, "account_id": str(account_id or await account_of(saver))}
    if goal is not None:
        body["goal_id"] = goal["id"]
    return await saver.api.client.post("/api/v1/mpesa/withdrawals", json=body, headers=headers)


async def withdrawing(saver: Saver, cents: int = 50_000, *, goal: Json | None = None) -> "Withdrawing":
    """Ask for a withdrawal that is taken on."""
    taken_on = answered(await withdraw(saver, cents, goal=goal), 202)
    return Withdrawing(saver, UUID(taken_on["id"]), cents)


@dataclass(frozen=True, slots=True)
class Withdrawing:
    """One payout that was taken on, as the saver, the tables and Safaricom see it."""

    saver: Saver
    id: UUID
    cents: int

    @property
    def api(self) -> Api:
        return self.saver.api

    async def read(self) -> Json:
        """Read it as the saver does."""
        return answered(await self.saver.get(f"/mpesa/withdrawals/{self.id}"))

    async def state(self) -> str:
        return (await self.read())["state"]

    async def row(self) -> Json:
        """Return it as stored."""
        (row,) = await self.api.rows("SELECT * FROM savings.payouts WHERE id = $1", self.id)
        return dict(row)

    async def steps(self) -> list[str]:
        """Return the states it came to, in order."""
        return [row["state"] for row in await self.events() if row["state"] != row["state_before"]]

    async def events(self) -> list[Json]:
        rows = await self.api.rows(
            "SELECT * FROM savings.payout_events WHERE payout_id = $1 ORDER BY happened_at, id", self.id
        )
        return [dict(row) for row in rows]

    async def feed_row(self) -> Json:
        """Read its row in the feed, with the explanation."""
        return await self.saver.transaction({"id": str(self.id)})

    async def outcomes(self) -> list[str]:
        """Return what became of the callbacks about it."""
        rows = await self.api.rows(
            "SELECT outcome FROM mpesa.callbacks WHERE saver_id = $1 ORDER BY received_at, id", self.saver.id
        )
        return [row["outcome"] for row in rows]

    def paid_by_safaricom(self) -> int:
        """Return how often the emulator paid this number."""
        return sum(
            movement.story.kind is Kind.PAYOUT and movement.story.msisdn == self.saver.phone
            for movement in self.api.emulator.books.movements
        )


async def in_flight_cents(api: Api) -> int:
    """Return what is in flight, over all savers."""
    return await api.books.balance(accounts.IN_FLIGHT)


async def assert_payout_floats_agree(api: Api) -> None:
    """Assert that each of our accounts that payouts leave from holds what the emulator says."""
    ours, theirs = await floats_held(api), await accounts_held(api)
    assert {place: cents for place, cents in ours.items() if place[0] == B2C_SHORTCODE} == {
        place: cents for place, cents in theirs.items() if place[0] == B2C_SHORTCODE
    }


async def assert_nothing_is_in_flight(api: Api) -> None:
    """Assert that everything has ended, in both sets of books."""
    assert await in_flight_cents(api) == 0
    await assert_payout_floats_agree(api)


async def open_breaks(payout: Withdrawing) -> set[str]:
    """Return the kinds of the open breaks about a payout."""
    rows = await payout.api.rows(
        "SELECT kind FROM mpesa.breaks WHERE subject = $1 AND closed_at IS NULL", f"payout:{payout.id}"
    )
    return {row["kind"] for row in rows}


@contextmanager
def results_after_replies(api: Api) -> Iterator[None]:
    """Have a result come after the reply to its request, as it mostly does; without a delay it may overtake it."""
    api.emulator.delays.process_s = 0.05
    try:
        yield
    finally:
        api.emulator.delays.process_s = 0


async def until_it_ends(payout: Withdrawing, *, hours: int = 3) -> str:
    """Let time go by and everything work, until the payout has ended or so many hours are over.

    Time leaps to when something is due for it.
    """
    clock = payout.api.clock
    over_at = clock.now() + timedelta(hours=hours)
    while clock.now() < over_at:
        await payout.api.work()
        state = await payout.state()
        if state in {"settled", "failed"}:
            return state
        due_in = (await payout.row())["due_at"] - clock.now()
        clock.advance(max(LEAST_LEAP, min(due_in, MOST_LEAP)))
    return await payout.state()
