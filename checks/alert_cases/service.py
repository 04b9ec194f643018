"""The cases of the alerts on the API, its promises, its secrets and its processes."""

from typing import Final

from checks.alert_cases.case import DAY_S, HOUR_S, MINUTE_S, Case, case, counts, gone, levels

API: Final = 'job="zanari-api"'
GOALS: Final = f'{API},instance="api:8000",route="/api/v1/goals"'
OK: Final = f'http_requests_total{{{GOALS},status_code="200"}}'
WITHIN: Final = "http_request_duration_seconds_bucket{" + GOALS + ',le="%s"}'
TIMED: Final = f"http_request_duration_seconds_count{{{GOALS}}}"
UP: Final = 'up{job="zanari-api",instance="api:8000"}'
UP_TOO: Final = 'up{job="zanari-api",instance="api:8001"}'
REFUSED: Final = f'zanari_credentials_refused_total{{{API},kind="%s"}}'
QUEUED: Final = f'zanari_webhook_queue_length{{{API},instance="api:8000"}}'
CERTIFICATE: Final = 'zanari_certificate_expiry_timestamp_seconds{certificate="mpesa"}'
KEY: Final = 'zanari_key_expiry_timestamp_seconds{key="mpesa_initiator_password"}'
PASSWORD: Final = {"key": "mpesa_initiator_password"}
HERE: Final = {"instance": "api:8000", "job": "zanari-api"}
PROCESS: Final = f'{{{API},instance="api:8000"}}'

TEN_MINUTES_S: Final = 10 * MINUTE_S
NO_API: Final = (
    "No target of zanari-api has been scraped for a minute. Savers see errors, and Safaricom's callbacks get no"
    " answer."
)
MISSING: Final = (
    "A series that alerts read has been missing for five minutes, though something answers: those alerts cannot"
    " fire. The runbook says how to find which."
)

PRESENT: Final = {
    OK: counts((60, 60)),
    WITHIN % "0.5": counts((60, 60)),
    TIMED: counts((60, 60)),
    f'zanari_callbacks_total{{{API},kind="stk"}}': levels((60, 0)),
    f'zanari_callbacks_source_refused_total{{{API},flow="stk",mode="enforced"}}': levels((60, 0)),
    REFUSED % "signature": levels((60, 0)),
    f'zanari_rate_limited_total{{{API},limit="saver"}}': levels((60, 0)),
    f"zanari_rate_limit_store_failures_total{{{API}}}": levels((60, 0)),
    f'zanari_unavailable_total{{{API},code="unavailable"}}': levels((60, 0)),
    QUEUED: levels((60, 0)),
    'zanari_daraja_calls_total{job="zanari-worker",operation="b2c",outcome="ok"}': levels((60, 0)),
    'zanari_daraja_breaker_open{operation_group="stk"}': levels((60, 0)),
    "zanari_db_connections_in_use": levels((60, 1)),
    "zanari_db_connections_max": levels((60, 10)),
    "zanari_db_connections_waiting": levels((60, 0)),
    CERTIFICATE: levels((60, 100 * DAY_S)),
    KEY: levels((60, 100 * DAY_S)),
    f"process_open_fds{PROCESS}": levels((60, 10)),
    f"process_max_fds{PROCESS}": levels((60, 1000)),
    f"process_start_time_seconds{PROCESS}": levels((60, 1)),
}
"""What alerts on the API read; a case takes one away."""


def missing(name: str) -> Case:
    """Return the case in which one series of the API is gone for twenty minutes, while all others are there."""
    series = PRESENT | {name: (*levels((20, 0)), *gone(20), *levels((20, 0)))}
    return case(
        f"ApiSignalsMissing: {name.partition('{')[0]} vanishes while the API answers",
        "page",
        series,
        # The last sample is from minute 19: the window is empty from 25 on, and a minute later it fires.
        quiet=(5, 19, 24, 45),
        fires={30: MISSING},
        labels=_told(name),
    )


