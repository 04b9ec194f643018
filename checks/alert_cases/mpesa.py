"""The cases of the alerts on Safaricom: calls, callbacks, payouts and collections."""

from typing import Final

from checks.alert_cases.case import Case, case, counts, levels, stamps

WORKER: Final = 'job="zanari-worker"'
API: Final = 'job="zanari-api"'
CALLS: Final = "zanari_daraja_calls_total{" + WORKER + ',operation="%s",outcome="%s"}'
CALLBACKS: Final = "zanari_callbacks_total{" + API + ',kind="%s",outcome="%s"}'
SOURCES: Final = "zanari_callbacks_source_refused_total{" + API + ',flow="%s",mode="%s"}'
OPEN: Final = "zanari_payouts_open{" + WORKER + ',instance="%s",state="%s"}'
UNKNOWN_AGE: Final = f"zanari_payout_unknown_age_seconds{{{WORKER}}}"
PULLED: Final = f'zanari_pulled_until_timestamp_seconds{{{WORKER},shortcode="600000"}}'
LAG: Final = "zanari_job_lag_seconds{" + WORKER + ',exported_job="%s"}'

HALF_AN_HOUR_S: Final = 1800
WEEK: Final = 7 * 48
"""In steps of half an hour."""

SILENT: Final = "Prompts and payouts were taken on within the last hour, and no callback came."
UNPAID: Final = "Not one was within the last hour; at this hour a week ago there were more than ten."
IN_DOUBT: Final = "The oldest has been in doubt for 15m 1s. It is asked after by itself."

DARAJA: Final = (
    case(
        "DarajaBreakerOpen: one process of two holds a group back for longer than a minute",
        "page",
        {
            f'zanari_daraja_breaker_open{{{WORKER},operation_group="stk"}}': levels(
                (10, 0), (10, 1), (10, 0)
            ),
            f'zanari_daraja_breaker_open{{{API},operation_group="stk"}}': levels((30, 0)),
            f'zanari_daraja_breaker_open{{{WORKER},operation_group="token"}}': levels((30, 0)),
        },
        quiet=(9, 10, 20),
        fires={11: "The last calls of the group stk failed, so they wait."},
        labels={"operation_group": "stk"},
    ),
    case(
        "DarajaFailing: one call in five fails, then more, then none",
        "page",
        {
            CALLS % ("b2c", "ok"): counts((20, 8), (20, 5), (20, 10)),
            CALLS % ("b2c", "unresolved"): counts((20, 2), (20, 5), (20, 0)),
            CALLS % ("stk_push", "ok"): counts((60, 100)),
        },
        quiet=(19, 25, 50),
        fires={
            26: "50% of the calls of b2c got no answer or could not be made.",
            35: "50% of the calls of b2c got no answer or could not be made.",
        },
        labels={"operation": "b2c"},
    ),
    case(
        "DarajaFailing: ten failures in five minutes are too few to say",
        "page",
        {CALLS % ("b2c", "ok"): levels((30, 0)), CALLS % ("b2c", "unavailable"): counts((30, 2))},
        quiet=(10, 29),
    ),
    case(
        "DarajaFailing: nobody calls",
        "page",
        {CALLS % ("b2c", "unavailable"): levels((30, 9))},
        quiet=(29,),
    ),
    case(
        "DarajaRefusing: half are refused, then most, then none",
        "page",
        {
            CALLS % ("b2c", "ok"): counts((40, 5), (30, 1), (40, 10)),
            CALLS % ("b2c", "refused"): counts((40, 5), (30, 9), (40, 0)),
            CALLS % ("stk_query", "refused"): counts((110, 50)),
        },
        quiet=(39, 45, 100),
        fires={
            46: "66% of the calls of b2c are refused: credentials, an expired password or a shortcode's rights are"
            " wrong.",
            65: "90% of the calls of b2c are refused: credentials, an expired password or a shortcode's rights are"
            " wrong.",
        },
        labels={"operation": "b2c"},
    ),
    case(
        "DarajaRefusing: three refusals are too few to say",
        "page",
        {CALLS % ("b2c", "refused"): (*levels((10, 0)), *counts((4, 1)), *levels((30, 3)))},
        quiet=(14, 20, 25, 40),
    ),
)

