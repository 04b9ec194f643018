"""Says which request, answer or callback goes wrong, and how: by script, always, or by seed. Does nothing itself."""

import random
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self


class Flow(StrEnum):
    """What a fault can befall."""

    OAUTH = "oauth"
    STK = "stk"
    QUERY = "query"
    "the STK query"
    B2C = "b2c"
    STATUS = "status"
    BALANCE = "balance"
    REVERSAL = "reversal"
    C2B = "c2b"
    "registration of URLs is its request, the confirmation its callback"
    PULL = "pull"


class Place(StrEnum):
    """Where in a flow a fault acts. One of each can befall the same request."""

    REQUEST = "request"
    ANSWER = "answer"
    DELIVERY = "delivery"


class Fault(StrEnum):
    """What goes wrong."""

    HTTP_ERROR = "http_error"
    "an error body with `code`; nothing is done"
    HTTP_ERROR_AFTER = "http_error_after"
    "an error body, though the request was accepted and goes its way"
    REVOKE_TOKEN = "revoke_token"  # noqa: S105 (the name of a fault)
    "the token stops being valid just before this request"
    SLOW_REPLY = "slow_reply"
    "the reply waits for `seconds`"
    CUT_BEFORE = "cut_before"
    "the connection is closed before the request is looked at"
    CUT_AFTER = "cut_after"
    "the connection is closed instead of the reply; the request was accepted"
    RESULT_FIRST = "result_first"
    "the callback is delivered before the reply"

    FAIL_WITH = "fail_with"
    "the result is `code`, and no money moves"
    NOT_FOUND = "not_found"
    "asked for something that exists, it says there is no such thing"
    CONTRADICT = "contradict"
    "the STK query says 1037, whatever the callback said or will say"
    PENDING_BY_CODE = "pending_by_code"
    "an STK query during the prompt is answered with ResultCode 4999"
    OTHER_CODE_TYPE = "other_code_type"
    "result codes come as text where they are numbers, and the other way round"
    WHOLE_AMOUNT = "whole_amount"
    "the amount is written without places"
    JAVA_AMOUNT = "java_amount"
    "the Balance item has the text `{Amount={BasicAmount=50.5}}`"
    HASHED_MSISDN = "hashed_msisdn"
    MASKED_MSISDN = "masked_msisdn"
    STARRED_MSISDN = "starred_msisdn"
    "masked without spaces, `25470****149`"
    PLAIN_MSISDN = "plain_msisdn"
    ABSENT_NAMES = "absent_names"
    "the keys of the customer's later names are not there"
    EXPIRES_IN_TEXT = "expires_in_text"
    OTHER_CONTAINER = "other_container"
    "pulled rows come under another key, nested once"
    LOCAL_TIME = "local_time"
    "the times of pulled rows are East Africa Time, though they end in Z"

    LOSE_CALLBACK = "lose_callback"
    DUPLICATE_CALLBACK = "duplicate_callback"
    "it is sent `times` times, all at once"
    DELAY_CALLBACK = "delay_callback"
    "it comes `seconds` late"
    REORDER_CALLBACK = "reorder_callback"
    "it waits until another callback has overtaken it, or for `seconds`"
    GARBAGE_CALLBACK = "garbage_callback"
    "something that is no JSON comes first, to the same address"
    FAILURE_THEN_SUCCESS = "failure_then_success"
    "a success is preceded by a failure with the same ids"
    SUCCESS_THEN_FAILURE = "success_then_failure"
    "a success is followed by a failure with the same ids"
    TIMEOUT_ECHO = "timeout_echo"
    "the original request comes back on the QueueTimeOutURL and no result ever; the request was carried out"
    TIMEOUT_UNDONE = "timeout_undone"
    "the original request comes back and no result ever; nothing was carried out, and the status says Expired"
    TIMEOUT_THEN_RESULT = "timeout_then_result"
    "the original request comes back, and `seconds` later the result"
    FORGED_UNKNOWN = "forged_unknown"
    "a stranger sends a success with ids that nobody made"
    FORGED_AMOUNT = "forged_amount"
    "a stranger sends a success with the true ids and another amount"


_ASYNC: Final = frozenset({Flow.STK, Flow.B2C, Flow.STATUS, Flow.BALANCE, Flow.REVERSAL})
_RESULTS: Final = _ASYNC - {Flow.STK}
_ALL: Final = frozenset(Flow)
_CALLED_BACK: Final = _ASYNC | {Flow.C2B}

