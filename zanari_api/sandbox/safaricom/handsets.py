"""The phones of customers: what they hold in M-PESA, and what their owners do when a prompt comes up."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

PLENTY_CENTS: Final = 15_000_000
"""KES 150,000: enough to pay with, and room under M-PESA's limit to be paid."""

HOLDS_AT_MOST_CENTS: Final = 50_000_000
"""KES 500,000: what M-PESA lets a customer hold."""

_FIRST_NAMES: Final = (
    "WANJIKU",
    "OTIENO",
    "AISHA",
    "KIPCHOGE",
    "NJERI",
    "MUTUA",
    "ACHIENG",
    "BARAKA",
    "ZAWADI",
)
_LAST_NAMES: Final = ("KAMAU", "ODHIAMBO", "HASSAN", "KIPTOO", "MWANGI", "MUSYOKA", "OUMA", "WAFULA")


class Behaviour(StrEnum):
    """What the owner does with a prompt."""

    APPROVE = "approve"
    CANCEL = "cancel"
    WRONG_PIN = "wrong_pin"
    NO_ANSWER = "no_answer"
    ASK = "ask"
    "wait for the control endpoint, or for the prompt to expire"


class Answer(StrEnum):
    """What becomes of one prompt."""

    APPROVE = "approve"
    CANCEL = "cancel"
    WRONG_PIN = "wrong_pin"
    TIME_OUT = "time_out"
    "nobody answered: result 1037"
    EXPIRE = "expire"
    "it expired on the handset: result 1019"


ANSWERS: Final = {
    Behaviour.APPROVE: Answer.APPROVE,
    Behaviour.CANCEL: Answer.CANCEL,
    Behaviour.WRONG_PIN: Answer.WRONG_PIN,
}


@dataclass(slots=True)
class Handset:
    """One number and its owner. A number that is not registered has no M-PESA; one out of reach shows nothing."""

    msisdn: str
    balance_cents: int = PLENTY_CENTS
    behaviour: Behaviour = Behaviour.APPROVE
    reachable: bool = True
    registered: bool = True

    @property
    def first_name(self) -> str:
        return _FIRST_NAMES[int(self.msisdn[-4:]) % len(_FIRST_NAMES)]

    @property
    def name(self) -> str:
        return f"{self.first_name} {_LAST_NAMES[int(self.msisdn[-4:]) % len(_LAST_NAMES)]}"


@dataclass(slots=True)
class Prompt:
    """A push that holds its subscriber. `answer` is set by whoever presses a button, where there is one to press."""

    msisdn: str
    checkout_request_id: str
    shortcode: str
    amount_cents: int
    account_reference: str
    shown_at: datetime
    on_screen: bool
    answer: "asyncio.Future[Answer]" = field(repr=False)


class NoPrompt(Exception):  # noqa: N818 (reads as what it says)
    """There is no open prompt on that number."""


class Handsets:
    """Every number that anything has happened to; others are as new. One prompt at a time on each."""

    def __init__(self, *, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self.known: dict[str, Handset] = {}
        self.prompts: dict[str, Prompt] = {}

    def of(self, msisdn: str) -> Handset:
        """Return the handset of a number; it is there from now on."""
        return self.known.setdefault(msisdn, Handset(msisdn, behaviour=self._behaviour))

    def press(self, msisdn: str, answer: Answer) -> None:
        """Answer the open prompt. Raises NoPrompt."""
        prompt = self.prompts.get(msisdn)
        if prompt is None or not prompt.on_screen or prompt.answer.done():
            raise NoPrompt
        prompt.answer.set_result(answer)
