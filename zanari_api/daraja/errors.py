"""The three ways a call to Safaricom fails; what a caller may do next follows from the class alone.

DarajaError
  DarajaRefused        definite: nothing happened; its reason tells whether it may be accepted another time
    DuplicateRequest   this id was sent before: the first one went through or is on its way, so ask for it
  DarajaUnresolved     it may have been carried out: never send it again, ask what became of it
  DarajaUnavailable    nothing was sent, or not with a token that counts: it may be tried again later

None of them quotes what Safaricom wrote: one of its error texts echoes the access token.
"""

from enum import StrEnum


class Operation(StrEnum):
    """What was called."""

    TOKEN = "token"  # noqa: S105 (the name of a call)
    REGISTER_URLS = "register_urls"
    STK_PUSH = "stk_push"
    STK_QUERY = "stk_query"
    B2C = "b2c"
    TRANSACTION_STATUS = "transaction_status"
    ACCOUNT_BALANCE = "account_balance"
    REVERSAL = "reversal"
    PULL_REGISTER = "pull_register"
    PULL_QUERY = "pull_query"


class RefusalReason(StrEnum):
    """Why Safaricom refused, in a word of ours."""

    BAD_REQUEST = "bad_request"
    INVALID_TOKEN = "invalid_token"  # noqa: S105 (a reason)
    MISCONFIGURED = "misconfigured"
    PROMPT_OPEN = "prompt_open"
    THROTTLED = "throttled"
    ALREADY_REGISTERED = "already_registered"
    DUPLICATE = "duplicate"
    NOT_ACCEPTED = "not_accepted"


class Doubt(StrEnum):
    """Why nobody can tell whether the request was carried out."""

    TIMED_OUT = "timed_out"
    CUT = "cut"
    SERVER_FAULT = "server_fault"
    UNREADABLE = "unreadable"


class Hindrance(StrEnum):
    """Why nothing was sent."""

    NOT_REACHED = "not_reached"
    BREAKER_OPEN = "breaker_open"
    OVER_LIMIT = "over_limit"
    NO_TOKEN = "no_token"  # noqa: S105 (a reason)
    NOT_CONFIGURED = "not_configured"


class DarajaError(Exception):
    """A call to Safaricom did not give its answer. The text holds words of ours and a checked code only."""

    def __init__(
        self, operation: Operation, why: StrEnum, error_code: str | None, status: int | None
    ) -> None:
        self.operation = operation
        self.why = why
        self.error_code = error_code
        self.http_status = status
        told = [f"{operation}: {why}"]
        told += [f"HTTP {status}"] if status is not None else []
        told += [f"code {error_code}"] if error_code is not None else []
        super().__init__(", ".join(told))


class DarajaRefused(DarajaError):  # noqa: N818 (says what Safaricom did)
    """Safaricom refused, definitely: nothing happened."""

    def __init__(
        self, operation: Operation, reason: RefusalReason, *, error_code: str | None, http_status: int
    ) -> None:
        super().__init__(operation, reason, error_code, http_status)
        self.reason = reason


class DuplicateRequest(DarajaRefused):
    """This OriginatorConversationID is known already. This sending did nothing; the first one decides."""

    def __init__(self, operation: Operation, *, error_code: str | None, http_status: int) -> None:
        super().__init__(operation, RefusalReason.DUPLICATE, error_code=error_code, http_status=http_status)


class DarajaUnresolved(DarajaError):  # noqa: N818 (says what is known)
    """The request may have been carried out."""

    def __init__(
        self,
        operation: Operation,
        cause: Doubt,
        *,
        error_code: str | None = None,
        http_status: int | None = None,
    ) -> None:
        super().__init__(operation, cause, error_code, http_status)
        self.cause = cause


class DarajaUnavailable(DarajaError):  # noqa: N818 (says what was done)
    """Nothing was sent."""

    def __init__(self, operation: Operation, cause: Hindrance) -> None:
        super().__init__(operation, cause, None, None)
        self.cause = cause