def _told(name: str) -> dict[str, str]:
    """Return what absent_over_time() knows of the series: the labels that the rule asks to be just so."""
    told = {}
    if name.startswith(
        ("http_", "zanari_callbacks", "zanari_cred", "zanari_rate", "zanari_unav", "zanari_web")
    ):
        told = {"job": "zanari-api"}
    if name.startswith("zanari_daraja_calls"):
        told = {"job": "zanari-worker"}
    return told


PRESENCE: Final = (
    case(
        "Watchdog: it always fires",
        "none",
        {},
        quiet=(),
        fires={
            0: "This always fires. Whoever receives it has to raise the alarm when it stops coming.",
            60: "This always fires. Whoever receives it has to raise the alarm when it stops coming.",
        },
    ),
    case(
        "ApiDown: its only target stops answering",
        "page",
        {UP: levels((10, 1), (10, 0), (10, 1))},
        quiet=(9, 10, 20),
        fires={11: NO_API, 19: NO_API},
    ),
    case(
        "ApiDown: one of two answers",
        "page",
        {UP: levels((30, 1)), UP_TOO: levels((30, 0))},
        quiet=(5, 29),
    ),
    case(
        "ApiDown: its targets are no longer known at all",
        "page",
        {UP: (*levels((10, 1)), *gone(10), *levels((10, 1)))},
        quiet=(9, 20),
        fires={11: NO_API, 15: NO_API},
    ),
    case(
        "TargetDown: one of two is down for more than five minutes",
        "ticket",
        {UP: levels((30, 1)), UP_TOO: levels((10, 1), (10, 0), (10, 1))},
        quiet=(9, 14, 20),
        fires={15: "api:8001 of zanari-api has not been scraped for five minutes."},
        labels={"instance": "api:8001", "job": "zanari-api"},
    ),
    *(missing(name) for name in PRESENT),
)

QUEUE: Final = (
    case(
        "WebhookQueueLong: three quarters of what may wait, then more, then none",
        "ticket",
        {
            QUEUED: levels((10, 768), (10, 900), (10, 0)),
            QUEUED.replace("8000", "8001"): levels((30, 700)),
        },
        quiet=(9, 10, 20),
        fires={11: "900 wait at api:8000, where 1,024 may; beyond that they are answered 503."},
        labels={"instance": "api:8000"},
    ),
    case(
        "WebhookQueueFull: ten in five minutes, then more, then none",
        "page",
        {
            f'zanari_unavailable_total{{{API},code="queue_full"}}': counts((20, 2), (20, 4), (20, 0)),
            f'zanari_unavailable_total{{{API},code="database_unavailable"}}': counts((60, 9)),
        },
        quiet=(19, 50),
        fires={
            35: "About 20 were answered 503 in five minutes, for the queue was full. The sender has to send them again."
        },
    ),
)

ABUSE: Final = (
    case(
        "InvalidSignatureBurst: fifty in ten minutes, then sixty, then none",
        "ticket",
        {
            REFUSED % "signature": counts((30, 5), (30, 6), (30, 0)),
            REFUSED % "access_token": counts((90, 90)),
        },
        quiet=(29, 75),
        fires={
            45: "About 60 requests in ten minutes. A secret was rotated on one side alone, a clock is wrong, or"
            " somebody tries."
        },
    ),
    case(
        "CallbackTokenBurst: twenty in ten minutes, then thirty, then none",
        "ticket",
        {
            REFUSED % "callback_token": counts((30, 2), (30, 3), (30, 0)),
            REFUSED % "signature": counts((90, 9)),
        },
        quiet=(29, 75),
        fires={
            45: "About 30 in ten minutes. A token was dropped that Safaricom still uses, or somebody guesses."
        },
    ),
    case(
        "RateLimitStorm: one a second, then two, then none",
        "ticket",
        {
            f'zanari_rate_limited_total{{{API},limit="address"}}': counts((20, 60), (20, 120), (20, 0)),
            f'zanari_rate_limited_total{{{API},limit="pin"}}': counts((60, 60)),
        },
        quiet=(19, 25, 50),
        fires={
            26: "2 requests a second are over the limit of each address.",
            35: "2 requests a second are over the limit of each address.",
        },
        labels={"limit": "address"},
    ),
    case(
        "RateLimitStoreDown: two a minute go uncounted, then four, then none",
        "ticket",
        {f"zanari_rate_limit_store_failures_total{{{API}}}": counts((20, 2), (20, 4), (20, 0))},
        quiet=(19, 24, 50),
        fires={
            35: "The counters of the rate limits could not be reached for about 20 requests in five minutes, which"
            " were let through."
        },
    ),
)

