"""The buttons of the emulator, for a person at a terminal: JSON in and out under /control."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from zanari_api.kit.clock import eat_date
from zanari_api.sandbox.safaricom.books import Account, Overdrawn
from zanari_api.sandbox.safaricom.c2b import PaymentRefused
from zanari_api.sandbox.safaricom.corrections import NotReversible
from zanari_api.sandbox.safaricom.faults import APPLIES
from zanari_api.sandbox.safaricom.handsets import Handset, NoPrompt
from zanari_api.sandbox.safaricom.requests import MSISDN
from zanari_api.sandbox.safaricom.wishes import (
    HELP,
    DepositWish,
    FaultWish,
    HandsetChange,
    MoveWish,
    PaymentWish,
    Press,
    Refused,
    ReversalWish,
    read_wish,
)

if TYPE_CHECKING:
    from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator


class Control:
    """The routes under /control, over the emulator's direct methods."""

    def __init__(self, emulator: "SafaricomEmulator") -> None:
        self._emulator = emulator

    def routes(self) -> list[BaseRoute]:
        def route(path: str, method: str, answer: Callable[[Request], Awaitable[Any]]) -> Route:
            return Route(f"/control{path}", _plain_errors(answer), methods=[method])

        return [
            route("", "GET", self._help),
            route("/prompts", "GET", self._prompts),
            route("/prompts/{msisdn}", "POST", self._press),
            route("/handsets/{msisdn}", "GET", self._handset),
            route("/handsets/{msisdn}", "PATCH", self._change_handset),
            route("/payments", "POST", self._pay),
            route("/faults", "GET", self._faults),
            route("/faults", "POST", self._arm),
            route("/faults", "DELETE", self._disarm),
            route("/books", "GET", self._books),
            route("/deposits", "POST", self._deposit),
            route("/moves", "POST", self._move),
            route("/reversals", "POST", self._reverse),
            route("/statements/{shortcode}", "GET", self._statement),
            route("/deliveries", "GET", self._deliveries),
            route("/certificate", "GET", self._certificate),
            route("/initiator/unlock", "POST", self._unlock),
        ]

    async def _help(self, _request: Request) -> Any:
        return HELP

    async def _prompts(self, _request: Request) -> Any:
        return [
            {
                "msisdn": one.msisdn,
                "shortcode": one.shortcode,
                "amount_cents": one.amount_cents,
                "account_reference": one.account_reference,
                "shown_at": one.shown_at.isoformat(),
            }
            for one in self._emulator.open_prompts()
        ]

    async def _press(self, request: Request) -> Any:
        wish = await read_wish(request, Press)
        await self._emulator.answer(_msisdn(request), wish.answer)
        return {"msisdn": _msisdn(request), "answer": wish.answer}

    async def _handset(self, request: Request) -> Any:
        return _shown(self._emulator.handset(_msisdn(request)))

    async def _change_handset(self, request: Request) -> Any:
        wish = await read_wish(request, HandsetChange)
        return _shown(await self._emulator.set_handset(_msisdn(request), **wish.model_dump()))

    async def _pay(self, request: Request) -> Any:
        wish = await read_wish(request, PaymentWish)
        payment = await self._emulator.pay_bill(
            amount_cents=wish.amount_cents,
            account_reference=wish.account_reference,
            msisdn=wish.msisdn,
            shortcode=wish.shortcode,
            validate=wish.validate_first,
        )
        return {
            "receipt": payment.receipt,
            "shortcode": payment.shortcode,
            "amount_cents": payment.amount_cents,
        }

    async def _faults(self, _request: Request) -> Any:
        return {fault: {"place": place, "flows": sorted(flows)} for fault, (place, flows) in APPLIES.items()}

    async def _arm(self, request: Request) -> Any:
        wish = await read_wish(request, FaultWish)
        arm = self._emulator.faults.always if wish.always else self._emulator.faults.next
        try:
            arm(
                wish.flow,
                wish.fault,
                code=wish.code,
                message=wish.message,
                times=wish.times,
                seconds=wish.seconds,
            )
        except ValueError as error:
            raise Refused(400, str(error)) from error
        return wish.model_dump(mode="json")

    async def _disarm(self, _request: Request) -> Any:
        self._emulator.faults.clear()
        return {}

    async def _books(self, _request: Request) -> Any:
        return {
            shortcode: {
                "utility_cents": position.utility_cents,
                "working_cents": position.working_cents,
                "charges_paid_cents": position.charges_paid_cents,
            }
            for shortcode, position in self._emulator.books.position().items()
        }

    async def _deposit(self, request: Request) -> Any:
        wish = await read_wish(request, DepositWish)
        self._know(wish.shortcode)
        return {"receipt": await self._emulator.deposit_float(wish.shortcode, wish.amount_cents)}

    async def _move(self, request: Request) -> Any:
        wish = await read_wish(request, MoveWish)
        self._know(wish.shortcode)
        receipt = await self._emulator.move_float(
            wish.shortcode, source=wish.source, target=wish.target, amount_cents=wish.amount_cents
        )
        return {"receipt": receipt}

    async def _reverse(self, request: Request) -> Any:
        wish = await read_wish(request, ReversalWish)
        made = await self._emulator.reverse(wish.receipt)
        return {"receipt": made.receipt, "reverses": wish.receipt, "amount_cents": -made.change_cents}

    async def _statement(self, request: Request) -> Response:
        shortcode: str = request.path_params["shortcode"]
        self._know(shortcode)
        try:
            day = request.query_params.get("day")
            wanted = date.fromisoformat(day) if day else eat_date(self._emulator.now())
            account = Account(request.query_params.get("account", Account.UTILITY))
        except ValueError as error:
            raise Refused(400, str(error)) from error
        text = self._emulator.statement_csv(shortcode, wanted, account)
        return PlainTextResponse(text, media_type="text/csv")

    async def _deliveries(self, request: Request) -> Any:
        last = request.query_params.get("last", "20")
        if not last.isdigit():
            raise Refused(400, "last: a number")
        return [
            {
                "number": one.number,
                "kind": one.kind,
                "path": one.path,
                "at": one.at.isoformat(),
                "lost": one.lost,
                "genuine": one.genuine,
                "status": one.status,
                "error": one.error,
                "body": one.body.decode(),
            }
            for one in self._emulator.deliveries[-int(last) :]
        ]

    async def _certificate(self, _request: Request) -> Response:
        return PlainTextResponse(self._emulator.certificate_pem)

    async def _unlock(self, _request: Request) -> Any:
        await self._emulator.unlock_initiator()
        return {}

    def _know(self, shortcode: str) -> None:
        if not self._emulator.books.knows(shortcode):
            raise Refused(404, "there is no such shortcode")


def _msisdn(request: Request) -> str:
    msisdn: str = request.path_params["msisdn"]
    if MSISDN.fullmatch(msisdn) is None:
        raise Refused(400, "a number is written 2547XXXXXXXX")
    return msisdn


def _shown(handset: Handset) -> dict[str, Any]:
    return {
        "msisdn": handset.msisdn,
        "name": handset.name,
        "balance_cents": handset.balance_cents,
        "behaviour": handset.behaviour,
        "reachable": handset.reachable,
        "registered": handset.registered,
    }


def _plain_errors(answer: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    """Say in a sentence why a wish was not granted."""

    async def endpoint(request: Request) -> Response:
        try:
            told = await answer(request)
        except Refused as refused:
            return JSONResponse({"error": str(refused)}, refused.status)
        except NoPrompt:
            return JSONResponse({"error": "there is no open prompt on that number"}, 404)
        except Overdrawn:
            return JSONResponse({"error": "the account does not hold that much"}, 409)
        except (PaymentRefused, NotReversible) as refused:
            return JSONResponse({"error": str(refused)}, 409)
        return told if isinstance(told, Response) else JSONResponse(told)

    return endpoint