APPLIES: Final[Mapping[Fault, tuple[Place, frozenset[Flow]]]] = {
    Fault.HTTP_ERROR: (Place.REQUEST, _ALL),
    Fault.HTTP_ERROR_AFTER: (Place.REQUEST, _ASYNC),
    Fault.REVOKE_TOKEN: (Place.REQUEST, _ALL - {Flow.OAUTH}),
    Fault.SLOW_REPLY: (Place.REQUEST, _ALL),
    Fault.CUT_BEFORE: (Place.REQUEST, _ALL),
    Fault.CUT_AFTER: (Place.REQUEST, _ALL),
    Fault.RESULT_FIRST: (Place.REQUEST, _ASYNC),
    Fault.FAIL_WITH: (Place.ANSWER, _ASYNC),
    Fault.NOT_FOUND: (Place.ANSWER, frozenset({Flow.STATUS, Flow.QUERY})),
    Fault.CONTRADICT: (Place.ANSWER, frozenset({Flow.QUERY})),
    Fault.PENDING_BY_CODE: (Place.ANSWER, frozenset({Flow.QUERY})),
    Fault.OTHER_CODE_TYPE: (Place.ANSWER, _ASYNC | {Flow.QUERY}),
    Fault.WHOLE_AMOUNT: (Place.ANSWER, frozenset({Flow.STK, Flow.C2B})),
    Fault.JAVA_AMOUNT: (Place.ANSWER, frozenset({Flow.STK})),
    Fault.HASHED_MSISDN: (Place.ANSWER, frozenset({Flow.C2B})),
    Fault.MASKED_MSISDN: (Place.ANSWER, frozenset({Flow.C2B})),
    Fault.STARRED_MSISDN: (Place.ANSWER, frozenset({Flow.C2B})),
    Fault.PLAIN_MSISDN: (Place.ANSWER, frozenset({Flow.C2B})),
    Fault.ABSENT_NAMES: (Place.ANSWER, frozenset({Flow.C2B})),
    Fault.EXPIRES_IN_TEXT: (Place.ANSWER, frozenset({Flow.OAUTH})),
    Fault.OTHER_CONTAINER: (Place.ANSWER, frozenset({Flow.PULL})),
    Fault.LOCAL_TIME: (Place.ANSWER, frozenset({Flow.PULL})),
    Fault.LOSE_CALLBACK: (Place.DELIVERY, _CALLED_BACK),
    Fault.DUPLICATE_CALLBACK: (Place.DELIVERY, _CALLED_BACK),
    Fault.DELAY_CALLBACK: (Place.DELIVERY, _CALLED_BACK),
    Fault.REORDER_CALLBACK: (Place.DELIVERY, _CALLED_BACK),
    Fault.GARBAGE_CALLBACK: (Place.DELIVERY, _CALLED_BACK),
    Fault.FAILURE_THEN_SUCCESS: (Place.DELIVERY, frozenset({Flow.STK, Flow.B2C, Flow.REVERSAL})),
    Fault.SUCCESS_THEN_FAILURE: (Place.DELIVERY, frozenset({Flow.STK, Flow.B2C, Flow.REVERSAL})),
    Fault.TIMEOUT_ECHO: (Place.DELIVERY, _RESULTS),
    Fault.TIMEOUT_UNDONE: (Place.DELIVERY, frozenset({Flow.B2C})),
    Fault.TIMEOUT_THEN_RESULT: (Place.DELIVERY, _RESULTS),
    Fault.FORGED_UNKNOWN: (Place.DELIVERY, _CALLED_BACK),
    Fault.FORGED_AMOUNT: (Place.DELIVERY, frozenset({Flow.STK, Flow.B2C, Flow.C2B})),
}
"""Where each fault acts, and in which flows it can."""

HTTP_ERRORS: Final = {
    "500.001.1001": "Unable to lock subscriber, a transaction is already in process for the current subscriber",
    "500.002.1001": "System internal error.",
    "500.003.02": "Error Occurred: Spike Arrest Violation",
    "500.003.03": "Error Occurred: Quota Violation",
    "500.003.1001": "Urls are already registered",
}
"""What Safaricom says with HTTP 500, by its code; `message` of an armed fault says something else."""

