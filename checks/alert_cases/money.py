"""The cases of the alerts on the books: what is owed, held and sealed."""

from typing import Final

from checks.alert_cases.case import HOUR_S, Case, case, counts, levels, stamps

WORKER: Final = 'job="zanari-worker"'
IMBALANCE: Final = "zanari_ledger_imbalance{" + WORKER + ',instance="%s"}'
CHECKED: Final = f"zanari_books_checked_timestamp_seconds{{{WORKER}}}"
VERIFIED: Final = f"zanari_chain_verified_timestamp_seconds{{{WORKER}}}"
FLOAT: Final = "zanari_float_break_cents{" + WORKER + ',instance="%s",shortcode="600000",account="utility"}'
UTILITY: Final = {"account": "utility", "shortcode": "600000"}

DAY: Final = 86_400

BOOKS: Final = (
    case(
        "LedgerImbalance: at once, once for two workers that tell of the same, and until the books are in order",
        "page",
        {
            IMBALANCE % "a": levels((10, 0), (10, 1), (10, 0)),
            IMBALANCE % "b": levels((10, 0), (10, 1), (10, 0)),
        },
        quiet=(9, 20),
        fires={
            10: "Broken promises of the books: 1. Money out is frozen.",
            19: "Broken promises of the books: 1. Money out is frozen.",
        },
    ),
    case(
        "BooksCheckStale: an hour, then longer, then it comes to its end again",
        "page",
        {CHECKED: stamps((10, True), (80, False), (20, True))},
        quiet=(69, 74, 90),
        fires={
            75: "The check of the books last came to its end 1h 6m 0s ago; it should every 15 minutes.",
        },
    ),
    case(
        "ChainBroken: at once, until it verifies again",
        "page",
        {f"zanari_chain_broken{{{WORKER}}}": levels((10, 0), (10, 1), (10, 0))},
        quiet=(9, 20),
        fires={10: "The last verification of the chain found a row that is not what was sealed."},
    ),
    case(
        "ChainVerificationStale: six hours, then longer, then it is verified",
        "ticket",
        {VERIFIED: stamps((10, True), (380, False), (20, True))},
        quiet=(369, 374, 390),
        fires={375: "It was last verified 6h 6m 0s ago; a run comes every 15 minutes."},
    ),
    case(
        "SealingLag: five minutes, then longer, then all is sealed",
        "ticket",
        {f"zanari_chain_unsealed_age_seconds{{{WORKER}}}": levels((10, 300), (10, 301), (10, 0))},
        quiet=(9, 14, 20),
        fires={15: "The oldest row that is not in the chain is 5m 1s old."},
    ),
)

PAUSED: Final = (
    case(
        "WithdrawalsPaused: savers go on asking for an hour, and then they are not refused any more",
        "ticket",
        {
            'zanari_unavailable_total{job="zanari-api",code="payouts_paused"}': (
                *levels((40, 0)),
                *counts((60, 1), (60, 0)),
            ),
            'zanari_unavailable_total{job="zanari-api",code="database_unavailable"}': counts((160, 1)),
        },
        quiet=(39, 70, 135),
        fires={95: "About 30 withdrawals were refused within half an hour, since money out is paused."},
    ),
)

DIFFERENCES: Final = (
    case(
        "FloatBreak: Safaricom has less than our books, as two workers tell, and then it agrees",
        "ticket",
        {
            FLOAT % "a": levels((20, 0), (140, -543_210), (10, 0)),
            FLOAT % "b": levels((20, 0), (140, -543_210), (10, 0)),
        },
        quiet=(19, 139, 160),
        fires={140: "600000:utility differs by KES 5432.10."},
        labels=UTILITY,
    ),
    case(
        "FloatBreakLarge: KES 100,000, then more, then it agrees",
        "page",
        {FLOAT % "a": levels((20, 10_000_000), (20, 10_000_100), (10, 0))},
        quiet=(19, 34, 40),
        fires={35: "600000:utility differs by KES 100001.00."},
        labels=UTILITY,
    ),
    case(
        "BreakStaysOpen: a day, then longer, then it is closed",
        "ticket",
        {f"zanari_break_oldest_age_seconds{{{WORKER}}}": levels((20, DAY), (20, DAY + HOUR_S), (10, 0))},
        quiet=(19, 29, 40),
        fires={30: "The oldest break has been open for 1d 1h 0m 0s."},
    ),
    case(
        "FeeNotCovered: covered to the cent, then not, then the company brings money",
        "ticket",
        {f"zanari_fees_not_covered_cents{{{WORKER}}}": levels((20, 0), (20, 1_300), (10, 0))},
        quiet=(19, 34, 40),
        fires={35: "Fees exceed what the company put in by KES 13.00."},
    ),
    case(
        "SuspenseAgeing: three days, then longer, then it is given to somebody",
        "ticket",
        {
            f"zanari_suspense_oldest_age_seconds{{{WORKER}}}": levels(
                (20, 3 * DAY), (20, 3 * DAY + HOUR_S), (10, 0)
            )
        },
        quiet=(19, 29, 40),
        fires={30: "The oldest money in suspense has lain there for 3d 1h 0m 0s."},
    ),
    case(
        "PaymentsRecovered: three in an hour, then more, then none",
        "ticket",
        {
            f"zanari_recovered_payments_total{{{WORKER}}}": (
                *levels((60, 0)),
                *counts((4, 1)),
                *levels((70, 3)),
                *counts((10, 3), start=3),
                *levels((80, 30)),
            )
        },
        quiet=(64, 100, 220),
        fires={145: "A pull found about 27 payments in an hour that nobody had told us of."},
    ),
)

CASES: Final[tuple[Case, ...]] = (*BOOKS, *PAUSED, *DIFFERENCES)
