"""The cases of the alerts on what is promised of requests: how many fail, and how long they take."""

from typing import Final

from checks.alert_cases.case import MINUTE_S, Case, Samples, case, counts, levels

API: Final = 'job="zanari-api"'
GOALS: Final = f'{API},instance="api:8000",route="/api/v1/goals"'
OK: Final = f'http_requests_total{{{GOALS},status_code="200"}}'
FAILED: Final = f'http_requests_total{{{GOALS},status_code="500"}}'
PROBED: Final = f'http_requests_total{{{API},route="/health",status_code="200"}}'
STRAY: Final = f'http_requests_total{{{API},route="unmatched",status_code="404"}}'
WITHIN: Final = "http_request_duration_seconds_bucket{" + GOALS + ',le="%s"}'
TIMED: Final = f"http_request_duration_seconds_count{{{GOALS}}}"
TEN_MINUTES_S: Final = 10 * MINUTE_S

TRAFFIC: Final = (
    case(
        "HighErrorRate: just one in twenty fails, then more, then none",
        "page",
        {OK: counts((20, 95), (20, 94), (20, 100)), FAILED: counts((20, 5), (20, 6), (20, 0))},
        quiet=(19, 24, 25, 50),
        fires={
            26: "6% of requests were answered 5xx over five minutes.",
            35: "6% of requests were answered 5xx over five minutes.",
        },
    ),
    case(
        "HighErrorRate: all fail, of too few to say",
        "page",
        {OK: levels((30, 0)), FAILED: counts((30, 12))},
        quiet=(5, 29),
    ),
    case(
        "HighErrorRate: nobody asks anything: that is no error",
        "page",
        {OK: levels((30, 7)), FAILED: levels((30, 3))},
        quiet=(5, 29),
    ),
    case(
        "HighErrorRate: a replica restarts and begins at 0",
        "page",
        {OK: (*counts((10, 100)), *counts((20, 100))), FAILED: (*counts((10, 1)), *counts((20, 1)))},
        quiet=(5, 11, 13, 20, 29),
    ),
    case(
        "HighErrorRate: probes and stray paths do not hide errors",
        "page",
        {
            OK: counts((40, 90)),
            FAILED: counts((40, 10)),
            PROBED: counts((40, 5000)),
            STRAY: counts((40, 5000)),
        },
        quiet=(),
        fires={20: "10% of requests were answered 5xx over five minutes."},
    ),
    case(
        "HighResponseTime: one in twenty takes two seconds, then longer, then not",
        "page",
        {
            WITHIN % "0.5": counts((20, 90), (20, 80), (20, 100)),
            WITHIN % "2.0": counts((20, 95), (20, 90), (20, 100)),
            WITHIN % "5.0": counts((60, 100)),
            WITHIN % "+Inf": counts((60, 100)),
            TIMED: counts((60, 100)),
        },
        quiet=(19, 25, 55),
        fires={
            26: "One request in twenty takes longer than 3.5s.",
            35: "One request in twenty takes longer than 3.5s.",
        },
    ),
    case(
        "HighResponseTime: the slow route is one of two: over both it is the slowest twentieth that counts",
        "page",
        {
            WITHIN % "2.0": counts((30, 1)),
            WITHIN % "5.0": counts((30, 2)),
            WITHIN % "+Inf": counts((30, 2)),
            TIMED: counts((30, 2)),
            (WITHIN % "2.0").replace("goals", "transactions"): counts((30, 100)),
            (WITHIN % "5.0").replace("goals", "transactions"): counts((30, 100)),
            (WITHIN % "+Inf").replace("goals", "transactions"): counts((30, 100)),
            TIMED.replace("goals", "transactions"): counts((30, 100)),
        },
        quiet=(10, 29),
    ),
    case(
        "HighResponseTime: all are slow, of too few to say",
        "page",
        {
            WITHIN % "2.0": levels((30, 0)),
            WITHIN % "5.0": counts((30, 12)),
            WITHIN % "+Inf": counts((30, 12)),
            TIMED: counts((30, 12)),
        },
        quiet=(10, 29),
    ),
)

