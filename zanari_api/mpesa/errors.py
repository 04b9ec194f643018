"""The inbound rail's refusals."""

from zanari_api.kit.errors import Refusal, Unavailable


class InvalidSignature(Refusal):
    """The X-Mpesa-Signature header is missing, does not fit this body, or is too old."""

    code = "invalid_signature"
    status = 401
    logged_by_budget = True


class MalformedRecord(Refusal):
    """The body is not a record this service can read."""

    code = "malformed_record"
    status = 422


class WebhookNotConfigured(Unavailable):
    """This service has no secret or key to verify signatures with, so it takes no spends."""

    code = "webhook_not_configured"


class WrongCallbackToken(Refusal):
    """There is nothing here."""

    code = "not_found"
    status = 404
    logged_by_budget = True


class SourceNotAllowed(Refusal):
    """Callbacks are taken from Safaricom's addresses alone, and this is none of them."""

    code = "source_not_allowed"
    status = 403
    logged_by_budget = True