COMING_IN: Final = (
    case(
        "CallbacksRefused: two in a quarter of an hour, then many, then none",
        "page",
        {
            SOURCES % ("stk", "enforced"): (
                *levels((16, 0)),
                *counts((3, 1)),
                *levels((20, 2)),
                *counts((10, 1), (40, 0)),
            ),
            SOURCES % ("stk", "reported"): levels((89, 0)),
        },
        quiet=(18, 25, 80),
        fires={
            48: "About 9 callbacks of stk in 15 minutes had a valid token and came from an address that is not"
            " listed. They were not stored."
        },
        labels={"flow": "stk"},
    ),
    case(
        "CallbacksFromElsewhere: two in a quarter of an hour, then many, then none",
        "ticket",
        {
            SOURCES % ("c2b", "reported"): (
                *levels((16, 0)),
                *counts((3, 1)),
                *levels((20, 2)),
                *counts((10, 1), (40, 0)),
            ),
            SOURCES % ("c2b", "enforced"): levels((89, 0)),
        },
        quiet=(18, 25, 80),
        fires={
            48: "About 9 callbacks of c2b in 15 minutes. They were taken in, since the list is not enforced."
        },
        labels={"flow": "c2b"},
    ),
    case(
        "CallbacksQuarantined: two workers tell of the same one",
        "ticket",
        {
            f'zanari_callbacks_quarantined{{{WORKER},instance="a",kind="stk"}}': levels(
                (10, 0), (10, 1), (10, 0)
            ),
            f'zanari_callbacks_quarantined{{{WORKER},instance="b",kind="stk"}}': levels(
                (10, 0), (10, 1), (10, 0)
            ),
        },
        quiet=(9, 14, 20),
        fires={15: "Callbacks of stk that could not be acted on: 1. They moved nothing."},
        labels={"kind": "stk"},
    ),
    # Midnight in London is minute 0 and three o'clock in Nairobi, where the day begins at 07:00 (minute 240).
    case(
        "NoCallbacks: all night nothing comes, in the morning it tells, then they come",
        "page",
        {
            CALLBACKS % ("stk", "settled"): (*levels((300, 5)), *counts((60, 1), start=5)),
            CALLBACKS % ("pull", "credited"): counts((360, 1)),
            CALLS % ("stk_push", "ok"): counts((360, 1)),
        },
        quiet=(120, 239, 249, 320),
        fires={250: SILENT, 300: SILENT},
    ),
    case(
        "NoCallbacks: in the evening nothing comes, and it ends with the day",
        "page",
        {CALLBACKS % ("stk", "settled"): levels((1100, 5)), CALLS % ("b2c", "ok"): counts((1100, 1))},
        quiet=(1080, 1090),
        fires={1079: SILENT},
    ),
    case(
        "NoCallbacks: by day, five that Safaricom took on within the hour are too few to say",
        "page",
        {
            CALLBACKS % ("stk", "settled"): levels((420, 5)),
            CALLS % ("stk_push", "ok"): (*levels((340, 0)), *counts((6, 1)), *levels((74, 5))),
        },
        quiet=(345, 360, 399, 419),
    ),
    case(
        "NoPaymentsConfirmed: a week ago they came all day, today they do not until noon",
        "page",
        {
            CALLBACKS % ("c2b_confirmation", "credited"): (
                *counts((WEEK, 15)),
                *levels((18, 15 * WEEK)),
                *counts((10, 1), start=15 * WEEK),
            )
        },
        quiet=(WEEK + 4, WEEK + 8, WEEK + 20),
        fires={WEEK + 9: UNPAID, WEEK + 17: UNPAID},
        step_s=HALF_AN_HOUR_S,
    ),
    case(
        "NoPaymentsConfirmed: a week ago there were no more than ten",
        "page",
        {
            CALLBACKS % ("c2b_confirmation", "credited"): (
                *levels((10, 0)),
                *counts((2, 5)),
                *levels((WEEK + 10, 10)),
            )
        },
        quiet=(WEEK + 11, WEEK + 12, WEEK + 13),
        step_s=HALF_AN_HOUR_S,
    ),
    case(
        "PullBehind: nothing is pulled for more than four hours, then it is",
        "ticket",
        {PULLED: stamps((60, True), (270, False), (20, True))},
        quiet=(299, 314, 330),
        fires={
            315: "What Safaricom lists for 600000 was pulled up to 4h 16m 0s ago: a confirmation that is lost since"
            " then is not recovered."
        },
        labels={"shortcode": "600000"},
    ),
    case(
        "InboxLag: the first has waited for two minutes, then longer, then it is done",
        "page",
        {LAG % "callbacks": levels((10, 120), (10, 121), (10, 0)), LAG % "prompts": levels((30, 500))},
        quiet=(9, 11, 20),
        fires={12: "The first that is due has waited for 2m 1s."},
    ),
)