PROMISES: Final = (
    case(
        "AvailabilityBudgetBurnsFast: 1.44 % fail for an hour, then 2 %, then none",
        "page",
        {OK: counts((90, 9856), (60, 9800), (30, 10_000)), FAILED: counts((90, 144), (60, 200), (30, 0))},
        quiet=(60, 89, 92, 160),
        fires={
            93: "1.468% of the last hour's requests failed, and it goes on; 0.1 % are promised.",
            149: "1.991% of the last hour's requests failed, and it goes on; 0.1 % are promised.",
        },
    ),
    case(
        "AvailabilityBudgetBurnsFast: the hour was bad, and is over: it ends with the short window",
        "page",
        {OK: counts((60, 90), (30, 100)), FAILED: counts((60, 10), (30, 0))},
        quiet=(66, 80),
        fires={59: "10% of the last hour's requests failed, and it goes on; 0.1 % are promised."},
    ),
    case(
        "AvailabilityBudgetBurnsFast: ten failures in an hour are no trend",
        "page",
        {OK: counts((130, 1)), FAILED: (*levels((64, 0)), *counts((11, 1)), *levels((55, 10)))},
        quiet=(66, 70, 74, 78, 110),
    ),
    case(
        "AvailabilityBudgetBurns: 0.6 % fail for six hours, then 1 %, then none",
        "page",
        {
            OK: counts((200, 9940), (100, 9900), (50, 10_000)),
            FAILED: counts((200, 60), (100, 100), (50, 0)),
        },
        quiet=(199, 208, 320),
        step_s=2 * MINUTE_S,
        fires={
            209: "0.62% of the last six hours' requests failed, and it goes on; 0.1 % are promised.",
            290: "0.8% of the last six hours' requests failed, and it goes on; 0.1 % are promised.",
        },
    ),
    case(
        "AvailabilityBudgetBurns: ten failures in six hours are no trend",
        "page",
        {OK: counts((210, 1)), FAILED: (*levels((182, 0)), *counts((11, 1)), *levels((17, 10)))},
        quiet=(190, 195, 203, 209),
        step_s=2 * MINUTE_S,
    ),
    case(
        "AvailabilityBudgetBurnsSlowly: 0.1 % fail for days, then 0.2 %, then none",
        "ticket",
        {
            OK: counts((440, 9990), (440, 9980), (60, 10_000)),
            FAILED: counts((440, 10), (440, 20), (60, 0)),
        },
        quiet=(439, 446, 935),
        fires={
            447: "0.1016% of three days' requests failed, and it goes on; 0.1 % are promised.",
            878: "0.2% of three days' requests failed, and it goes on; 0.1 % are promised.",
        },
        step_s=TEN_MINUTES_S,
    ),
    case(
        "AvailabilityBudgetBurnsSlowly: ten failures in three days are no trend",
        "ticket",
        {OK: counts((60, 10)), FAILED: (*levels((4, 0)), *counts((11, 1)), *levels((45, 10)))},
        quiet=(14, 25, 40, 59),
        step_s=TEN_MINUTES_S,
    ),
    case(
        "LatencyBudgetBurnsFast: 72 % are slow for an hour, then 80 %, then none",
        "page",
        {WITHIN % "0.5": counts((90, 28), (60, 20), (30, 100)), TIMED: counts((180, 100))},
        quiet=(60, 89, 92, 160),
        fires={
            93: "72.4% of the last hour's API requests took 500 ms or longer, and it goes on; 5 % are promised.",
            149: "79.87% of the last hour's API requests took 500 ms or longer, and it goes on; 5 % are promised.",
        },
    ),
    case(
        "LatencyBudgetBurnsFast: fifty in an hour are too few to say",
        "page",
        {WITHIN % "0.5": levels((120, 0)), TIMED: (*levels((50, 0)), *counts((51, 1)), *levels((19, 50)))},
        quiet=(55, 99, 104, 119),
    ),
    case(
        "LatencyBudgetBurns: 30 % are slow for six hours, then 40 %, then none",
        "ticket",
        {WITHIN % "0.5": counts((200, 70), (100, 60), (50, 100)), TIMED: counts((350, 100))},
        quiet=(199, 208, 320),
        step_s=2 * MINUTE_S,
        fires={
            209: "30.5% of the last six hours' API requests took 500 ms or longer, and it goes on; 5 % are promised.",
            290: "35% of the last six hours' API requests took 500 ms or longer, and it goes on; 5 % are promised.",
        },
    ),
    case(
        "LatencyBudgetBurns: fifty in six hours are too few to say",
        "ticket",
        {WITHIN % "0.5": levels((210, 0)), TIMED: (*levels((150, 0)), *counts((51, 1)), *levels((9, 50)))},
        quiet=(199, 209),
        step_s=2 * MINUTE_S,
    ),
)


