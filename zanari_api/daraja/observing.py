"""What is told of the calls to Safaricom while they happen, and how the service's metrics are told. Sees no content."""

from enum import StrEnum
from typing import Final, Protocol

from zanari_api.daraja.errors import Operation
from zanari_api.runtime.metrics import Metrics


class CallOutcome(StrEnum):
    """How a call ended: answered, or by the class of its error."""

    OK = "ok"
    REFUSED = "refused"
    UNRESOLVED = "unresolved"
    UNAVAILABLE = "unavailable"


class Group(StrEnum):
    """Operations that fail together, and share one circuit breaker."""

    TOKEN = "token"  # noqa: S105 (the name of a group)
    STK = "stk"
    STK_QUERY = "stk_query"
    MONEY_OUT = "money_out"
    ENQUIRY = "enquiry"
    INTAKE = "intake"


GROUPS: Final = {
    Operation.TOKEN: Group.TOKEN,
    Operation.STK_PUSH: Group.STK,
    # Apart from the push: when pushes fail, asking what became of them matters most.
    Operation.STK_QUERY: Group.STK_QUERY,
    Operation.B2C: Group.MONEY_OUT,
    Operation.REVERSAL: Group.MONEY_OUT,
    Operation.TRANSACTION_STATUS: Group.ENQUIRY,
    Operation.ACCOUNT_BALANCE: Group.ENQUIRY,
    Operation.REGISTER_URLS: Group.INTAKE,
    Operation.PULL_REGISTER: Group.INTAKE,
    Operation.PULL_QUERY: Group.INTAKE,
}


class Observer(Protocol):
    """Whoever wants to know. Must be quick, and must not raise."""

    def called(self, operation: Operation, outcome: CallOutcome, *, duration_s: float) -> None: ...
    def breaker_turned(self, group: Group, *, is_open: bool) -> None: ...
    def limiter_waited(self, operation: Operation) -> None: ...


class MetricsObserver:
    """Tells the service's metrics; every series is there from the start."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        metrics.start_at_zero(metrics.daraja_calls, Operation, CallOutcome)
        metrics.start_at_zero(metrics.daraja_limiter_waits, Operation)
        for operation in Operation:
            metrics.daraja_call_seconds.labels(operation)
        for group in Group:
            metrics.daraja_breaker_open.labels(group).set(0)

    def called(self, operation: Operation, outcome: CallOutcome, *, duration_s: float) -> None:
        self._metrics.daraja_calls.labels(operation, outcome).inc()
        self._metrics.daraja_call_seconds.labels(operation).observe(duration_s)

    def breaker_turned(self, group: Group, *, is_open: bool) -> None:
        self._metrics.daraja_breaker_open.labels(group).set(int(is_open))

    def limiter_waited(self, operation: Operation) -> None:
        self._metrics.daraja_limiter_waits.labels(operation).inc()
