"""The signed round-up webhook over HTTP: verified over the raw bytes before anything is read."""

from typing import Final

import structlog
from fastapi import APIRouter, Request, Response

from zanari_api.kit.clock import Clock
from zanari_api.mpesa.config import MpesaConfig
from zanari_api.mpesa.errors import InvalidSignature, MalformedRecord, WebhookNotConfigured
from zanari_api.mpesa.records import Change, Envelope, SpendRecord, SpendStatus, read_envelope
from zanari_api.mpesa.schemas import WebhookAnswer, WebhookStatus
from zanari_api.mpesa.spend_batching import SpendBatcher
from zanari_api.roundups.spends import Recorded
from zanari_api.runtime.batching import NotReached, QueueFull
from zanari_api.runtime.db import DatabaseUnavailable, TryAgain
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.problems import refuses

SIGNATURE_HEADER: Final = "X-Mpesa-Signature"

log = structlog.get_logger(__name__)


class SpendWebhook:
    """The webhook's endpoint. It is handed its parts once: solving for them costs more than recording a spend."""

    def __init__(self, config: MpesaConfig, spends: SpendBatcher, *, clock: Clock, metrics: Metrics) -> None:
        self._config = config
        self._spends = spends
        self._clock = clock
        self._count_refused_credential = metrics.credentials_refused.labels("signature").inc
        outcomes = (*WebhookStatus, "malformed", "invalid_signature", "not_configured")
        self._count = {outcome: metrics.webhook_requests.labels(outcome).inc for outcome in outcomes}

    async def receive_spend(self, request: Request) -> Response:
        """Record one M-PESA spend, or its reversal, and round it up. Safe to deliver again."""
        body = await request.body()
        self._verify(request.headers.get(SIGNATURE_HEADER), body)
        try:
            envelope = read_envelope(body, now=self._clock.now())
        except MalformedRecord:
            self._count["malformed"]()
            raise
        answer = await self._answer(envelope)
        self._count[answer.status]()
        return Response(answer.model_dump_json(), media_type="application/json")

    def _verify(self, signature: str | None, body: bytes) -> None:
        """Raise WebhookNotConfigured or InvalidSignature. A wrong one is counted; its log line has a budget."""
        if not self._config.signature.configured:
            self._count["not_configured"]()
            raise WebhookNotConfigured(retry_after=60)
        try:
            self._config.signature.verify(signature, body)
        except InvalidSignature as refusal:
            self._count_refused_credential()
            self._count["invalid_signature"]()
            self._config.refused_log.warning(credential="signature", **refusal.context)
            raise

    async def _answer(self, envelope: Envelope) -> WebhookAnswer:
        record = envelope.record
        if record is None or envelope.change is Change.DELETE or record.status is SpendStatus.FAILED:
            return WebhookAnswer(status=WebhookStatus.IGNORED, transaction_id=envelope.receipt, round_up=None)
        recorded = await self._record(record)
        return WebhookAnswer(
            status=WebhookStatus(recorded.status), transaction_id=record.receipt, round_up=recorded.round_up
        )

    async def _record(self, record: SpendRecord) -> Recorded:
        recorded = await self._spends.submit(record)
        decision = recorded.decision
        log.info(
            "spend_received",
            status=recorded.status,
            outcome=decision and decision.outcome,
            reason=decision and decision.reason,
            round_up_cents=decision and decision.round_up_cents,
        )
        return recorded


def webhook_router(webhook: SpendWebhook) -> APIRouter:
    """Return the route of the webhook, under which its endpoint is documented and counted."""
    router = APIRouter(prefix="/api/v1/mpesa/webhooks", tags=["mpesa"])
    router.post(
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
    )(webhook.receive_spend)
    return router