GOING_OUT: Final = (
    case(
        "PayoutBacklog: a hundred on their way, as two workers tell, then one more, then few",
        "page",
        {
            OPEN % ("a", "requested"): levels((20, 40), (20, 41), (10, 3)),
            OPEN % ("b", "requested"): levels((20, 40), (20, 41), (10, 3)),
            OPEN % ("a", "submitting"): levels((50, 10)),
            OPEN % ("a", "submitted"): levels((50, 50)),
            OPEN % ("a", "queued"): levels((50, 50)),
        },
        quiet=(19, 34, 40),
        fires={35: "101 payouts are on their way, and that for 15 minutes."},
    ),
    case(
        "PayoutsQueued: twenty wait, then more, then none",
        "ticket",
        {
            OPEN % ("a", "queued"): levels((40, 20), (40, 21), (10, 0)),
            OPEN % ("a", "requested"): levels((90, 90)),
        },
        quiet=(39, 69, 80),
        fires={70: "21 payouts are queued: for float, for the end of a pause or of a hold."},
    ),
    case(
        "PayoutUnknown: fifteen minutes, then longer, then it is known",
        "ticket",
        {UNKNOWN_AGE: levels((10, 900), (10, 901), (10, 0))},
        quiet=(9, 20),
        fires={10: IN_DOUBT, 19: IN_DOUBT},
    ),
    case(
        "PayoutUnknownForLong: an hour, then longer, then it is known",
        "page",
        {UNKNOWN_AGE: levels((10, 3600), (10, 3660), (10, 0))},
        quiet=(9, 20),
        fires={10: "The oldest has been in doubt for 1h 1m 0s, and M-PESA was asked again and again."},
    ),
    case(
        "CollectionBacklog: two hours, then longer, then it ends",
        "ticket",
        {f"zanari_collection_oldest_age_seconds{{{WORKER}}}": levels((20, 7200), (20, 7260), (10, 0))},
        quiet=(19, 29, 40),
        fires={30: "The oldest was announced 2h 1m 0s ago. Its round-ups stay bound to it."},
    ),
    case(
        "CollectionsPileUp: five hundred, then more, then few",
        "ticket",
        {f"zanari_collections_open{{{WORKER}}}": levels((20, 500), (20, 501), (10, 9))},
        quiet=(19, 34, 40),
        fires={35: "501 collections are open, and that for 15 minutes."},
    ),
)

CASES: Final[tuple[Case, ...]] = (*DARAJA, *COMING_IN, *GOING_OUT)
