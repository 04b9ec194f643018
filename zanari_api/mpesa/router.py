"""The signed round-up webhook over HTTP: verified over the raw bytes before anything is read."""

from typing import Final, cast

import structlog
from fastapi import APIRouter, Request, Response

from zanari_api.mpesa.config import MpesaConfig, config_of
from zanari_api.mpesa.errors import InvalidSignature, MalformedRecord, WebhookNotConfigured
from zanari_api.mpesa.records import Change, SpendRecord, SpendStatus, read_envelope
from zanari_api.mpesa.schemas import WebhookAnswer, WebhookStatus
from zanari_api.mpesa.spend_batching import SpendBatcher
from zanari_api.roundups.spends import Recorded
from zanari_api.runtime.batching import NotReached, QueueFull
from zanari_api.runtime.db import DatabaseUnavailable, TryAgain
from zanari_api.runtime.deps import Runtime, runtime_of
from zanari_api.runtime.problems import refuses

SIGNATURE_HEADER: Final = "X-Mpesa-Signature"

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/api/v1/mpesa/webhooks", tags=["mpesa"])


@router.post(
    "/roundup",
    response_model=WebhookAnswer,
    responses=refuses(
        InvalidSignature,
        MalformedRecord,
        WebhookNotConfigured,
        DatabaseUnavailable,
        TryAgain,
        QueueFull,
        NotReached,
    ),
    openapi_extra={
        "parameters": [
            {"in": "header", "name": SIGNATURE_HEADER, "required": False, "schema": {"type": "string"}}
        ],
        "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
    },
)
async def receive_spend(request: Request) -> Response:
    """Record one M-PESA spend, or its reversal, and round it up. Safe to deliver again."""
    # Nothing is injected here: solving for it takes a third of what a request costs before its spend is recorded.
    runtime = await runtime_of(request)
    config = config_of(request)
    body = await request.body()
    _verify(config, runtime, request.headers.get(SIGNATURE_HEADER), body)
    try:
        envelope = read_envelope(body, now=runtime.clock.now())
    except MalformedRecord:
        runtime.metrics.webhook_requests.labels("malformed").inc()
        raise
    record = envelope.record
    if record is None or envelope.change is Change.DELETE or record.status is SpendStatus.FAILED:
        answer = WebhookAnswer(status=WebhookStatus.IGNORED, transaction_id=envelope.receipt, round_up=None)
    else:
        recorded = await _record(cast("SpendBatcher", request.app.state.spends), record)
        answer = WebhookAnswer(
            status=WebhookStatus(recorded.status), transaction_id=record.receipt, round_up=recorded.round_up
        )
    runtime.metrics.webhook_requests.labels(answer.status).inc()
    return Response(answer.model_dump_json(), media_type="application/json")


def _verify(config: MpesaConfig, runtime: Runtime, signature: str | None, body: bytes) -> None:
    """Raise WebhookNotConfigured or InvalidSignature. A wrong signature is counted; its log line has a budget."""
    if not config.signature.configured:
        runtime.metrics.webhook_requests.labels("not_configured").inc()
        raise WebhookNotConfigured(retry_after=60)
    try:
        config.signature.verify(signature, body)
    except InvalidSignature as refusal:
        runtime.metrics.credentials_refused.labels("signature").inc()
        runtime.metrics.webhook_requests.labels("invalid_signature").inc()
        config.refused_log.warning(credential="signature", **refusal.context)
        raise


async def _record(spends: SpendBatcher, record: SpendRecord) -> Recorded:
    recorded = await spends.submit(record)
    log.info(
        "spend_received",
        status=recorded.status,
        outcome=recorded.decision and recorded.decision.outcome,
        reason=recorded.decision and recorded.decision.reason,
        round_up_cents=recorded.decision and recorded.decision.round_up_cents,
    )
    return recorded
