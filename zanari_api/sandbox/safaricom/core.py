"""What all of the emulator's APIs share: clock, ids, books, handsets, faults, courier, and the work that goes on."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from zanari_api.kit.clock import Clock
from zanari_api.sandbox.safaricom.books import Books
from zanari_api.sandbox.safaricom.courier import Courier, Message
from zanari_api.sandbox.safaricom.credentials import WRONG_PASSWORDS_MAX, Certificate, Secrets, Tokens
from zanari_api.sandbox.safaricom.faults import Armed, FaultPlan
from zanari_api.sandbox.safaricom.handsets import Handsets
from zanari_api.sandbox.safaricom.ids import Ids
from zanari_api.sandbox.safaricom.records import Outcome, Records
from zanari_api.sandbox.safaricom.requests import Fields

_POLL_S: Final = 0.002


@dataclass(slots=True, kw_only=True)
class Delays:
    """How long things take, in seconds of the emulator's clock."""

    prompt_s: float = 2.0
    "from the push to the owner's answer"
    prompt_expires_s: float = 60.0
    process_s: float = 0.5
    "from a payout or a question to its result"
    callback_s: float = 0.3
    "from a result to the first try to deliver it"
    slow_reply_s: float = 10.0
    "what a slow reply takes where the fault does not say"
    validation_timeout_s: float = 8.0
    "how long an answer to a validation is waited for, in real seconds"

    @classmethod
    def none(cls) -> "Delays":
        """Return delays for tests: everything at once; only what nobody answers still has to expire."""
        return cls(prompt_s=0, process_s=0, callback_s=0, slow_reply_s=1)


class Core:
    """One emulator's parts, for its APIs. Used from one event loop."""

    def __init__(  # noqa: PLR0913 (the parts, by name)
        self,
        *,
        clock: Clock,
        ids: Ids,
        books: Books,
        handsets: Handsets,
        secrets: Secrets,
        certificate: Certificate,
        delays: Delays,
        organisation: str,
    ) -> None:
        self.clock = clock
        self.ids = ids
        self.books = books
        self.handsets = handsets
        self.secrets = secrets
        self.certificate = certificate
        self.delays = delays
        self.organisation = organisation
        self.tokens = Tokens()
        self.faults = FaultPlan()
        self.records = Records()
        self.courier = Courier(clock, self.pause)
        self.external_validation = False
        self.wrong_passwords = 0
        self.on_change: Callable[[], None] = _nothing
        self._tasks: set[asyncio.Task[None]] = set()
        self._parked = 0
        self._errors: list[BaseException] = []
        self._closing: asyncio.Event | None = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Let work go on by itself. What it raises is raised again by `quiet`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def pause(self, seconds: float, *, parked: bool = False) -> None:
        """Wait by the clock. Parked work is not waited for by `quiet`."""
        if seconds <= 0:
            return
        if self._closing is None:
            self._closing = asyncio.Event()
        await self.either(asyncio.ensure_future(self._closing.wait()), seconds, parked=parked)

    async def either(self, sooner: "asyncio.Future[Any]", seconds: float, *, parked: bool = True) -> bool:
        """Wait until `sooner` is done or the clock has moved on; return whether it is done."""
        sleep = asyncio.ensure_future(self.clock.sleep(seconds))
        self._parked += parked
        try:
            await asyncio.wait({sooner, sleep}, return_when=asyncio.FIRST_COMPLETED)
            return sooner.done()
        finally:
            self._parked -= parked
            sleep.cancel()
            if not sooner.done():
                sooner.cancel()

    async def quiet(self) -> None:
        """Wait until nothing goes on but what waits for a person or for a fault's time. Raises what work raised."""
        # What has just been woken up is still counted as parked: look after it had its turn.
        await asyncio.sleep(_POLL_S)
        while len(self._tasks) > self._parked:  # noqa: ASYNC110 (work ends in many places; a short look will do)
            await asyncio.sleep(_POLL_S)
        if self._errors:
            raise self._errors.pop(0)

    async def drain(self) -> None:
        """Wait until nothing goes on at all: prompts have expired and late callbacks have come."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        await self.quiet()

    def release(self) -> None:
        """Let every wait end now, slow replies included."""
        if self._closing is not None:
            self._closing.set()

    async def close(self) -> None:
        """End everything that goes on."""
        self.release()
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.courier.close()
        self._closing = None

    def deliver_later(
        self, message: Message, armed: Armed | None, *, hurry: bool = False
    ) -> "asyncio.Task[None]":
        """Deliver a callback after the usual while."""
        return self.spawn(self.deliver(message, armed, hurry=hurry))

    async def deliver(self, message: Message, armed: Armed | None, *, hurry: bool = False) -> None:
        if not hurry:
            await self.pause(self.delays.callback_s)
        await self.courier.deliver(message, armed)

    def check_initiator(self, name: str, credential: str) -> Outcome | None:
        """Return what a request of this initiator fails with, None where it may go on."""
        if self.wrong_passwords >= WRONG_PASSWORDS_MAX:
            return Outcome("8006", "The security credential is locked.")
        password = self.certificate.decrypt(credential)
        if name != self.secrets.initiator_name or password != self.secrets.initiator_password:
            self.wrong_passwords += 1
            return Outcome("2001", "The initiator information is invalid.")
        self.wrong_passwords = 0
        return None

    def need_shortcode(self, fields: Fields, name: str) -> str:
        """Return a shortcode that has books. Raises ApiError."""
        shortcode = fields.text(name)
        if not self.books.knows(shortcode):
            raise fields.refusal(name)
        return shortcode

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)


def _nothing() -> None:
    """Keep no state."""