SECRETS: Final = (
    case(
        "CertificateExpires: thirty days before, until it is replaced",
        "ticket",
        {CERTIFICATE: levels((100, 30 * DAY_S + HOUR_S), (20, 365 * DAY_S))},
        quiet=(60, 70, 100),
        fires={71: "The certificate mpesa expires in 29d 23h 49m 0s."},
        labels={"certificate": "mpesa"},
    ),
    case(
        "CertificateExpiresNow: seven days before, until it is replaced",
        "page",
        {CERTIFICATE: levels((100, 7 * DAY_S + HOUR_S), (20, 365 * DAY_S))},
        quiet=(60, 70, 100),
        fires={71: "The certificate mpesa expires in 6d 23h 49m 0s."},
        labels={"certificate": "mpesa"},
    ),
    case(
        "KeyExpires: thirty days before, until a new one is set",
        "ticket",
        {KEY: levels((100, 30 * DAY_S + HOUR_S), (20, 90 * DAY_S))},
        quiet=(60, 70, 100),
        fires={71: "mpesa_initiator_password expires in 29d 23h 49m 0s."},
        labels=PASSWORD,
    ),
    case("KeyExpires: nobody said when it was set", "ticket", {KEY: levels((60, 0))}, quiet=(30, 59)),
    case(
        "KeyExpiresNow: seven days before, until a new one is set",
        "page",
        {KEY: levels((100, 7 * DAY_S + HOUR_S), (20, 90 * DAY_S))},
        quiet=(60, 70, 100),
        fires={71: "mpesa_initiator_password expires in 6d 23h 49m 0s."},
        labels=PASSWORD,
    ),
    case("KeyExpiresNow: nobody said when it was set", "page", {KEY: levels((60, 0))}, quiet=(30, 59)),
    case(
        "KeyExpiryUnknown: for a day nobody says when it was set, then somebody does",
        "ticket",
        {KEY: levels((150, 0), (10, 900 * DAY_S))},
        quiet=(143, 150),
        fires={
            144: "When mpesa_initiator_password expires is not known, so nobody would be warned.",
        },
        labels=PASSWORD,
        step_s=TEN_MINUTES_S,
    ),
)

PROCESSES: Final = (
    case(
        "ProcessRestarts: three starts in half an hour, then one more, then quiet",
        "ticket",
        {f"process_start_time_seconds{PROCESS}": levels((10, 1), (5, 2), (5, 3), (5, 4), (60, 5))},
        quiet=(24, 60),
        fires={25: "api:8000 of zanari-api was started 4 times in half an hour."},
        labels=HERE,
    ),
    case(
        "FileDescriptorsHigh: 80 %, then more, then few",
        "ticket",
        {
            f"process_open_fds{PROCESS}": levels((20, 800), (20, 900), (10, 50)),
            f"process_max_fds{PROCESS}": levels((50, 1000)),
        },
        quiet=(19, 24, 40),
        fires={25: "api:8000 of zanari-api uses 90% of them."},
        labels=HERE,
    ),
)

CASES: Final[tuple[Case, ...]] = (*PRESENCE, *QUEUE, *ABUSE, *SECRETS, *PROCESSES)