FAILURE_CODES: Final[Mapping[Flow, tuple[str, ...]]] = {
    Flow.STK: ("1", "17", "26", "1001", "1019", "1025", "1032", "1037", "2001", "9999", "SFC_IC0003"),
    Flow.B2C: ("2", "8", "17", "21", "26", "2001", "2006", "2028", "2040", "8006", "SFC_IC0003"),
    Flow.STATUS: ("17", "20", "26", "2001"),
    Flow.BALANCE: ("18", "26", "100000002"),
    Flow.REVERSAL: ("R000002", "26"),
}
"""What a seeded plan fails results with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Armed:
    """A fault and its particulars; None stands for what the emulator takes where it is not said."""

    fault: Fault
    code: str | None = None
    message: str | None = None
    times: int = 2
    seconds: float | None = None


class FaultPlan:
    """Faults by flow. What is scripted comes first, then what is always so, then what the seed draws."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queued: dict[Flow, deque[Armed]] = defaultdict(deque)
        self._always: dict[Flow, list[Armed]] = defaultdict(list)
        self._seed: int | None = None
        self._rate_percent = 0
        self._only: frozenset[Fault] = frozenset(Fault)
        self._streams: dict[tuple[Flow, Place], random.Random] = {}

    @classmethod
    def seeded(cls, seed: int, rate_percent: int, *, only: Iterable[Fault] = Fault) -> Self:
        """Return a plan that draws a fault for so many of a hundred chances.

        Each flow and place has a stream of its own, so the n-th push fares the same however many payouts
        run beside it.
        """
        plan = cls()
        plan._seed, plan._rate_percent, plan._only = seed, rate_percent, frozenset(only)
        return plan

    def next(
        self,
        flow: Flow | str,
        fault: Fault | str,
        *,
        code: str | None = None,
        message: str | None = None,
        times: int = 2,
        seconds: float | None = None,
    ) -> None:
        """Arm a fault for the next occasion, once. Raises ValueError where it cannot befall this flow."""
        armed = Armed(fault=Fault(fault), code=code, message=message, times=times, seconds=seconds)
        with self._lock:
            self._queued[_checked(flow, armed)].append(armed)

    def always(
        self,
        flow: Flow | str,
        fault: Fault | str,
        *,
        code: str | None = None,
        message: str | None = None,
        times: int = 2,
        seconds: float | None = None,
    ) -> None:
        """Arm a fault for every occasion until `clear`. Raises ValueError as `next` does."""
        armed = Armed(fault=Fault(fault), code=code, message=message, times=times, seconds=seconds)
        with self._lock:
            self._always[_checked(flow, armed)].append(armed)

    def clear(self) -> None:
        """Forget what is queued and what is always so. A seed goes on drawing."""
        with self._lock:
            self._queued.clear()
            self._always.clear()

    def take(self, flow: Flow, place: Place) -> Armed | None:
        """Return what befalls this occasion. A queued fault is used up."""
        with self._lock:
            for armed in self._queued[flow]:
                if APPLIES[armed.fault][0] is place:
                    self._queued[flow].remove(armed)
                    return armed
            for armed in self._always[flow]:
                if APPLIES[armed.fault][0] is place:
                    return armed
            return self._draw(flow, place)

    def _draw(self, flow: Flow, place: Place) -> Armed | None:
        if self._seed is None:
            return None
        stream = self._streams.setdefault(
            (flow, place),
            random.Random(f"faults:{self._seed}:{flow}:{place}"),  # noqa: S311 (a seed must repeat)
        )
        strikes = stream.randrange(100) < self._rate_percent
        possible = [
            fault
            for fault, (where, flows) in APPLIES.items()
            if where is place and flow in flows and fault in self._only
        ]
        if not strikes or not possible:
            return None
        fault = stream.choice(possible)
        codes = FAILURE_CODES[flow] if fault is Fault.FAIL_WITH else tuple(HTTP_ERRORS)[:4]
        return Armed(
            fault=fault,
            code=stream.choice(codes),
            times=stream.randint(2, 5),
            seconds=stream.choice((1, 5, 20, 90, 300)) if place is Place.DELIVERY else stream.randint(1, 10),
        )


def _checked(flow: Flow | str, armed: Armed) -> Flow:
    checked = Flow(flow)
    if checked not in APPLIES[armed.fault][1]:
        raise ValueError(f"{armed.fault} cannot befall {checked}")
    return checked
