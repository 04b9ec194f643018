"""Safaricom's C2B callbacks over HTTP. The path's secret token is all that tells them from a stranger's.

The path avoids the words that Daraja refuses in a callback URL: mpesa, safaricom, exe, cmd, sql, query.
"""

import asyncio
from typing import Final

import structlog
from fastapi import APIRouter, Depends, Request, Response

from zanari_api.daraja.answers import ACKNOWLEDGEMENT, Verdict, verdict_body
from zanari_api.kit.clock import utc_now
from zanari_api.kit.errors import Unavailable
from zanari_api.mpesa import c2b_service
from zanari_api.mpesa.config import Flow, config_of
from zanari_api.mpesa.errors import WrongCallbackToken
from zanari_api.mpesa.inbox import Intake, Outcome
from zanari_api.mpesa.router import policy_of
from zanari_api.runtime.db import DatabaseUnavailable, Role, Tx
from zanari_api.runtime.deps import Runtime, RuntimeOf
from zanari_api.runtime.problems import refuses

log = structlog.get_logger(__name__)

VALIDATION_TIMEOUT_S: Final = 2
"""M-PESA waits about 8 s for a verdict; it gets one within 3, giving up on the database included."""


async def open_c2b(token: str, request: Request, runtime: RuntimeOf) -> None:
    """Raise WrongCallbackToken, a 404 like any other, unless the token opens this flow."""
    config = config_of(request)
    if not config.tokens.open(Flow.C2B, token):
        runtime.metrics.credentials_refused.labels("callback_token").inc()
        config.refused_log.warning(credential="callback_token")
        raise WrongCallbackToken


router = APIRouter(
    prefix="/callbacks/{token}/c2b",
    tags=["callbacks"],
    dependencies=[Depends(open_c2b)],
    responses=refuses(WrongCallbackToken),
)

BODY: Final = {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}


@router.post("/confirmation", responses=refuses(DatabaseUnavailable), openapi_extra=BODY)
async def confirm(request: Request, runtime: RuntimeOf) -> Response:
    """Take in a payment that was made. 200 means it is on disk; anything else may be sent again."""
    body = await request.body()
    intake = await _intake(request, runtime)
    outcome = await runtime.database.unit_of_work(
        lambda tx: c2b_service.confirm(tx, body, intake=intake), role=Role.SYSTEM
    )
    _tell(runtime, "c2b_confirmation", outcome)
    return Response(ACKNOWLEDGEMENT, media_type="application/json")


@router.post("/validation", openapi_extra=BODY)
async def validate(request: Request, runtime: RuntimeOf) -> Response:
    """Say whether a payment could be credited, within 3 seconds; undecided is `C2B00016`."""
    body = await request.body()

    async def judge(tx: Tx) -> tuple[Outcome, Verdict]:
        return await c2b_service.validate(tx, body, intake=intake)

    try:
        async with asyncio.timeout(VALIDATION_TIMEOUT_S):
            intake = await _intake(request, runtime)
            outcome, verdict = await runtime.database.unit_of_work(judge, role=Role.SYSTEM)
    except (Unavailable, TimeoutError):
        log.warning("validation_undecided")
        runtime.metrics.callbacks.labels("c2b_validation", Outcome.UNDECIDED).inc()
        return Response(verdict_body(Verdict.OTHER), media_type="application/json")
    _tell(runtime, "c2b_validation", outcome)
    return Response(verdict_body(verdict), media_type="application/json")


async def _intake(request: Request, runtime: Runtime) -> Intake:
    config = config_of(request)
    return Intake(
        keys=await runtime.service_keys.keys(),
        shortcodes=config.shortcodes,
        policy=policy_of(runtime, config, utc_now()),
    )


def _tell(runtime: Runtime, kind: str, outcome: Outcome) -> None:
    runtime.metrics.callbacks.labels(kind, outcome).inc()
    log.info("callback_received", kind=kind, outcome=outcome)
