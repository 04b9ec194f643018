"""Safaricom's callbacks over HTTP. The path's secret token is what tells them from a stranger's.

In this order: the body's size (by the middleware), the token, the address it comes from, then the callback is on disk
before it is acknowledged. The paths avoid the words that Daraja refuses: mpesa, safaricom, exe, cmd, sql, query.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, cast

import structlog
from fastapi import APIRouter, Request, Response

from zanari_api.daraja.answers import ACKNOWLEDGEMENT, Verdict, verdict_body
from zanari_api.kit.errors import Unavailable
from zanari_api.mpesa import c2b_service, callback_service
from zanari_api.mpesa.callback_store import Delivery
from zanari_api.mpesa.config import CALLBACK_PATHS, ENFORCED, REPORTED, Flow, config_of
from zanari_api.mpesa.errors import SourceNotAllowed, WrongCallbackToken
from zanari_api.mpesa.inbox import CallbackKind, Effected, Intake, Outcome
from zanari_api.runtime.client_address import ClientAddresses
from zanari_api.runtime.db import DatabaseUnavailable, Role, TryAgain
from zanari_api.runtime.deps import Runtime, RuntimeOf
from zanari_api.runtime.problems import refuses

log = structlog.get_logger(__name__)

VALIDATION_TIMEOUT_S: Final = 2
"""M-PESA waits about 8 s for a verdict; it gets one within 3, giving up on the database included."""

BODY: Final = {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}

Endpoint = Callable[[str, Request, RuntimeOf], Awaitable[Response]]


def _receiving(kind: CallbackKind, flow: Flow) -> Endpoint:
    """Return the endpoint of a kind that is acknowledged whatever is in it."""

    async def receive(token: str, request: Request, runtime: RuntimeOf) -> Response:
        delivery = await _admit(request, runtime, kind=kind, flow=flow, token=token)
        effected = await callback_service.take_in(
            runtime.database,
            delivery,
            intake=await _intake(request),
            deferred_log=config_of(request).deferred_log,
        )
        callback_service.tell(runtime.metrics, kind, effected.outcome)
        return Response(ACKNOWLEDGEMENT, media_type="application/json")

    return receive


async def validate(token: str, request: Request, runtime: RuntimeOf) -> Response:
    """Say whether a payment could be credited, within 3 seconds; undecided is `C2B00016`."""
    kind = CallbackKind.C2B_VALIDATION
    delivery = await _admit(request, runtime, kind=kind, flow=Flow.C2B, token=token)
    judged = await _judge(request, runtime, delivery)
    verdict = Verdict.OTHER if judged is None else c2b_service.verdict_of(judged)
    outcome = Outcome.UNDECIDED if judged is None else judged.outcome
    callback_service.tell(runtime.metrics, kind, outcome)
    return Response(verdict_body(verdict), media_type="application/json")


async def _judge(request: Request, runtime: Runtime, delivery: Delivery) -> Effected | None:
    """Return the verdict on a validation; None where none can be had in time: M-PESA does not wait for our repair."""
    try:
        async with asyncio.timeout(VALIDATION_TIMEOUT_S):
            intake = await _intake(request)
            return await runtime.database.unit_of_work(
                lambda tx: callback_service.receive(tx, delivery, intake=intake), role=Role.SYSTEM
            )
    except (Unavailable, TimeoutError):
        log.warning("validation_undecided")
    except Exception as error:  # noqa: BLE001 (logged; the payer must have an answer whatever it is)
        config_of(request).deferred_log.warning(
            kind=delivery.kind, error=type(error).__name__, exc_info=error
        )
    return None


async def _admit(
    request: Request, runtime: Runtime, *, kind: CallbackKind, flow: Flow, token: str
) -> Delivery:
    """Return what was posted. Raises WrongCallbackToken, a 404 like any other, and SourceNotAllowed."""
    config = config_of(request)
    if not config.tokens.open(flow, token):
        runtime.metrics.credentials_refused.labels("callback_token").inc()
        config.refused_log.warning(credential="callback_token")
        raise WrongCallbackToken
    address = cast("ClientAddresses", request.app.state.addresses).of(request.scope)
    listed = config.sources.lists(address)
    if not listed:
        mode = ENFORCED if config.sources.enforced else REPORTED
        runtime.metrics.callback_sources_refused.labels(flow, mode).inc()
        config.source_log.warning(flow=flow, mode=mode, address=address)
        if config.sources.enforced:
            raise SourceNotAllowed
    return Delivery(kind=kind, body=await request.body(), source_listed=listed)


async def _intake(request: Request) -> Intake:
    return await cast("Callable[[], Awaitable[Intake]]", request.app.state.intake)()


def _summary(kind: CallbackKind) -> str:
    return kind.value.replace("_", " ").capitalize()


def _routes() -> APIRouter:
    made = APIRouter(prefix="/callbacks/{token}", tags=["callbacks"])
    for kind, (flow, path) in CALLBACK_PATHS.items():
        if kind is CallbackKind.C2B_VALIDATION:
            endpoint, about, away = validate, validate.__doc__, ()
        else:
            about = "Take in what Safaricom tells. 200 means it is on disk; anything else may be sent again."
            endpoint, away = _receiving(kind, flow), (DatabaseUnavailable, TryAgain)
        made.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            name=kind.value,
            summary=_summary(kind),
            description=about,
            responses=refuses(WrongCallbackToken, SourceNotAllowed, *away),
            openapi_extra=BODY,
        )
    return made


router = _routes()
