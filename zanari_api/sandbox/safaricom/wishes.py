"""What a person may ask of the emulator under /control: the bodies, checked, and a word on each route."""

from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from zanari_api.sandbox.safaricom.books import Account
from zanari_api.sandbox.safaricom.faults import Fault, Flow
from zanari_api.sandbox.safaricom.handsets import Answer, Behaviour
from zanari_api.sandbox.safaricom.requests import MSISDN

HELP: Final = {
    "GET /control/prompts": "the prompts that wait on handsets",
    "POST /control/prompts/{msisdn}": {"answer": " | ".join(Answer)},
    "GET /control/handsets/{msisdn}": "a handset",
    "PATCH /control/handsets/{msisdn}": {
        "behaviour": " | ".join(Behaviour),
        "balance_cents": "...",
        "reachable": "true | false",
        "registered": "true | false",
    },
    "POST /control/payments": {
        "amount_cents": 50000,
        "account_reference": "12345674",
        "msisdn": "254712345678",
        "shortcode": "the first, unless said",
        "validate": "true | false",
    },
    "GET /control/faults": "what can go wrong, and where",
    "POST /control/faults": {
        "flow": " | ".join(Flow),
        "fault": "see GET",
        "always": False,
        "code": "...",
        "message": "...",
        "times": 2,
        "seconds": 60,
    },
    "DELETE /control/faults": "forget what was armed",
    "GET /control/books": "what the shortcodes hold",
    "POST /control/deposits": {"shortcode": "600001", "amount_cents": 10_000_000},
    "POST /control/moves": {
        "shortcode": "600000",
        "source": " | ".join(Account),
        "target": "...",
        "amount_cents": 100,
    },
    "POST /control/reversals": {"receipt": "..."},
    "GET /control/statements/{shortcode}?day=YYYY-MM-DD&account=utility": "a statement as CSV",
    "GET /control/deliveries?last=20": "the latest callbacks and how they were answered",
    "GET /control/certificate": "the certificate for SecurityCredentials, as PEM",
    "POST /control/initiator/unlock": "forget wrong initiator passwords",
}

Cents = Annotated[int, Field(gt=0, le=10**12)]


class Wish(BaseModel):
    """A body of a control request."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Press(Wish):
    """A button on a handset."""

    answer: Answer


class HandsetChange(Wish):
    """What is to be different of a handset."""

    behaviour: Behaviour | None = None
    balance_cents: Annotated[int, Field(ge=0)] | None = None
    reachable: bool | None = None
    registered: bool | None = None


class PaymentWish(Wish):
    """A payment from a phone to a shortcode."""

    amount_cents: Cents
    account_reference: Annotated[str, Field(max_length=20)]
    msisdn: Annotated[str, Field(pattern=MSISDN.pattern)]
    shortcode: str | None = None
    validate_first: Annotated[bool | None, Field(alias="validate")] = None


class FaultWish(Wish):
    """A fault to arm."""

    flow: Flow
    fault: Fault
    always: bool = False
    code: str | None = None
    message: str | None = None
    times: Annotated[int, Field(ge=1, le=20)] = 2
    seconds: Annotated[float, Field(ge=0)] | None = None


class DepositWish(Wish):
    """Money from the bank into a shortcode's utility account."""

    shortcode: str
    amount_cents: Cents


class MoveWish(Wish):
    """Money from one account of a shortcode to another."""

    shortcode: str
    source: Account
    target: Account
    amount_cents: Cents


class ReversalWish(Wish):
    """A payment to take back."""

    receipt: str


class Refused(Exception):  # noqa: N818 (reads as what it says)
    """A wish that cannot be granted, with the status that says so."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


Body = TypeVar("Body", bound=Wish)


async def read_wish(request: Request, kind: type[Body]) -> Body:
    """Return the body of a request. Raises Refused."""
    try:
        return kind.model_validate_json(await request.body() or b"{}")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise Refused(400, f"{place}: {first['msg']}" if place else first["msg"]) from error
