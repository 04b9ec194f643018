"""Each flow of money by each fault of Safaricom: whatever goes wrong, the promises hold once things have come to rest.

I: what was answered with a yes is there. II: our floats are Safaricom's to the cent, or a break says why not.
III: nothing counts twice. IV: nothing stands still without a reason that somebody can see.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest

from tests.support import payouts
from tests.support.app import SHORTCODE, Api, Serve
from tests.support.pins import with_pin
from tests.support.savers import Saver, answered
from tests.support.two_books import book_openings
from zanari_api.mpesa.inbox import CallbackKind
from zanari_api.sandbox.safaricom.faults import APPLIES, FAILURE_CODES, HTTP_ERRORS, Fault, Flow, Place
from zanari_api.simulation.promises import examine
from zanari_api.simulation.savers import Promises

Act = Callable[[Api, Saver, Promises], Awaitable[None]]

REST: Final = (
    timedelta(minutes=2),
    timedelta(minutes=3),
    timedelta(minutes=31),
    timedelta(minutes=31),
    timedelta(hours=3),
    timedelta(hours=10),
)


@pytest.fixture(scope="module")
async def module_api(serve: Serve) -> AsyncIterator[Api]:
    """The module's service, which pulls what was never confirmed."""
    async with serve(mpesa_pull_number="254700000000") as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
async def _both_books_begin_alike(module_api: Api) -> None:
    await book_openings(module_api)
    parts = module_api.app.state.parts
    await parts.daraja.register_c2b_urls(
        shortcode=SHORTCODE,
        confirmation_url=parts.mpesa.callback_url(CallbackKind.C2B_CONFIRMATION),
        validation_url=parts.mpesa.callback_url(CallbackKind.C2B_VALIDATION),
    )


async def deposit(_api: Api, saver: Saver, promises: Promises) -> None:
    made = answered(await saver.post("/mpesa/deposits", {"amount_cents": 25_000}), 202)
    promises.intents.add(UUID(made["id"]))


async def pay_bill(api: Api, saver: Saver, _promises: Promises) -> None:
    await api.emulator.pay_bill(
        amount_cents=33_000, account_reference=saver.member_code, msisdn=str(saver.phone)
    )


async def collect(api: Api, saver: Saver, promises: Promises) -> None:
    for cents in (25_500, 31_100, 47_700):
        spent = await saver.spend(cents, at=api.clock.now())
        promises.spends.add(spent["transaction_id"])
    answered(await saver.post("/mpesa/collections"), 202)


async def link(_api: Api, saver: Saver, _promises: Promises) -> None:
    answered(await saver.post("/mpesa/accounts", {"phone": f"0110{saver.id.int % 1_000_000:06d}"}), 202)


async def withdraw(api: Api, saver: Saver, promises: Promises) -> None:
    await api.emulator.pay_bill(
        amount_cents=50_000, account_reference=saver.member_code, msisdn=str(saver.phone)
    )
    await api.work()
    made = answered(await payouts.withdraw(await with_pin(saver), 20_000), 202)
    promises.payouts.add(UUID(made["id"]))


FLOWS: Final[Mapping[Act, tuple[Flow, ...]]] = {
    deposit: (Flow.OAUTH, Flow.STK, Flow.QUERY, Flow.C2B, Flow.PULL, Flow.BALANCE),
    pay_bill: (Flow.C2B, Flow.PULL),
    collect: (Flow.STK, Flow.QUERY, Flow.C2B),
    link: (Flow.STK, Flow.QUERY, Flow.C2B),
    withdraw: (Flow.OAUTH, Flow.B2C, Flow.STATUS, Flow.BALANCE),
}
"""The flows of Safaricom's that each of ours goes through."""

ASKED_ABOUT: Final[Mapping[Flow, tuple[tuple[Flow, Fault], ...]]] = {
    Flow.QUERY: ((Flow.STK, Fault.LOSE_CALLBACK), (Flow.C2B, Fault.LOSE_CALLBACK)),
    Flow.PULL: ((Flow.STK, Fault.LOSE_CALLBACK), (Flow.C2B, Fault.LOSE_CALLBACK)),
    Flow.STATUS: ((Flow.B2C, Fault.LOSE_CALLBACK),),
}
"""What has to be lost before a question is asked at all."""


def faults_of(flow: Flow) -> list[tuple[Fault, str | None]]:
    """Return everything that can go wrong in a flow, each with a code where it needs one."""
    found: list[tuple[Fault, str | None]] = []
    for fault, (_, befalls) in APPLIES.items():
        if flow in befalls:
            codes: tuple[str | None, ...] = (None,)
            if fault is Fault.FAIL_WITH:
                codes = FAILURE_CODES[flow]
            if fault in {Fault.HTTP_ERROR, Fault.HTTP_ERROR_AFTER}:
                codes = tuple(HTTP_ERRORS)[:4]
            found += [(fault, code) for code in codes]
    return found


CASES: Final = [
    pytest.param(act, flow, id=f"{act.__name__}-{flow}") for act, flows in FLOWS.items() for flow in flows
]


@pytest.mark.parametrize(("act", "flow"), CASES)
async def test_promises_hold_whatever_goes_wrong(api: Api, act: Act, flow: Flow) -> None:
    """Each fault befalls a saver of its own; then all come to rest together."""
    promises = Promises()
    for fault, code in faults_of(flow):
        late_s = 0.1 if APPLIES[fault][0] is Place.DELIVERY else 0.3
        for lost_flow, lost in ASKED_ABOUT.get(flow, ()):
            api.emulator.faults.next(lost_flow, lost)
        api.emulator.faults.next(flow, fault, code=code, seconds=late_s)
        await act(api, await api.new_saver(), promises)
        await api.work()
    for leap in REST:
        await api.emulator.drain()
        api.clock.advance(leap)
        await api.work()
    # What befell a question that was asked late has its own day to come to an end.
    api.emulator.faults.clear()
    for leap in (timedelta(hours=13), timedelta(hours=13)):
        api.clock.advance(leap)
        await api.work()
    found = await examine(api.db, api.emulator, promises)
    assert found.broken == []


def test_every_fault_and_every_flow_of_money_is_in_the_matrix() -> None:
    flows = {flow for of_act in FLOWS.values() for flow in of_act}
    assert {fault for flow in flows for fault, _ in faults_of(flow)} == set(Fault)
    assert len([case for flow in flows for case in faults_of(flow)]) > 100
