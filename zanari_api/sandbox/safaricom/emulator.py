"""The Safaricom emulator: Daraja's APIs as an application, and by direct methods what a person could do to M-PESA."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from functools import wraps
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from zanari_api.kit.clock import Clock
from zanari_api.sandbox.safaricom.books import Account, Books, Kind, Movement, Opening, Story
from zanari_api.sandbox.safaricom.c2b import Payment
from zanari_api.sandbox.safaricom.control import Control
from zanari_api.sandbox.safaricom.core import Core, Delays
from zanari_api.sandbox.safaricom.courier import Delivery
from zanari_api.sandbox.safaricom.credentials import Secrets
from zanari_api.sandbox.safaricom.faults import FaultPlan
from zanari_api.sandbox.safaricom.gate import Flows, Gate
from zanari_api.sandbox.safaricom.handsets import Answer, Behaviour, Handset, Handsets, Prompt
from zanari_api.sandbox.safaricom.ids import Ids
from zanari_api.sandbox.safaricom.records import Records
from zanari_api.sandbox.safaricom.state import State
from zanari_api.sandbox.safaricom.statement import statement_csv

PAYBILL: Final = "600000"
PAYOUT_SHORTCODE: Final = "600001"
DEFAULT_SHORTCODES: Final[Mapping[str, Opening]] = {
    PAYBILL: Opening(),
    PAYOUT_SHORTCODE: Opening(utility_cents=100_000_000),
}

P = ParamSpec("P")
R = TypeVar("R")


def _on_own_loop(
    method: Callable[Concatenate["SafaricomEmulator", P], Awaitable[R]],
) -> Callable[Concatenate["SafaricomEmulator", P], Awaitable[R]]:
    """Run a method where the emulator's server runs, from whichever loop it is called."""

    @wraps(method)
    async def run(self: "SafaricomEmulator", *args: P.args, **kwargs: P.kwargs) -> R:
        async def call() -> R:
            return await method(self, *args, **kwargs)

        if self.loop is None or self.loop is asyncio.get_running_loop():
            return await call()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), self.loop))

    return run


