"""The webhook's JSON answer."""

from enum import StrEnum

from zanari_api.kit.schema import Schema
from zanari_api.transactions.schemas import RoundUp


class WebhookStatus(StrEnum):
    """What was done with a delivery."""

    PROCESSED = "processed"
    "the spend, or the reversal, was new and has had its effect"

    DUPLICATE = "duplicate"
    "it was known; nothing changed"

    UNMATCHED = "unmatched"
    "no saver had the number at that time; send it again once one has"

    IGNORED = "ignored"
    "there is nothing to do: a failed payment, or a deleted row"


class WebhookAnswer(Schema):
    """What came of one delivery. A duplicate carries the decision as it was first answered."""

    status: WebhookStatus
    transaction_id: str | None
    round_up: RoundUp | None