def failing(*phases: tuple[int, float]) -> dict[str, Samples]:
    """Return ten thousand requests a step, of which so many fail in each phase."""
    return {
        OK: counts(*((steps, 10_000 - failed) for steps, failed in phases)),
        FAILED: counts(*phases),
    }


def slow(*phases: tuple[int, float]) -> dict[str, Samples]:
    """Return a hundred requests a step, of which so many are slow in each phase."""
    return {
        WITHIN % "0.5": counts(*((steps, 100 - late) for steps, late in phases)),
        TIMED: counts(*((steps, 100) for steps, _late in phases)),
    }


ONE_WINDOW: Final = (
    case(
        "AvailabilityBudgetBurnsFast: eight bad minutes are not yet an hour's 1.44 %",
        "page",
        failing((70, 0), (8, 1000), (30, 0)),
        quiet=(78, 80, 82),
    ),
    case(
        "AvailabilityBudgetBurnsFast: the hour was bad, and by now it is 1.3 %",
        "page",
        failing((60, 1000), (40, 130)),
        quiet=(67, 80, 99),
    ),
    case(
        "AvailabilityBudgetBurns: twenty bad minutes are not yet six hours' 0.6 %",
        "page",
        failing((210, 0), (10, 1000), (30, 0)),
        quiet=(220, 228, 234),
        step_s=2 * MINUTE_S,
    ),
    case(
        "AvailabilityBudgetBurns: six hours were bad, and by now it is 0.55 %",
        "page",
        failing((200, 200), (60, 55)),
        quiet=(225, 240, 259),
        step_s=2 * MINUTE_S,
    ),
    case(
        "AvailabilityBudgetBurnsSlowly: six bad hours are not yet three days' 0.1 %",
        "ticket",
        failing((440, 0), (39, 100), (40, 0)),
        quiet=(479, 486, 510),
        step_s=TEN_MINUTES_S,
    ),
    case(
        "AvailabilityBudgetBurnsSlowly: three days were bad, and by now it is 0.09 %",
        "ticket",
        failing((440, 50), (60, 9)),
        quiet=(480, 499),
        step_s=TEN_MINUTES_S,
    ),
    case(
        "LatencyBudgetBurnsFast: 39 slow minutes are not yet 72 % of an hour",
        "page",
        slow((60, 0), (39, 100), (20, 0)),
        quiet=(99, 101, 102),
    ),
    case(
        "LatencyBudgetBurnsFast: the hour was slow, and by now it is 70 %",
        "page",
        slow((60, 80), (40, 70)),
        quiet=(67, 80, 99),
    ),
    case(
        "LatencyBudgetBurns: 98 slow minutes are not yet 30 % of six hours",
        "ticket",
        slow((200, 0), (49, 100), (30, 0)),
        quiet=(249, 256, 262),
        step_s=2 * MINUTE_S,
    ),
    case(
        "LatencyBudgetBurns: six hours were slow, and by now it is 28 %",
        "ticket",
        slow((200, 40), (60, 28)),
        quiet=(225, 240, 259),
        step_s=2 * MINUTE_S,
    ),
)

CASES: Final[tuple[Case, ...]] = (*TRAFFIC, *PROMISES, *ONE_WINDOW)