class SafaricomEmulator:
    """Safaricom, as far as we can see of it. In memory, unless `state_file` says where to keep it."""

    def __init__(  # noqa: PLR0913 (what a world is made of, by name)
        self,
        *,
        clock: Clock | None = None,
        shortcodes: Mapping[str, Opening] = DEFAULT_SHORTCODES,
        consumer_key: str = "emulator-consumer-key",
        consumer_secret: str = "emulator-consumer-secret",  # noqa: S107 (for development alone)
        passkey: str = "emulator-passkey",
        initiator_name: str = "zanari",
        initiator_password: str = "Emulator123!",  # noqa: S107 (for development alone)
        seed: int | None = None,
        state_file: Path | None = None,
        delays: Delays | None = None,
        behaviour: Behaviour = Behaviour.APPROVE,
        external_validation: bool = False,
        organisation: str = "ZANARI",
    ) -> None:
        """Take up what `state_file` holds, if there is one.

        `seed` decides every id and shape; without one it is drawn, so that two emulators never give out the
        same receipt. `behaviour` is what owners of handsets do unless told otherwise.
        """
        self.seed = secrets.randbits(32) if seed is None else seed
        self.loop: asyncio.AbstractEventLoop | None = None
        state = State(state_file)
        self._core = Core(
            clock=clock or Clock(),
            ids=Ids(self.seed),
            books=Books(state.openings(shortcodes)),
            handsets=Handsets(behaviour=behaviour),
            secrets=Secrets(
                consumer_key=consumer_key,
                consumer_secret=consumer_secret,
                passkey=passkey,
                initiator_name=initiator_name,
                initiator_password=initiator_password,
            ),
            certificate=state.certificate(),
            delays=delays or Delays(),
            organisation=organisation,
        )
        self._core.external_validation = external_validation
        state.fill(self._core)
        self._flows = Flows(self._core)
        self._gate = Gate(self._core, self._flows)

    @property
    def certificate_pem(self) -> str:
        """The certificate that SecurityCredentials are made with."""
        return self._core.certificate.pem

    @property
    def secrets(self) -> Secrets:
        return self._core.secrets

    @property
    def delays(self) -> Delays:
        return self._core.delays

    @property
    def books(self) -> Books:
        return self._core.books

    @property
    def records(self) -> Records:
        """Every push, payout and registration that was accepted."""
        return self._core.records

    @property
    def deliveries(self) -> list[Delivery]:
        """Every callback so far, in the order of sending."""
        return self._core.courier.deliveries

    @property
    def faults(self) -> FaultPlan:
        return self._core.faults

    @faults.setter
    def faults(self, plan: FaultPlan) -> None:
        self._core.faults = plan

    def app(self) -> Starlette:
        """Return the application to serve. Its lifespan starts and ends the emulator."""

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
            self.start()
            try:
                yield
            finally:
                await self.close()

        async def not_found(_request: Request, _error: Exception) -> Response:
            return self._gate.no_such_path()

        async def no_method(_request: Request, _error: Exception) -> Response:
            return self._gate.no_such_method()

        return Starlette(
            routes=[*self._gate.routes(), *Control(self).routes()],
            lifespan=lifespan,
            exception_handlers={404: not_found, 405: no_method},
        )

    def start(self) -> None:
        """Belong to the running loop, and take up what a restart interrupted."""
        self.loop = asyncio.get_running_loop()
        self._flows.prompting.resume()
        self._flows.paying.resume()

    def release(self) -> None:
        """Let every wait end now: a server that stops may not wait for slow replies."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._core.release)

    async def close(self) -> None:
        """End everything that goes on. The emulator can be started again."""
        await self._core.close()
        self.loop = None

    @_on_own_loop
    async def quiet(self) -> None:
        """Wait until only prompts that wait for a person, and callbacks that a fault holds back, are left."""
        await self._core.quiet()

    @_on_own_loop
    async def drain(self) -> None:
        """Wait until nothing is left: prompts have expired, late callbacks have come."""
        await self._core.drain()

    def handset(self, msisdn: str) -> Handset:
        return self._core.handsets.of(msisdn)

    @_on_own_loop
    async def set_handset(
        self,
        msisdn: str,
        *,
        behaviour: Behaviour | str | None = None,
        balance_cents: int | None = None,
        reachable: bool | None = None,
        registered: bool | None = None,
    ) -> Handset:
        """Change what is given of a handset, for prompts from now on."""
        handset = self._core.handsets.of(msisdn)
        if behaviour is not None:
            handset.behaviour = Behaviour(behaviour)
        if balance_cents is not None:
            handset.balance_cents = balance_cents
        if reachable is not None:
            handset.reachable = reachable
        if registered is not None:
            handset.registered = registered
        self._core.on_change()
        return handset

    def open_prompts(self) -> Sequence[Prompt]:
        """Return the prompts that are on a screen and that nobody has answered."""
        prompts = list(self._core.handsets.prompts.values())
        return [one for one in prompts if one.on_screen and not one.answer.done()]

    @_on_own_loop
    async def answer(self, msisdn: str, answer: Answer | str) -> None:
        """Press a button on a handset with a prompt. Raises NoPrompt."""
        self._core.handsets.press(msisdn, Answer(answer))

    @_on_own_loop
    async def pay_bill(
        self,
        *,
        amount_cents: int,
        account_reference: str,
        msisdn: str,
        shortcode: str | None = None,
        validate: bool | None = None,
    ) -> Payment:
        """Pay a shortcode from a phone. Raises PaymentRefused. The confirmation follows by itself."""
        return await self._flows.payments.pay(
            shortcode=shortcode or next(iter(self.books.openings)),
            amount_cents=amount_cents,
            account_reference=account_reference,
            msisdn=msisdn,
            validate=self._core.external_validation if validate is None else validate,
        )

    @_on_own_loop
    async def deposit_float(self, shortcode: str, amount_cents: int) -> str:
        """Bring money from the bank into a shortcode's utility account; return the receipt."""
        story = Story(kind=Kind.BANK_DEPOSIT, details="Organization Deposit of Funds from bank")
        return self._post(shortcode, [(Account.UTILITY, amount_cents, story)])

    @_on_own_loop
    async def move_float(
        self, shortcode: str, *, source: Account | str, target: Account | str, amount_cents: int
    ) -> str:
        """Move money between a shortcode's accounts; return the receipt. Raises Overdrawn."""
        taken, given = Account(source), Account(target)
        story = Story(kind=Kind.MOVE, details=f"Organization Funds Transfer {taken} to {given}")
        return self._post(shortcode, [(taken, -amount_cents, story), (given, amount_cents, story)])

    @_on_own_loop
    async def reverse(self, receipt: str) -> Movement:
        """Take a customer's payment back by Safaricom's own hand: no callback tells of it. Raises NotReversible."""
        return self._flows.corrections.take_back(receipt)

    @_on_own_loop
    async def unlock_initiator(self) -> None:
        """Forget wrong passwords."""
        self._core.wrong_passwords = 0

    def statement_csv(self, shortcode: str, day: date, account: Account | str = Account.UTILITY) -> str:
        """Return an account's statement of a Nairobi day, in the columns that `statement` describes."""
        return statement_csv(self._core, shortcode, day, Account(account))

    def now(self) -> datetime:
        """Return the time by the emulator's clock."""
        return self._core.clock.now()

    def _post(self, shortcode: str, changes: Sequence[tuple[Account, int, Story]]) -> str:
        now = self._core.clock.now()
        receipt = self._core.ids.receipt(now)
        self._core.books.post(receipt, now, shortcode, changes)
        self._core.on_change()
        return receipt
